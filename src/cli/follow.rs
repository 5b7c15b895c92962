//! Follows what goes on in the background: a deployment, a wait, the instances' output. A daemon
//! that is killed meanwhile is started again, and following continues where it was.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::api::client::{ClientError, Lines};
use crate::api::types::{LogRecord, WaitRecord};
use crate::model::AppName;

use super::error::{CliError, Kind};
use super::{Context, describe, line};

/// A bound on waiting; `None` waits for ever.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Option<(Instant, u64)>);

/// How often in a row a connection may be lost without anything new on it.
const LOSSES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);
/// Lines of one moment arrive up to this much apart: so much is asked for again when following
/// continues.
const OVERLAP: jiff::SignedDuration = jiff::SignedDuration::from_secs(30);

impl Deadline {
    pub fn after(seconds: Option<u64>) -> Self {
        Self(seconds.map(|seconds| (Instant::now() + Duration::from_secs(seconds), seconds)))
    }

    /// The future's result, or `TimedOut` with the state of the application printed.
    pub async fn bound<T>(
        self,
        app: &AppName,
        ctx: &Context,
        work: impl Future<Output = Result<T, CliError>>,
    ) -> Result<T, CliError> {
        let Some((at, seconds)) = self.0 else { return work.await };
        match tokio::time::timeout_at(at, work).await {
            Ok(result) => result,
            Err(_) => {
                let holds = dump(app, ctx).await;
                let mut error = CliError::new(Kind::TimedOut, format!("{app} was not ready within {seconds} s"));
                error.hints.extend(holds.into_iter().map(|hold| format!("it waits: {hold}")));
                Err(error.hint("`dotcloud info` shows how far it is; `--timeout SECONDS` waits longer"))
            }
        }
    }
}

/// Prints the state on stderr, as far as the daemon still tells it; returns what is waited for.
async fn dump(app: &AppName, ctx: &Context) -> Vec<String> {
    let asked = tokio::time::timeout(Duration::from_secs(5), ctx.client.app(app.as_str())).await;
    let Ok(Ok(state)) = asked else { return Vec::new() };
    ctx.ui.detail(describe::application(&state));
    state.holds
}

/// Prints a deployment's log to its end.
///
/// # Errors
/// `DeploymentFailed`, or the connection is lost again and again.
pub async fn deployment(app: &AppName, id: &str, ctx: &Context) -> Result<(), CliError> {
    let mut seen: Option<String> = None;
    let mut losses = Losses::default();
    loop {
        let before = seen.clone();
        match deployment_once(app, id, ctx, &mut seen).await {
            Ok(Some(true)) => return Ok(()),
            Ok(Some(false)) => return Err(deployment_failed(app, id)),
            Ok(None) => losses.count(before != seen, None)?,
            Err(error @ ClientError::Lost { .. }) => losses.count(before != seen, Some(error))?,
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn deployment_failed(app: &AppName, id: &str) -> CliError {
    CliError::new(Kind::DeploymentFailed, format!("The deployment of {app} failed."))
        .hint("what was running before still runs")
        .hint(format!(
            "`dotcloud -A {app} dlogs {id}` prints its log again, `dotcloud -A {app} logs` what the instances say"
        ))
}

/// One connection: `Some(succeeded)` at the deployment's end, `None` when the stream ended before.
/// Records up to `seen` are passed over: every connection starts with the first line.
async fn deployment_once(
    app: &AppName,
    id: &str,
    ctx: &Context,
    seen: &mut Option<String>,
) -> Result<Option<bool>, ClientError> {
    let mut lines = ctx.client.deploy_log(app.as_str(), id, true, None).await?;
    while let Some(record) = lines.next::<LogRecord>().await? {
        if record.created_at > *seen {
            line::print(&record, ctx);
            seen.clone_from(&record.created_at);
        }
        match record.status.as_deref() {
            Some("deploy_end") => return Ok(Some(true)),
            Some("deploy_fail") => return Ok(Some(false)),
            _ => {}
        }
    }
    Ok(None)
}

/// Waits until everything that was asked for of these services, or of all without any, runs and
/// answers; tells what it waits for.
///
/// # Errors
/// It will not come, or the connection is lost again and again.
pub async fn ready(app: &AppName, services: &[String], ctx: &Context) -> Result<(), CliError> {
    let progress = ctx.ui.progress(format!("Waiting for {app}"));
    let mut told = HashSet::new();
    let mut losses = Losses::default();
    let result = loop {
        match ready_once(app, services, ctx, &progress, &mut told).await {
            Ok(Some(WaitRecord::Ready)) => break Ok(()),
            Ok(Some(WaitRecord::Failed { message })) => break Err(CliError::failed(message)),
            Ok(_) => losses.count(false, None)?,
            Err(error @ ClientError::Lost { .. }) => losses.count(false, Some(error))?,
            Err(error) => break Err(error.into()),
        }
        tokio::time::sleep(PAUSE).await;
    };
    progress.finish_and_clear();
    result
}

async fn ready_once(
    app: &AppName,
    services: &[String],
    ctx: &Context,
    progress: &indicatif::ProgressBar,
    told: &mut HashSet<String>,
) -> Result<Option<WaitRecord>, ClientError> {
    let mut lines = ctx.client.wait(app.as_str(), services).await?;
    while let Some(record) = lines.next::<WaitRecord>().await? {
        let WaitRecord::Waiting { holds } = record else { return Ok(Some(record)) };
        progress.set_message(format!("Waiting: {}", holds.join("; ")));
        if !ctx.ui.is_live() {
            // Each is told once, however often it comes back.
            let news: Vec<&String> = holds.iter().filter(|hold| told.insert(timeless(hold))).collect();
            few(&news).iter().for_each(|line| ctx.ui.info(format!("Waiting: {line}")));
        }
    }
    Ok(None)
}

/// Without its lengths of time, which alone are no news: `db.0: no answer for 664 ms`.
fn timeless(hold: &str) -> String {
    let words: Vec<&str> = hold.split(' ').collect();
    let is_unit =
        |at: usize| words.get(at).is_some_and(|word| matches!(word.trim_end_matches([',', ':', ';']), "ms" | "s"));
    let is_time = |(at, word): (usize, &&str)| word.parse::<f64>().is_ok() && is_unit(at + 1);
    words
        .iter()
        .enumerate()
        .map(|(at, word)| if is_time((at, word)) { "…" } else { word })
        .collect::<Vec<_>>()
        .join(" ")
}

/// The first of what is new at once: of forty instances that start nobody reads forty lines.
fn few(news: &[&String]) -> Vec<String> {
    const MOST: usize = 8;
    let mut lines: Vec<String> = news.iter().take(MOST).map(|hold| (*hold).clone()).collect();
    if news.len() > MOST {
        lines.push(format!("{} more, `dotcloud info` lists them", news.len() - MOST));
    }
    lines
}

/// Prints what instances print. With `follow` until the caller stops it.
pub async fn logs(
    app: &AppName,
    filter: &[String],
    mut lines: Option<u32>,
    follow: bool,
    ctx: &Context,
) -> Result<(), CliError> {
    let mut since = None;
    let mut columns = line::Columns::default();
    let mut seen = Seen::default();
    let mut losses = Losses::default();
    loop {
        let mut news = false;
        let ended = match ctx.client.logs(app.as_str(), filter, lines, since.as_deref(), follow).await {
            Ok(stream) => print_new(stream, &mut seen, &mut columns, &mut news, ctx).await,
            Err(error) => Err(error),
        };
        match ended {
            Ok(()) if !follow => return Ok(()),
            Ok(()) => losses.count(news, None)?,
            Err(error @ ClientError::Lost { .. }) if follow => losses.count(news, Some(error))?,
            Err(error) => return Err(error.into()),
        }
        seen.connected_again();
        since = seen.resume_at();
        lines = if since.is_some() { None } else { lines };
        tokio::time::sleep(PAUSE).await;
    }
}

async fn print_new(
    mut stream: Lines,
    seen: &mut Seen,
    columns: &mut line::Columns,
    news: &mut bool,
    ctx: &Context,
) -> Result<(), ClientError> {
    while let Some(record) = stream.next::<LogRecord>().await? {
        if seen.is_new(&record) {
            *news = true;
            columns.print(&record, ctx);
        }
    }
    Ok(())
}

/// The time of each instance's newest line, so that a later connection repeats none.
#[derive(Debug, Default)]
struct Seen {
    /// Before this connection. Within one, lines of the same time are different lines.
    before: HashMap<Origin, String>,
    newest: HashMap<Origin, String>,
}

type Origin = (Option<String>, Option<u32>);

impl Seen {
    fn connected_again(&mut self) {
        self.before.clone_from(&self.newest);
    }

    /// From when on lines are asked for again; `None` before the first line.
    fn resume_at(&self) -> Option<String> {
        let newest: jiff::Timestamp = self.newest.values().max()?.parse().ok()?;
        Some(newest.checked_sub(OVERLAP).ok()?.to_string())
    }

    fn is_new(&mut self, record: &LogRecord) -> bool {
        let Some(at) = &record.created_at else { return true };
        let origin = (record.service.clone(), record.instance);
        let is_new = self.before.get(&origin).is_none_or(|before| at > before);
        if is_new {
            self.newest.insert(origin, at.clone());
        }
        is_new
    }
}

/// Gives up when a connection is lost again and again.
#[derive(Debug, Default)]
pub struct Losses(u32);

impl Losses {
    /// Counts a loss; `news` when something new came since the last one.
    ///
    /// # Errors
    /// It was one too many.
    pub fn count(&mut self, news: bool, error: Option<ClientError>) -> Result<(), CliError> {
        self.0 = if news { 1 } else { self.0 + 1 };
        match error {
            _ if self.0 < LOSSES => Ok(()),
            Some(error) => Err(error.into()),
            None => Err(CliError::new(
                Kind::Unreachable,
                "The connection was lost, but the work goes on in the background.",
            )
            .hint("`dotcloud daemon status` tells whether the daemon runs; its log is beside its socket")),
        }
    }
}

/// Resolves when the user or the system asks this program to end: Ctrl-C or SIGTERM.
pub async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without handlers the signals end the program by themselves.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_passes_is_no_news() {
        let [early, late] = ["664", "918"].map(|ms| timeless(&format!("pg.0: no answer for {ms} ms, and nobody else")));
        assert_eq!(early, late);
        assert_ne!(timeless("db.10 waits"), timeless("db.11 waits"));
    }

    #[test]
    fn many_that_wait_are_counted_instead_of_listed() {
        let holds: Vec<String> = (0..40).map(|index| format!("db.{index} waits")).collect();
        let lines = few(&holds.iter().collect::<Vec<_>>());
        assert_eq!(lines.len(), 9);
        assert_eq!((lines[7].as_str(), lines[8].as_str()), ("db.7 waits", "32 more, `dotcloud info` lists them"));
        assert_eq!(few(&holds[..8].iter().collect::<Vec<_>>()), holds[..8]);
    }

    #[test]
    fn continued_log_repeats_no_line_and_keeps_lines_of_one_moment() {
        let line = |instance, at: &str| LogRecord {
            created_at: Some(at.to_owned()),
            service: Some("www".to_owned()),
            instance: Some(instance),
            process: None,
            level: None,
            message: String::new(),
            status: None,
        };
        let mut seen = Seen::default();
        assert!([line(0, "1"), line(0, "2"), line(0, "2"), line(1, "1")].iter().all(|line| seen.is_new(line)));
        seen.connected_again();
        assert_eq!(seen.resume_at(), None, "no time, no place to go on from");
        let again = [line(0, "1"), line(0, "2"), line(1, "1"), line(1, "2"), line(0, "3")];
        assert_eq!(again.map(|line| seen.is_new(&line)), [false, false, false, true, true]);
    }

    #[test]
    fn losses_in_a_row_are_given_up_and_news_start_the_count_again() {
        let mut losses = Losses::default();
        assert!((1..LOSSES).all(|_| losses.count(false, None).is_ok()));
        assert!(losses.count(true, None).is_ok());
        assert!((2..LOSSES).all(|_| losses.count(false, None).is_ok()));
        assert_eq!(losses.count(false, None).unwrap_err().kind, Kind::Unreachable);
    }
}
