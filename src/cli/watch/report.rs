//! What became of one change, as a line for people or a document for programs.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::api::types::{LiveEvent, Reloaded};
use crate::cli::Context;
use crate::cli::ui::Tone;
use crate::watch::Change;

/// One change and its end.
#[derive(Debug, Serialize)]
pub struct Report {
    /// `wsgi.py and 4 more changed`.
    pub change: String,
    /// RFC 3339, UTC; of the end.
    pub at: jiff::Timestamp,
    pub changed: Vec<String>,
    pub deleted: Vec<String>,
    /// From the first file event to the end.
    pub ms: f64,
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What is wrong with what is served.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Outcome {
    /// Every instance that the change concerns serves it.
    Served { instances: Vec<Instance>, failed_requests: u64 },
    /// It did not start; the previous code serves, and the change is sent again with the next one.
    Failed { instance: String, output: String, failed_requests: u64 },
    /// It was built and deployed.
    Deployed { instances: u32, failed_requests: Count },
    /// It was not, and the previous code serves.
    NotDeployed { error: String, failed_requests: Count },
    /// It could not be sent.
    NotSent { error: String },
}

/// Of requests; `None` when the daemon that counted them is gone.
pub type Count = Option<u64>;

#[derive(Debug, Clone, Serialize)]
pub struct Instance {
    pub service: String,
    pub instance_id: u32,
    pub how: Reloaded,
    pub ms: f64,
    /// Programs of the service's own, beside what `how` says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub restarted: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Warning {
    pub service: String,
    pub instance_id: u32,
    pub output: String,
}

/// What was told of a change before its end.
#[derive(Debug, Default)]
pub struct Told {
    pub instances: Vec<Instance>,
    pub warnings: Vec<Warning>,
}

// === impl Told ===

impl Told {
    /// Remembers an event; gives the last one back.
    pub fn add(&mut self, event: LiveEvent) -> Option<LiveEvent> {
        match event {
            LiveEvent::Instance { service, instance_id, ms, how, restarted } => {
                self.instances.push(Instance { service, instance_id, how, ms, restarted });
                None
            }
            LiveEvent::Warning { service, instance_id, output } => {
                self.warnings.push(Warning { service, instance_id, output });
                None
            }
            end => Some(end),
        }
    }
}

// === impl Report ===

impl Report {
    pub fn new(change: &Change, outcome: Outcome, warnings: Vec<Warning>) -> Self {
        let names = |paths: &std::collections::BTreeSet<std::path::PathBuf>| {
            paths.iter().map(|path| path.display().to_string()).collect()
        };
        Self {
            change: summary(change),
            at: jiff::Timestamp::now(),
            changed: names(&change.changed),
            deleted: names(&change.deleted),
            ms: (change.first.elapsed().as_secs_f64() * 1e6).round() / 1e3,
            outcome,
            warnings,
        }
    }

    pub fn print(&self, ctx: &Context) {
        if ctx.json {
            return ctx.ui.json(self);
        }
        ctx.ui.at(self.tone(), &time(self.at), format!("{}: {}", self.change, self.ending()));
        self.details().iter().for_each(|line| ctx.ui.print(format!("    {line}").trim_end()));
    }

    fn tone(&self) -> Tone {
        match self.outcome {
            Outcome::Served { .. } | Outcome::Deployed { .. } if self.warnings.is_empty() => Tone::Good,
            Outcome::Served { .. } | Outcome::Deployed { .. } => Tone::Doubtful,
            _ => Tone::Bad,
        }
    }

    fn ending(&self) -> String {
        let ms = self.ms;
        match &self.outcome {
            Outcome::Served { instances, .. } if instances.is_empty() => "no instance depends on it".to_owned(),
            Outcome::Served { instances, failed_requests } => {
                format!("{} in {ms:.0} ms, {}", places(instances), failed(*failed_requests))
            }
            Outcome::Failed { instance, .. } => format!("failed on {instance} after {ms:.0} ms"),
            Outcome::Deployed { instances, failed_requests } => {
                format!("deployed on {} in {ms:.0} ms{}", counted(*instances), also(*failed_requests))
            }
            Outcome::NotDeployed { .. } => format!("not deployed after {ms:.0} ms"),
            Outcome::NotSent { .. } => "not sent".to_owned(),
        }
    }

    /// The lines below, without their indentation.
    fn details(&self) -> Vec<String> {
        let lines = |text: &str| text.trim_end().lines().map(str::to_owned).collect::<Vec<_>>();
        let mut details: Vec<String> = warned(&self.warnings);
        match &self.outcome {
            Outcome::Failed { output, failed_requests, .. } => {
                details.extend(lines(output));
                details.push(format!("the previous code keeps serving, {}", failed(*failed_requests)));
            }
            Outcome::NotDeployed { error, failed_requests } => {
                details.extend(lines(error));
                details.push(format!("the previous code keeps serving{}", also(*failed_requests)));
            }
            Outcome::NotSent { error } => {
                details.extend(lines(error));
                details.push("it is sent with the next change; the previous code keeps serving".to_owned());
            }
            Outcome::Served { .. } | Outcome::Deployed { .. } => {}
        }
        details
    }
}

/// `12:03:41`, UTC.
pub fn time(at: jiff::Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

/// `wsgi.py changed`, `wsgi.py and 4 more changed`, `old.py deleted`.
pub fn summary(change: &Change) -> String {
    let telling = change.telling();
    let first = telling.iter().find(|path| change.changed.contains(**path)).or(telling.first());
    let name = first.map(|path| path.display().to_string()).unwrap_or_default();
    let verb = if change.changed.is_empty() { "deleted" } else { "changed" };
    match telling.len() {
        0 | 1 => format!("{name} {verb}"),
        count => format!("{name} and {} more {verb}", count - 1),
    }
}

/// `switched on 3 instances of www (mailer restarted), restarted on 1 instance of worker`.
fn places(instances: &[Instance]) -> String {
    let mut counts: BTreeMap<(&str, &'static str, String), u32> = BTreeMap::new();
    for instance in instances {
        let how = match instance.how {
            Reloaded::Synced => "synced to",
            Reloaded::Switched => "switched on",
            Reloaded::Restarted => "restarted on",
        };
        let own = match &*instance.restarted {
            [] => String::new(),
            programs => format!(" ({} restarted)", programs.join(", ")),
        };
        *counts.entry((&instance.service, how, own)).or_default() += 1;
    }
    let place = |((service, how, own), count)| format!("{how} {} of {service}{own}", counted(count));
    counts.into_iter().map(place).collect::<Vec<_>>().join(", ")
}

fn counted(instances: u32) -> String {
    format!("{instances} instance{}", if instances == 1 { "" } else { "s" })
}

fn failed(requests: u64) -> String {
    format!("{requests} failed request{}", if requests == 1 { "" } else { "s" })
}

/// The same at the end of a sentence.
fn also(requests: Count) -> String {
    requests.map(|requests| format!(", {}", failed(requests))).unwrap_or_default()
}

/// Each text once, with everybody it comes from.
fn warned(warnings: &[Warning]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut told: Vec<&str> = Vec::new();
    for warning in warnings {
        if told.contains(&warning.output.as_str()) {
            continue;
        }
        told.push(&warning.output);
        let same = warnings.iter().filter(|other| other.output == warning.output);
        let from: Vec<String> = same.map(|other| format!("{}.{}", other.service, other.instance_id)).collect();
        lines.push(format!("{} warns:", from.join(", ")));
        lines.extend(warning.output.trim_end().lines().map(|line| format!("  {line}")));
    }
    lines
}

#[cfg(test)]
#[path = "report/tests.rs"]
mod tests;
