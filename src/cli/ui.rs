//! How the CLI speaks: results on stdout; information, progress and errors on stderr.
//!
//! Messages look like dotCloud's (`==> text`, `Warning: text`, `Error: text`). Colour is decided
//! here and nowhere else.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    Always,
    Never,
}

/// How a moment went, as a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Busy,
    Doubtful,
    Bad,
}

/// The two streams and what may be written to them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ui {
    color: Color,
    quiet: bool,
    /// Stdout carries JSON alone.
    json: bool,
}

const ARROW: Style = AnsiColor::BrightBlue.on_default().bold();
const DONE: Style = AnsiColor::BrightGreen.on_default().bold();
const WARNING: Style = AnsiColor::BrightYellow.on_default().bold();
const ERROR: Style = AnsiColor::BrightRed.on_default().bold();

impl Ui {
    pub fn new(color: Color, quiet: bool, json: bool) -> Self {
        Self { color, quiet, json }
    }

    /// `==> text` on stderr; nothing with `--quiet`.
    pub fn info(&self, text: impl AsRef<str>) {
        if !self.quiet {
            self.err(&format!("{ARROW}==>{ARROW:#} {}", text.as_ref()));
        }
    }

    /// `==> text` on stdout: the command's success. Beside JSON it is only information.
    pub fn success(&self, text: impl AsRef<str>) {
        if self.json {
            return self.info(text);
        }
        self.out(&format!("{DONE}==>{DONE:#} {}", text.as_ref()));
    }

    /// `Warning: text` on stderr.
    pub fn warning(&self, text: impl AsRef<str>) {
        self.err(&format!("{WARNING}Warning:{WARNING:#} {}", text.as_ref()));
    }

    /// `Error: text` on stderr.
    pub fn error(&self, text: impl AsRef<str>) {
        self.err(&format!("{ERROR}Error:{ERROR:#} {}", text.as_ref()));
    }

    /// A line that belongs to the message before it, on stderr.
    pub fn detail(&self, text: impl AsRef<str>) {
        self.err(text.as_ref());
    }

    /// A line of the result, on stdout.
    pub fn print(&self, text: impl AsRef<str>) {
        self.out(text.as_ref());
    }

    /// `[12:03:41] text` on stdout.
    pub fn at(&self, tone: Tone, time: &str, text: impl AsRef<str>) {
        let style = match tone {
            Tone::Good => DONE,
            Tone::Busy => ARROW,
            Tone::Doubtful => WARNING,
            Tone::Bad => ERROR,
        };
        self.out(&format!("{style}[{time}]{style:#} {}", text.as_ref()));
    }

    /// A line of the result in red, for the errors within a log.
    pub fn print_error(&self, text: impl AsRef<str>) {
        self.out(&format!("{ERROR}{}{ERROR:#}", text.as_ref()));
    }

    /// One JSON document on one line of stdout.
    pub fn json(&self, value: &impl serde::Serialize) {
        // Wire types hold strings, numbers and maps keyed by strings: they always serialise.
        if let Ok(text) = serde_json::to_string(value) {
            self.out(&text);
        }
    }

    /// Whether there is somebody to ask.
    pub fn can_ask(&self) -> bool {
        io::stdin().is_terminal()
    }

    /// Asks on the terminal; `None` when there is nobody to ask.
    pub fn ask(&self, question: &str) -> Option<String> {
        if !self.can_ask() {
            return None;
        }
        let mut err = self.stderr();
        let asked = write!(err, "{question} ").and_then(|()| err.flush());
        let mut answer = String::new();
        let read = asked.and_then(|()| io::stdin().read_line(&mut answer));
        read.ok().map(|_| answer.trim().to_owned())
    }

    /// A live line on stderr when it is a terminal. Elsewhere and with `--quiet` it draws nothing:
    /// whoever uses it also prints plain lines at the moments that matter.
    pub fn progress(&self, text: impl Into<String>) -> ProgressBar {
        if !self.is_live() {
            return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        bar.set_message(text.into());
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }

    /// Whether progress is drawn over itself rather than printed line by line.
    pub fn is_live(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    fn out(&self, line: &str) {
        let mut out = AutoStream::new(io::stdout().lock(), self.choice(&io::stdout()));
        leave_when_unread(writeln!(out, "{line}").and_then(|()| out.flush()));
    }

    fn err(&self, line: &str) {
        // Nobody can be told that stderr is closed.
        let _ = writeln!(self.stderr(), "{line}");
    }

    fn stderr(&self) -> AutoStream<io::StderrLock<'static>> {
        AutoStream::new(io::stderr().lock(), self.choice(&io::stderr()))
    }

    fn choice(&self, stream: &impl anstream::stream::RawStream) -> ColorChoice {
        match self.color {
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
            Color::Auto => AutoStream::choice(stream),
        }
    }
}

/// `dotcloud logs | head` ends when its reader does, like any filter.
fn leave_when_unread(written: io::Result<()>) {
    if written.is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        std::process::exit(0);
    }
}
