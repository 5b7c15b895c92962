//! Plans as text: for logs, `info`, and the golden tests.

use std::fmt;

use super::{Hold, Plan, Planned, Step};

impl Step {
    /// What the step is about: `www.2`, `network`.
    pub fn subject(&self) -> String {
        match self {
            Self::EnsureNetwork | Self::RemoveNetwork => "network".to_owned(),
            Self::Remove { name, .. } => name.clone(),
            Self::StartPod { instance }
            | Self::StartMember { instance, .. }
            | Self::RestartMember { instance, .. }
            | Self::StartInstance { instance, .. }
            | Self::ReviveInstance { instance, .. }
            | Self::StopInstance { instance, .. }
            | Self::Retire { instance, .. }
            | Self::Discard { instance, .. }
            | Self::SetMemory { instance, .. }
            | Self::Unpause { instance, .. } => instance.to_string(),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EnsureNetwork => write!(f, "create the network"),
            Self::RemoveNetwork => write!(f, "remove the network"),
            Self::StartPod { instance } => write!(f, "start the pod of {instance}"),
            Self::StartMember { instance, .. } => write!(f, "start the server of {instance}"),
            Self::RestartMember { instance, .. } => write!(f, "start the server of {instance} again"),
            Self::StartInstance { instance, generation } => write!(f, "start {instance} of generation {generation}"),
            Self::ReviveInstance { instance, .. } => write!(f, "start {instance} again"),
            Self::StopInstance { instance, container } => write!(f, "drain and stop {instance} ({})", short(container)),
            Self::Retire { instance, container } => write!(f, "drain and remove {instance} ({})", short(container)),
            Self::Remove { name, .. } => write!(f, "remove {name}"),
            Self::Discard { instance, .. } => write!(f, "discard {instance} with its data"),
            Self::SetMemory { instance, memory, .. } => write!(f, "limit {instance} to {memory}"),
            Self::Unpause { instance, .. } => write!(f, "let {instance} go on"),
        }
    }
}

/// Enough of a container's id to tell it from others.
fn short(container: &str) -> &str {
    container.get(..12).unwrap_or(container)
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.cause)
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} waits: {}", self.subject, self.why)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for planned in &self.steps {
            writeln!(f, "{planned}")?;
        }
        for hold in &self.holds {
            writeln!(f, "{hold}")?;
        }
        Ok(())
    }
}
