//! Sends every change of a tree, one after the other, and tells what became of it.

use std::time::Duration;

use crate::api::client::ClientError;
use crate::cli::error::{CliError, Kind, chain};
use crate::cli::follow::Losses;
use crate::cli::ui::Tone;
use crate::cli::up;
use crate::watch::{Change, Seen, Watch};

use super::attempt::{REPLACED, Sent, Serving, Wait, Way};
use super::hold::hold;
use super::report::{self, Outcome, Report, Told, Warning};

/// Before a daemon that went away, or a deployment under way, is asked again.
pub const PAUSE: Duration = Duration::from_millis(300);

/// A folder and the running application that it is.
pub struct Session<'s> {
    way: Way<'s>,
    watch: Watch,
    pending: Option<Change>,
    /// What was pending was sent and not applied.
    refused: bool,
    /// The deployment that brought what the changes are changes of.
    base: Option<String>,
}

impl<'s> Session<'s> {
    /// `watch` was started before what serves was pushed.
    pub fn new(way: Way<'s>, watch: Watch) -> Self {
        Self { way, watch, pending: None, refused: false, base: None }
    }

    /// Goes on until the watch fails or the application is gone.
    ///
    /// # Errors
    /// Always: that is its only end.
    pub async fn run(mut self) -> Result<(), CliError> {
        let Way { tree, app, ctx } = self.way;
        // What was just pushed may serve a moment before it is on record as deployed.
        self.idle().await?;
        self.base = self.serving().await?.deployment;
        ctx.ui.info(format!("Watching {}: what is saved there goes live", tree.root().display()));
        tokio::select! {
            ended = self.changes() => ended,
            ended = hold(app, ctx) => ended,
        }
    }

    async fn changes(&mut self) -> Result<(), CliError> {
        loop {
            let Some(seen) = self.watch.next().await else {
                return Err(CliError::failed("Watching the folder ended by itself.").hint("start it again"));
            };
            self.take(seen)?;
            if self.pending.is_some() {
                self.send_pending().await?;
            }
        }
    }

    /// Adds what was seen to what is to be sent.
    fn take(&mut self, seen: Seen) -> Result<(), CliError> {
        let root = self.way.tree.root().display();
        match seen {
            Seen::Changed(newer) => self.add(newer),
            Seen::Gone => self.way.ctx.ui.warning(format!("{root} is gone; watching goes on when it is back")),
            Seen::Back => self.way.ctx.ui.info(format!("{root} is back")),
            Seen::Failed(error) => return Err(CliError::failed(chain(&error))),
        }
        Ok(())
    }

    fn add(&mut self, newer: Change) {
        let first = newer.first;
        match &mut self.pending {
            Some(pending) => pending.merge(newer),
            None => self.pending = Some(newer),
        }
        // What was refused is sent again because of the newer change, and timed from there.
        if let (Some(pending), true) = (&mut self.pending, std::mem::take(&mut self.refused)) {
            pending.first = first;
        }
    }

    /// Sends what is pending until something became of it.
    async fn send_pending(&mut self) -> Result<(), CliError> {
        let (mut losses, mut told) = (Losses::default(), String::new());
        while let Some(change) = self.pending.clone() {
            match self.way.send(&change, &self.base).await? {
                Sent::Over(outcome, Told { warnings, .. }) => return self.over(&change, outcome, warnings).await,
                Sent::Build(reason) => return self.build(&change, &reason).await,
                Sent::Later(Wait::Busy(reason)) => {
                    if reason != told {
                        self.way.ctx.ui.info(format!("{} waits: {reason}", report::summary(&change)));
                        told = reason;
                    }
                }
                Sent::Later(Wait::Lost(error)) => losses.count(false, Some(error))?,
            }
            tokio::time::sleep(PAUSE).await;
            // What changed meanwhile goes along.
            while let Some(seen) = self.watch.pending() {
                self.take(seen)?;
            }
        }
        Ok(())
    }

    /// A change that was applied to something else than it was made for is worth nothing.
    async fn over(&mut self, change: &Change, outcome: Outcome, warnings: Vec<Warning>) -> Result<(), CliError> {
        let served = matches!(outcome, Outcome::Served { .. });
        if served && self.serving().await?.deployment != self.base {
            return self.build(change, REPLACED).await;
        }
        self.finish(change, outcome, warnings);
        Ok(())
    }

    fn finish(&mut self, change: &Change, outcome: Outcome, warnings: Vec<Warning>) {
        match outcome {
            Outcome::Served { .. } | Outcome::Deployed { .. } => self.pending = None,
            _ => self.refused = true,
        }
        Report::new(change, outcome, warnings).print(self.way.ctx);
    }

    /// The whole tree is pushed, and the ordinary output of that is printed.
    async fn build(&mut self, change: &Change, reason: &str) -> Result<(), CliError> {
        let at = report::time(jiff::Timestamp::now());
        if !self.way.ctx.json {
            self.way.ctx.ui.at(Tone::Busy, &at, format!("{}: building ({reason})", report::summary(change)));
        }
        let before = self.failed_requests().await;
        let pushed = self.push().await;
        // A count that began again belongs to another daemon.
        let failed_requests =
            self.failed_requests().await.zip(before).and_then(|(now, before)| now.checked_sub(before));
        let outcome = match pushed {
            Ok(instances) => Outcome::Deployed { instances, failed_requests },
            Err(error) if error.kind == Kind::Unreachable => return Err(error),
            Err(error) => Outcome::NotDeployed { error: error.message, failed_requests },
        };
        if let Outcome::Deployed { .. } = outcome {
            self.base = self.serving().await?.deployment;
        }
        self.finish(change, outcome, Vec::new());
        Ok(())
    }

    /// Returns how many instances run it.
    async fn push(&self) -> Result<u32, CliError> {
        let Way { tree, app, ctx } = self.way;
        tree.check(ctx)?;
        self.idle().await?;
        up::push(tree, app, ctx).await?;
        let services = ctx.client.services(app.as_str()).await?;
        Ok(services.iter().filter(|service| !service.stateful).map(|service| service.instance_count).sum())
    }

    /// So many requests have failed so far; `None` when nobody says.
    async fn failed_requests(&self) -> report::Count {
        let Way { app, ctx, .. } = self.way;
        ctx.client.app(app.as_str()).await.ok().map(|app| app.failed_requests)
    }

    /// What runs, also of a daemon that has to be started again first.
    async fn serving(&self) -> Result<Serving, CliError> {
        let mut losses = Losses::default();
        loop {
            match self.way.serving().await {
                Err(error @ ClientError::Lost { .. }) => losses.count(false, Some(error))?,
                serving => return Ok(serving?),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until no deployment is under way, and says so when that takes more than a moment.
    async fn idle(&self) -> Result<(), CliError> {
        let mut looks = 0;
        while let Some(revision) = self.serving().await?.under_way {
            looks += 1;
            if looks == 3 {
                self.way.ctx.ui.info(format!("Waiting: revision {revision} is being deployed"));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }
}
