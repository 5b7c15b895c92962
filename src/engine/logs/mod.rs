//! An application's log: the output of the chosen instances in the order of its times, followed
//! across restarts, failovers and redeploys.

mod backlog;
mod tail;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::model::observed::{ObservedContainer, Purpose};
use crate::model::{AppName, InstanceName, ServiceName};

use super::app::App;
use super::clock;
use super::handle::{Engine, EngineError, Result};
use super::inner::Inner;
use super::runtime::LogLine;
use super::view::{AppLogLine, LogWish};

impl Engine {
    /// What there is, in order; with `follow` what comes after it, as it comes.
    ///
    /// # Errors
    /// A name of the filter is none, or nothing has it.
    pub async fn logs(&self, app: &AppName, wish: LogWish) -> Result<mpsc::Receiver<AppLogLine>> {
        let app = self.seen_app(app).await?;
        let filter = wish.filter.iter().map(|text| parse(&app, text)).collect::<Result<Vec<_>>>()?;
        let (sender, receiver) = mpsc::channel(256);
        let reader = Reader { inner: self.inner().clone(), app, filter, sender };
        tokio::spawn(reader.run(wish));
        Ok(receiver)
    }
}

/// `www` or `www.2`.
type Choice = (ServiceName, Option<u32>);

fn parse(app: &App, text: &str) -> Result<Choice> {
    let invalid = |error: crate::model::NameError| EngineError::Invalid(format!("{error}."));
    let choice = match text.contains('.') {
        true => text.parse::<InstanceName>().map(|name| (name.service, Some(name.index))).map_err(invalid)?,
        false => (text.parse().map_err(invalid)?, None),
    };
    match app.record().service(&choice.0) {
        Some(_) => Ok(choice),
        None => Err(EngineError::NotFound(format!("The service \"{}\" does not exist.", choice.0))),
    }
}

/// Reads for one listener.
struct Reader {
    inner: Arc<Inner>,
    app: Arc<App>,
    filter: Vec<Choice>,
    sender: mpsc::Sender<AppLogLine>,
}

impl Reader {
    async fn run(self, wish: LogWish) {
        let mut status = self.app.status.subscribe();
        let began = clock::now();
        let there = self.chosen(&status.borrow_and_update().observed.containers);
        let Some(mut newest) = self.backlog(&there, &wish).await else { return };
        if !wish.follow {
            return;
        }
        let mut followed = BTreeSet::new();
        loop {
            let now = self.chosen(&status.borrow_and_update().observed.containers);
            for container in now {
                if followed.insert(container.id.clone()) {
                    // One that was there and is silent so far has nothing older to say.
                    let silent = |newest: Option<Timestamp>| newest.unwrap_or(began);
                    let since = newest.remove(&container.id).map(silent).or(wish.since);
                    tokio::spawn(tail::tail(
                        self.inner.clone(),
                        self.app.clone(),
                        container,
                        since,
                        self.sender.clone(),
                    ));
                }
            }
            tokio::select! {
                changed = status.changed() => if changed.is_err() || status.borrow().gone { return },
                () = self.sender.closed() => return,
            }
        }
    }

    /// Sends what there is; returns the time of each container's newest line, or `None` when
    /// nobody listens any more.
    async fn backlog(
        &self,
        containers: &[ObservedContainer],
        wish: &LogWish,
    ) -> Option<BTreeMap<String, Option<Timestamp>>> {
        let mut backlog = backlog::Backlog::open(&self.inner, containers, wish).await;
        while let Some(line) = backlog.next().await {
            self.sender.send(line).await.ok()?;
        }
        Some(backlog.newest())
    }

    fn chosen(&self, containers: &[ObservedContainer]) -> Vec<ObservedContainer> {
        containers.iter().filter(|container| self.is_chosen(container)).cloned().collect()
    }

    fn is_chosen(&self, container: &ObservedContainer) -> bool {
        let identity = &container.identity;
        let chosen = |(service, index): &Choice| {
            *service == identity.instance.service && index.is_none_or(|index| index == identity.instance.index)
        };
        matches!(identity.purpose, Purpose::Code | Purpose::Member)
            && (self.filter.is_empty() || self.filter.iter().any(chosen))
    }
}

/// A line of an instance, with its time.
fn told_by(instance: &InstanceName, line: LogLine) -> (Option<Timestamp>, AppLogLine) {
    let at: Option<Timestamp> = line.at.parse().ok();
    let created_at = at.map_or(line.at, clock::format_timestamp);
    let (instance, process) = (instance.clone(), line.process);
    (at, AppLogLine { created_at, instance, process, error: line.stderr, message: line.text })
}
