//! Makes a member a copy of another one: a command in its container, and one in the other's where
//! that has to help, then the end of the copy's server, whose next start takes the copy over.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::engine::group::GroupContext;
use crate::engine::runtime::{ExecOutput, ExecSpec};
use crate::failover::{Event, Server};

use super::task::chain;

pub(super) struct Copy {
    pub context: GroupContext,
    /// Which becomes a copy, where it lives and where it listens.
    pub server: Server,
    pub container: Arc<str>,
    pub to: SocketAddr,
    /// The container that is copied.
    pub source: String,
    pub from: SocketAddr,
}

impl Copy {
    /// On success the copy's server has been ended.
    ///
    /// # Errors
    /// What failed, with the last words of the command.
    pub async fn run(self, events: &mpsc::UnboundedSender<Event>) -> Result<(), String> {
        let (total, size) = watch::channel(0);
        let commands = &self.context.copying;
        // Either of them knows how large it will be.
        let sized = |line: &str| number(line, "size ").map(|bytes| total.send_replace(bytes));
        let copy = self.exec(&self.container, &commands.copy, self.from, |line| {
            sized(line);
            self.received(line, &size, events);
        });
        let donate = async {
            match commands.donate.is_empty() {
                true => Ok(()),
                false => self.exec(&self.source, &commands.donate, self.to, |line| _ = sized(line)).await,
            }
        };
        tokio::try_join!(copy, donate)?;
        self.context.runtime.kill(&self.container).await.map_err(|error| chain(&error))
    }

    fn received(&self, line: &str, size: &watch::Receiver<u64>, events: &mpsc::UnboundedSender<Event>) {
        if let Some(path) = line.strip_prefix("aside ") {
            let (app, service, index) = (&self.context.app, &self.context.service, self.server.index);
            tracing::warn!(%app, "what only {service}.{index} holds is set aside in {path}");
        }
        let total = *size.borrow();
        if let (Some(bytes), true) = (number(line, "got "), total > 0) {
            let percent = u8::try_from(bytes.saturating_mul(100) / total).unwrap_or(u8::MAX).min(99);
            let _ = events.send(Event::Copied { server: self.server, percent });
        }
    }

    /// Runs a command to its end and tells every line of its output.
    async fn exec(
        &self,
        container: &str,
        command: &[String],
        other: SocketAddr,
        mut told: impl FnMut(&str),
    ) -> Result<(), String> {
        let address = other.ip().to_string();
        let spec = ExecSpec {
            command: command.iter().map(|text| text.replace("{address}", &address)).collect(),
            env: self.context.copying.env.clone(),
            ..ExecSpec::default()
        };
        let mut session = self.context.runtime.exec(container, &spec).await.map_err(|error| chain(&error))?;
        let (mut rest, mut complaint) = (String::new(), String::new());
        while let Some(output) = session.output.recv().await {
            match output.map_err(|error| chain(&error))? {
                ExecOutput::Stdout(bytes) => rest.push_str(&String::from_utf8_lossy(&bytes)),
                ExecOutput::Stderr(bytes) => complaint.push_str(&String::from_utf8_lossy(&bytes)),
                ExecOutput::Exit(0) => return Ok(()),
                ExecOutput::Exit(code) => {
                    return Err(format!("{} ended with {code}: {}", spec.command.join(" "), complaint.trim()));
                }
            }
            while let Some((line, more)) = rest.split_once('\n') {
                told(line);
                rest = more.to_owned();
            }
        }
        Err(format!("{} ended without a word", spec.command.join(" ")))
    }
}

fn number(line: &str, prefix: &str) -> Option<u64> {
    line.strip_prefix(prefix)?.trim().parse().ok()
}
