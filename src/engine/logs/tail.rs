//! What one container prints from now on: over its restarts, until it is removed.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::engine::app::App;
use crate::engine::inner::Inner;
use crate::engine::runtime::{LogLine, LogPart};
use crate::engine::view::AppLogLine;
use crate::model::InstanceName;
use crate::model::observed::{ObservedContainer, RunState};

use super::told_by;

/// Between two attempts to read a container that seems to run.
const PAUSE: Duration = Duration::from_millis(100);

/// Sends every line after `newest`, each once: an output that ended, with its container or with
/// its connection, is read on from the last line that was seen.
pub(super) async fn tail(
    inner: Arc<Inner>,
    app: Arc<App>,
    container: ObservedContainer,
    mut newest: Option<Timestamp>,
    sender: mpsc::Sender<AppLogLine>,
) {
    let instance = &container.identity.instance;
    loop {
        let part = LogPart { lines: None, since: newest.map(Timestamp::as_second) };
        if let Ok(output) = inner.runtime.logs(&container.id, part, true).await {
            pass_on(output, instance, &mut newest, &sender).await;
        }
        tokio::select! {
            runs = runs_again(&app, &container.id) => if !runs { return },
            () = sender.closed() => return,
        }
    }
}

/// False once the container is gone.
async fn runs_again(app: &App, container: &str) -> bool {
    tokio::time::sleep(PAUSE).await;
    let mut status = app.status.subscribe();
    let state = |containers: &[ObservedContainer]| containers.iter().find(|c| c.id == container).map(|c| c.state);
    let decided = status.wait_for(|status| {
        status.gone || matches!(state(&status.observed.containers), None | Some(RunState::Running | RunState::Paused))
    });
    decided.await.is_ok_and(|status| !status.gone && state(&status.observed.containers).is_some())
}

/// Ends with the output, or with its reader: a quiet container must not keep it, and with it a
/// stream of the runtime, for good.
async fn pass_on(
    mut output: mpsc::Receiver<LogLine>,
    instance: &InstanceName,
    newest: &mut Option<Timestamp>,
    sender: &mpsc::Sender<AppLogLine>,
) {
    loop {
        let line = tokio::select! {
            line = output.recv() => line,
            () = sender.closed() => return,
        };
        let Some(line) = line else { return };
        let (at, line) = told_by(instance, line);
        if at.is_some() && at <= *newest {
            continue;
        }
        *newest = at.or(*newest);
        if sender.send(line).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(second: u32) -> LogLine {
        let at = format!("2026-11-22T00:00:0{second}.000000001Z");
        LogLine { at, stderr: false, process: None, text: second.to_string() }
    }

    #[tokio::test]
    async fn a_quiet_container_is_let_go_when_the_reader_leaves() {
        let (quiet, output) = mpsc::channel(1);
        let (sender, reader) = mpsc::channel(1);
        let passing = tokio::spawn(async move {
            pass_on(output, &"www.0".parse().unwrap(), &mut None, &sender).await;
        });
        drop(reader);
        passing.await.unwrap();
        assert!(quiet.is_closed());
    }

    #[tokio::test]
    async fn an_output_that_is_read_again_repeats_no_line() {
        let (sender, mut reader) = mpsc::channel(8);
        let mut newest = None;
        for seconds in [vec![1, 2], vec![1, 2, 3], vec![3]] {
            let (writer, output) = mpsc::channel(8);
            for second in seconds {
                writer.send(line(second)).await.unwrap();
            }
            drop(writer);
            pass_on(output, &"www.0".parse().unwrap(), &mut newest, &sender).await;
        }
        drop(sender);
        let mut text = String::new();
        while let Some(line) = reader.recv().await {
            text.push_str(&line.message);
        }
        assert_eq!(text, "123");
    }
}
