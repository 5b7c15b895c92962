//! Running commands in containers, and reading what containers said.

use std::pin::Pin;
use std::time::Duration;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults};
use bollard::query_parameters::LogsOptions;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::engine::runtime::{ExecOutput, ExecSession, ExecSpec, LogLine, LogPart, Result, TtySize};

use super::DockerRuntime;
use super::client::Client;

type Output = Pin<Box<dyn Stream<Item = std::result::Result<LogOutput, Error>> + Send>>;
type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// Between two looks at an exec that ended its output but not yet itself.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

impl DockerRuntime {
    pub(super) async fn open_exec(&self, container: &str, spec: &ExecSpec) -> Result<ExecSession> {
        self.check_ours(container).await?;
        let what = format!("container {container}");
        let attempt = || format!("run {:?} in container {container}", spec.command.join(" "));
        let made = self.client.docker.create_exec(container, create_options(spec)).await;
        let exec = made.map_err(self.client.failed_on(&what, attempt()))?.id;
        let options = StartExecOptions { detach: false, tty: spec.tty.is_some(), output_capacity: None };
        let started = self.client.docker.start_exec(&exec, Some(options)).await;
        let started = started.map_err(self.client.failed_on(&what, attempt()))?;
        Ok(session(self.client.clone(), exec, started, spec))
    }

    pub(super) async fn read_logs(
        &self,
        container: &str,
        part: LogPart,
        follow: bool,
    ) -> Result<mpsc::Receiver<LogLine>> {
        self.check_ours(container).await?;
        let options = LogsOptions {
            follow,
            stdout: true,
            stderr: true,
            timestamps: true,
            tail: part.lines.map_or_else(|| "all".to_owned(), |lines| lines.to_string()),
            since: part.since.and_then(|since| i32::try_from(since).ok()).unwrap_or_default(),
            ..Default::default()
        };
        let stream: Output = Box::pin(self.client.docker.logs(container, Some(options)));
        let (sender, receiver) = mpsc::channel(256);
        tokio::spawn(forward_lines(stream, sender));
        Ok(receiver)
    }
}

// === exec ===

fn create_options(spec: &ExecSpec) -> CreateExecOptions<String> {
    CreateExecOptions {
        attach_stdin: Some(spec.stdin),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(spec.tty.is_some()),
        env: Some(spec.env.iter().map(|(key, value)| format!("{key}={value}")).collect()),
        cmd: Some(spec.command.clone()),
        user: spec.user.clone(),
        working_dir: spec.workdir.clone(),
        ..Default::default()
    }
}

fn session(client: Client, exec: String, started: StartExecResults, spec: &ExecSpec) -> ExecSession {
    let (output_sender, output) = mpsc::channel(64);
    let (resize, resize_receiver) = mpsc::channel(4);
    let (stdin_sender, stdin_receiver) = mpsc::channel(64);
    tokio::spawn(follow_size(client.docker.clone(), exec.clone(), spec.tty, resize_receiver));
    if let StartExecResults::Attached { output: stream, input } = started {
        if spec.stdin {
            tokio::spawn(feed(input, stdin_receiver));
        }
        tokio::spawn(forward_output(client, exec, stream, output_sender));
    }
    ExecSession { stdin: spec.stdin.then_some(stdin_sender), resize, output }
}

/// Ends, closing the command's standard input, when the sender is dropped.
async fn feed(mut input: Input, mut chunks: mpsc::Receiver<Bytes>) {
    while let Some(chunk) = chunks.recv().await {
        let written = async { input.write_all(&chunk).await.and(input.flush().await) };
        // The command ended without reading everything: its exit code tells.
        if written.await.is_err() {
            return;
        }
    }
    let _ = input.shutdown().await;
}

async fn follow_size(docker: Docker, exec: String, first: Option<TtySize>, mut later: mpsc::Receiver<TtySize>) {
    let mut next = first;
    loop {
        if let Some(size) = next {
            let options = ResizeExecOptions { height: size.rows, width: size.cols };
            // A command that has ended has no size.
            let _ = docker.resize_exec(&exec, options).await;
        }
        next = later.recv().await;
        if next.is_none() {
            return;
        }
    }
}

/// How the engine begins to say that a command could not be started, on the command's own output.
const NOT_STARTED: &[u8] = b"OCI runtime exec failed";

async fn forward_output(client: Client, exec: String, mut stream: Output, sender: mpsc::Sender<Result<ExecOutput>>) {
    let mut refusal = None;
    while let Some(chunk) = stream.next().await {
        let chunk = match (refusal.take(), chunk) {
            (None, Ok(first)) if first.as_ref().starts_with(NOT_STARTED) => {
                refusal = Some(first);
                continue;
            }
            (Some(held), chunk) => {
                if sender.send(Ok(ExecOutput::Stdout(held.into_bytes()))).await.is_err() {
                    return;
                }
                chunk
            }
            (None, chunk) => chunk,
        };
        let message = match chunk {
            Ok(LogOutput::StdErr { message }) => Ok(ExecOutput::Stderr(message)),
            Ok(LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message }) => {
                Ok(ExecOutput::Stdout(message))
            }
            Err(error) => Err(client.failed("read a command's output")(error)),
        };
        if sender.send(message).await.is_err() {
            return;
        }
    }
    let mut code = exit_code(&client, &exec).await;
    if let Some(held) = refusal {
        let (output, known) = explained(&held.into_bytes(), code.as_ref().ok().copied());
        code = code.map(|code| known.unwrap_or(code));
        let _ = sender.send(Ok(output)).await;
    }
    // The receiver may be gone: then nobody wants the code.
    let _ = sender.send(code.map(ExecOutput::Exit)).await;
}

/// A command that was not started: why, and the code that a shell would end with. A command that
/// merely printed the engine's words keeps them.
fn explained(words: &[u8], code: Option<i64>) -> (ExecOutput, Option<i64>) {
    if !matches!(code, Some(126 | 127)) {
        return (ExecOutput::Stdout(Bytes::copy_from_slice(words)), None);
    }
    let words = String::from_utf8_lossy(words);
    let missing = words.contains("not found") || words.contains("no such file");
    let why = words.split("exec: ").last().unwrap_or(&words).trim().trim_end_matches(": unknown");
    (ExecOutput::Stderr(format!("cannot run {why}\n").into()), Some(if missing { 127 } else { 126 }))
}

/// The engine closes the output a moment before it knows the exit code.
async fn exit_code(client: &Client, exec: &str) -> Result<i64> {
    loop {
        let state = client.docker.inspect_exec(exec).await.map_err(client.failed("read a command's exit code"))?;
        if state.running != Some(true) {
            return Ok(state.exit_code.unwrap_or_default());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

// === logs ===

/// Joins the pieces that the engine splits long lines into.
#[derive(Default)]
struct Lines {
    partial: [Option<LogLine>; 2],
}

impl Lines {
    fn push(&mut self, stderr: bool, piece: &[u8]) -> Option<LogLine> {
        let text = String::from_utf8_lossy(piece);
        let (at, text) = text.split_once(' ').unwrap_or((&text, ""));
        let whole = text.strip_suffix('\n');
        let slot = &mut self.partial[usize::from(stderr)];
        let line =
            slot.get_or_insert_with(|| LogLine { at: at.to_owned(), stderr, process: None, text: String::new() });
        line.text.push_str(whole.map_or(text, |text| text.strip_suffix('\r').unwrap_or(text)));
        if whole.is_some() || line.text.len() > LONGEST { slot.take().map(told_apart) } else { None }
    }
}

/// What `templates/_common/mark` puts before a line: the program, this, a space.
const MARK: &str = "\u{1f} ";

/// A line without its mark.
fn told_apart(line: LogLine) -> LogLine {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|c| c.is_ascii_graphic());
    match line.text.split_once(MARK).filter(|(name, _)| is_name(name)) {
        Some((name, text)) => LogLine { process: Some(name.to_owned()), text: text.to_owned(), ..line },
        None => line,
    }
}

/// A line without an end is cut here, in bytes.
const LONGEST: usize = 1024 * 1024;

/// Ends with the log, or with its reader: a quiet container must not keep the connection.
async fn forward_lines(mut stream: Output, sender: mpsc::Sender<LogLine>) {
    let mut lines = Lines::default();
    loop {
        let piece = tokio::select! {
            piece = stream.next() => piece,
            () = sender.closed() => return,
        };
        let Some(Ok(piece)) = piece else { break };
        let stderr = matches!(piece, LogOutput::StdErr { .. });
        if let Some(line) = lines.push(stderr, &piece.into_bytes())
            && sender.send(line).await.is_err()
        {
            return;
        }
    }
    for line in lines.partial.into_iter().flatten() {
        let _ = sender.send(told_apart(line)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_quiet_log_is_closed_when_its_reader_leaves() {
        let (sender, reader) = mpsc::channel(1);
        let forwarding = tokio::spawn(forward_lines(Box::pin(futures_util::stream::pending()), sender));
        drop(reader);
        forwarding.await.unwrap();
    }

    #[test]
    fn a_command_that_does_not_exist_ends_as_in_a_shell() {
        let words =
            |why: &str| format!("OCI runtime exec failed: exec failed: unable to start: exec: {why}: unknown\r\n");
        let told = |words: &str, code| match explained(words.as_bytes(), code) {
            (ExecOutput::Stderr(text), code) => (String::from_utf8(text.to_vec()).unwrap(), code),
            (_, code) => ("its own words".to_owned(), code),
        };
        let missing = words("\"nosuch\": executable file not found in $PATH");
        let expected = "cannot run \"nosuch\": executable file not found in $PATH\n".to_owned();
        assert_eq!(told(&missing, Some(126)), (expected, Some(127)));
        assert_eq!(told(&words("\"/etc/passwd\": permission denied"), Some(126)).1, Some(126));
        assert_eq!(told(&missing, Some(0)), ("its own words".to_owned(), None));
    }

    #[test]
    fn pieces_of_a_long_line_are_joined_per_stream() {
        let mut lines = Lines::default();
        assert!(lines.push(false, b"2024-01-01T00:00:00.1Z first ").is_none());
        assert_eq!(lines.push(true, b"2024-01-01T00:00:00.2Z other\n").unwrap().text, "other");
        let joined = lines.push(false, b"2024-01-01T00:00:00.3Z half\r\n").unwrap();
        assert_eq!((joined.at.as_str(), joined.text.as_str()), ("2024-01-01T00:00:00.1Z", "first half"));
    }

    #[test]
    fn marked_lines_name_their_program_and_others_stay_as_they_are() {
        let read = |text: &str| {
            let line = Lines::default().push(false, format!("2024-01-01T00:00:00.1Z {text}\n").as_bytes()).unwrap();
            (line.process, line.text)
        };
        assert_eq!(read("uwsgi\u{1f} spawned"), (Some("uwsgi".to_owned()), "spawned".to_owned()));
        assert_eq!(read("nginx-access\u{1f} "), (Some("nginx-access".to_owned()), String::new()));
        for plain in ["plain", "two words\u{1f} x", "\u{1f} x"] {
            assert_eq!(read(plain), (None, plain.to_owned()));
        }
    }
}
