//! An application's log: the output of the chosen instances, interleaved as it comes, followed
//! across restarts and redeploys.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::model::observed::{ObservedContainer, Purpose};
use crate::model::{AppName, InstanceName, ServiceName};

use super::app::App;
use super::clock;
use super::handle::{Engine, EngineError, Result};
use super::inner::Inner;
use super::runtime::LogLine;
use super::view::AppLogLine;

impl Engine {
    /// `filter`: services and instances; empty means all. `lines`: of each instance.
    pub async fn logs(
        &self,
        app: &AppName,
        filter: Vec<String>,
        lines: Option<u32>,
        follow: bool,
    ) -> Result<mpsc::Receiver<AppLogLine>> {
        let app = self.inner().app(app)?;
        let filter = filter.iter().map(|text| parse(&app, text)).collect::<Result<Vec<_>>>()?;
        let (sender, receiver) = mpsc::channel(256);
        let tailer = Tailer { inner: self.inner().clone(), app, filter, lines, sender };
        tokio::spawn(tailer.run(follow));
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

struct Tailer {
    inner: Arc<Inner>,
    app: Arc<App>,
    filter: Vec<Choice>,
    lines: Option<u32>,
    sender: mpsc::Sender<AppLogLine>,
}

impl Tailer {
    async fn run(self, follow: bool) {
        let mut status = self.app.status.subscribe();
        let mut tailed = BTreeSet::new();
        let mut first = true;
        loop {
            let observed = status.borrow_and_update().observed.clone();
            for container in observed.containers.iter().filter(|container| self.is_chosen(container)) {
                // A restarted container is tailed anew, from where it was started.
                if tailed.insert((container.id.clone(), container.pid)) {
                    self.tail(container, if first { self.lines } else { None }, first, follow).await;
                }
            }
            first = false;
            if !follow {
                return;
            }
            tokio::select! {
                changed = status.changed() => if changed.is_err() { return },
                () = self.sender.closed() => return,
            }
        }
    }

    fn is_chosen(&self, container: &ObservedContainer) -> bool {
        let identity = &container.identity;
        let chosen = |(service, index): &Choice| {
            *service == identity.instance.service && index.is_none_or(|index| index == identity.instance.index)
        };
        matches!(identity.purpose, Purpose::Code | Purpose::Member)
            && (self.filter.is_empty() || self.filter.iter().any(chosen))
    }

    /// Without `follow` one after the other; with it each in a task of its own.
    async fn tail(&self, container: &ObservedContainer, lines: Option<u32>, first: bool, follow: bool) {
        let (instance, sender) = (container.identity.instance.clone(), self.sender.clone());
        let since = if first { None } else { container.started_at.clone() };
        let Ok(output) = self.inner.runtime.logs(&container.id, lines, follow).await else { return };
        let pass = pass_on(output, instance, since, sender);
        if follow {
            tokio::spawn(pass);
        } else {
            pass.await;
        }
    }
}

/// Ends with the output, or with its reader: a quiet container must not keep it, and with it a
/// stream of the runtime, for good.
async fn pass_on(
    mut output: mpsc::Receiver<LogLine>,
    instance: InstanceName,
    since: Option<String>,
    sender: mpsc::Sender<AppLogLine>,
) {
    loop {
        let line = tokio::select! {
            line = output.recv() => line,
            () = sender.closed() => return,
        };
        let Some(line) = line else { return };
        let at: Option<jiff::Timestamp> = line.at.parse().ok();
        let since: Option<jiff::Timestamp> = since.as_ref().and_then(|since| since.parse().ok());
        if at < since {
            continue;
        }
        let created_at = at.map_or(line.at, clock::format_timestamp);
        let line = AppLogLine { created_at, instance: instance.clone(), error: line.stderr, message: line.text };
        if sender.send(line).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_quiet_container_is_let_go_when_the_reader_leaves() {
        let (quiet, output) = mpsc::channel(1);
        let (sender, reader) = mpsc::channel(1);
        let passing = tokio::spawn(pass_on(output, "www.0".parse().unwrap(), None, sender));
        drop(reader);
        passing.await.unwrap();
        assert!(quiet.is_closed());
    }
}
