//! What several containers have printed so far, merged by time.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::engine::inner::Inner;
use crate::engine::runtime::{LogLine, LogPart};
use crate::engine::view::{AppLogLine, LogWish};
use crate::model::InstanceName;
use crate::model::observed::ObservedContainer;

use super::told_by;

/// The containers' outputs, each with its next line at hand.
pub(super) struct Backlog {
    outputs: Vec<Output>,
    since: Option<Timestamp>,
}

struct Output {
    container: String,
    instance: InstanceName,
    lines: mpsc::Receiver<LogLine>,
    next: Option<(Option<Timestamp>, AppLogLine)>,
    newest: Option<Timestamp>,
}

impl Backlog {
    /// A container that cannot be read has nothing to say.
    pub async fn open(inner: &Inner, containers: &[ObservedContainer], wish: &LogWish) -> Self {
        let part = LogPart { lines: wish.lines, since: wish.since.map(Timestamp::as_second) };
        let mut backlog = Self { outputs: Vec::new(), since: wish.since };
        for container in containers {
            if let Ok(lines) = inner.runtime.logs(&container.id, part, false).await {
                let (container, instance) = (container.id.clone(), container.identity.instance.clone());
                backlog.add(Output { container, instance, lines, next: None, newest: None }).await;
            }
        }
        backlog
    }

    async fn add(&mut self, mut output: Output) {
        output.advance(self.since).await;
        self.outputs.push(output);
    }

    /// The earliest line that is left.
    pub async fn next(&mut self) -> Option<AppLogLine> {
        let at = |output: &Output| output.next.as_ref().map(|(at, _)| *at);
        let waiting = self.outputs.iter().enumerate().filter_map(|(place, output)| Some((at(output)?, place)));
        let (_, place) = waiting.min()?;
        let output = &mut self.outputs[place];
        let (at, line) = output.next.take()?;
        output.newest = output.newest.max(at);
        output.advance(self.since).await;
        Some(line)
    }

    pub fn newest(self) -> BTreeMap<String, Option<Timestamp>> {
        self.outputs.into_iter().map(|output| (output.container, output.newest)).collect()
    }
}

impl Output {
    /// Docker knows whole seconds: what is older than asked for is passed over here.
    async fn advance(&mut self, since: Option<Timestamp>) {
        while let Some(line) = self.lines.recv().await {
            let (at, line) = told_by(&self.instance, line);
            if since.is_none() || at >= since {
                self.next = Some((at, line));
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_of_several_instances_come_in_the_order_of_their_times() {
        let mut backlog = Backlog { outputs: Vec::new(), since: Some("2026-11-22T00:00:01Z".parse().unwrap()) };
        for (index, seconds) in [(0, [0, 3, 5]), (1, [1, 4, 6])] {
            let (sender, lines) = mpsc::channel(3);
            for second in seconds {
                let at = format!("2026-11-22T00:00:0{second}.5Z");
                let line = LogLine { at, stderr: false, process: None, text: second.to_string() };
                sender.send(line).await.unwrap();
            }
            let instance = format!("www.{index}").parse().unwrap();
            let container = index.to_string();
            backlog.add(Output { container, instance, lines, next: None, newest: None }).await;
        }
        let mut text = String::new();
        while let Some(line) = backlog.next().await {
            text.push_str(&line.message);
        }
        assert_eq!(text, "13456");
        assert_eq!(backlog.newest()["1"], Some("2026-11-22T00:00:06.5Z".parse().unwrap()));
    }
}
