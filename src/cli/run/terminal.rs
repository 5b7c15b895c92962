//! The user's terminal while a command runs in an instance: raw, so that every key arrives there.

use rustix::termios::{self, OptionalActions, Termios};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::api::types::Size;

/// Puts the terminal back when it is dropped.
pub struct RawTerminal(Termios);

impl RawTerminal {
    /// `None` when this is no terminal.
    pub fn enter() -> Option<Self> {
        let before = termios::tcgetattr(std::io::stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that went away needs no care.
        let _ = termios::tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

pub fn size() -> Option<Size> {
    let size = termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(Size { rows: size.ws_row, cols: size.ws_col })
}

pub fn resizes() -> Option<Signal> {
    signal(SignalKind::window_change()).ok()
}

/// The size after the next change; never without a terminal.
pub async fn next_size(resized: &mut Option<Signal>) -> Option<Size> {
    match resized {
        Some(signal) => signal.recv().await.and_then(|()| size()),
        None => std::future::pending().await,
    }
}
