//! From the master to the client.

use super::super::frame::NotRedis;
use super::{Acks, Cut, Expect, HELD_MAX, Mode, Session, WHOLE_MAX};

/// Where the bytes of the reply at hand go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Client,
    /// Behind what is held back, or first of it.
    Held,
    /// It is read before it is known where it goes.
    Scratch(Option<Expect>),
    /// Perhaps the answer to our mark, as far as it looks like that.
    Mark,
}

impl From<NotRedis> for Cut {
    fn from(_: NotRedis) -> Self {
        Self::NotRedis
    }
}

impl Session {
    /// Takes what the master said.
    ///
    /// # Errors
    /// The session must be reset: what is held back must not be taken for acknowledged.
    pub fn replies(&mut self, mut bytes: &[u8], acks: Acks) -> Result<(), Cut> {
        while let Some(kind) = bytes.first() {
            if self.frames.is_between() {
                self.settle(acks);
                self.target = self.begin(*kind)?;
                self.scratch.clear();
            }
            let (here, whole) = self.frames.scan(bytes)?;
            self.take(&bytes[..here])?;
            if whole {
                self.complete(acks)?;
            }
            bytes = &bytes[here..];
        }
        self.settle(acks);
        Ok(())
    }

    /// A reply begins: whose it is.
    fn begin(&mut self, kind: u8) -> Result<Target, Cut> {
        let plain = if self.held.is_empty() { Target::Client } else { Target::Held };
        match self.mode {
            Mode::Subscribed { .. } | Mode::Monitoring => return Ok(Target::Client),
            Mode::Fenced | Mode::Resetting => return Ok(Target::Mark),
            Mode::Silent if kind != b'>' => return Err(Cut::Unasked),
            Mode::Silent | Mode::InStep => {}
        }
        if kind == b'>' {
            return Ok(plain);
        }
        let Some(expected) = self.next_expected() else { return Ok(plain) };
        self.learn(expected, kind);
        Ok(match expected {
            Expect::Pass | Expect::Reset | Expect::Verdict => plain,
            // An error acknowledges nothing.
            Expect::Hold if kind == b'-' => plain,
            Expect::Hold => Target::Held,
            Expect::Queued | Expect::Multi if kind == b'-' => plain,
            Expect::Queued | Expect::Multi | Expect::Nudge | Expect::Wait | Expect::Probe => {
                Target::Scratch(Some(expected))
            }
        })
    }

    /// What the first byte of a reply tells.
    fn learn(&mut self, of: Expect, kind: u8) {
        match of {
            Expect::Pass | Expect::Hold | Expect::Queued if kind != b'-' => self.logged_in = Some(true),
            // The transaction did not begin. What was sent as if it had is not answered as such.
            Expect::Multi if kind == b'-' => self.in_multi = false,
            _ => {}
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Cut> {
        match self.target {
            Target::Client => self.to_client.extend_from_slice(bytes),
            Target::Held => return self.hold(bytes),
            Target::Scratch(_) if self.scratch.len() + bytes.len() > WHOLE_MAX => return Err(Cut::TooMuch),
            Target::Scratch(_) => self.scratch.extend_from_slice(bytes),
            Target::Mark => {
                self.scratch.extend_from_slice(bytes);
                if !self.marks().iter().any(|mark| mark.starts_with(&self.scratch)) {
                    self.to_client.extend_from_slice(&self.scratch);
                    self.target = Target::Client;
                }
            }
        }
        Ok(())
    }

    /// Of one large reply only the end is held back: without it nobody takes the reply for
    /// complete.
    fn hold(&mut self, bytes: &[u8]) -> Result<(), Cut> {
        self.held.extend_from_slice(bytes);
        if self.held.len() > WHOLE_MAX && self.held_whole == 0 {
            let before = self.held.split_to(self.held.len() - 2);
            self.to_client.unsplit(before);
        }
        if self.held.len() > HELD_MAX { Err(Cut::TooMuch) } else { Ok(()) }
    }

    fn complete(&mut self, acks: Acks) -> Result<(), Cut> {
        match self.target {
            Target::Client => Ok(()),
            Target::Held => {
                self.held_whole += 1;
                Ok(())
            }
            Target::Mark => self.marked(),
            Target::Scratch(Some(Expect::Nudge)) => self.nudged(),
            Target::Scratch(Some(Expect::Wait)) => self.answered(acks),
            Target::Scratch(Some(Expect::Probe)) => {
                self.logged_in = Some(!self.scratch.starts_with(b"-NOAUTH"));
                Ok(())
            }
            Target::Scratch(Some(Expect::Multi)) => self.queued(b"+OK\r\n"),
            Target::Scratch(_) => self.queued(b"+QUEUED\r\n"),
        }
    }

    /// Within a transaction replies acknowledge nothing, as long as they say no more than that
    /// the transaction goes on.
    fn queued(&mut self, harmless: &[u8]) -> Result<(), Cut> {
        if self.scratch != harmless {
            return Err(Cut::Unqueued);
        }
        let to = if self.held.is_empty() { &mut self.to_client } else { &mut self.held };
        to.extend_from_slice(&self.scratch);
        Ok(())
    }

    fn nudged(&mut self) -> Result<(), Cut> {
        if self.held.is_empty() || self.scratch.starts_with(b":") { Ok(()) } else { Err(Cut::Nudge(self.line())) }
    }

    /// What was read of a reply of one line.
    fn line(&self) -> String {
        String::from_utf8_lossy(&self.scratch).trim_end().to_owned()
    }

    fn answered(&mut self, acks: Acks) -> Result<(), Cut> {
        // Who may not ask may not write either.
        if self.scratch.starts_with(b"-NOAUTH") {
            self.release();
            return Ok(());
        }
        let text = self.line();
        match text.strip_prefix(':').and_then(|number| number.parse().ok()) {
            Some(have) => self.judge(have, acks),
            // All that was written was refused, perhaps for the same reason.
            None if self.held.is_empty() => {}
            None => return Err(Cut::Wait(text)),
        }
        Ok(())
    }

    /// The answers to our mark: to a client that listens to channels only, and to any other.
    fn marks(&self) -> [Vec<u8>; 2] {
        if self.mode == Mode::Resetting {
            return [b"+RESET\r\n".to_vec(), b"+RESET\r\n".to_vec()];
        }
        let text = format!("${}\r\n{}\r\n", self.mark.len(), self.mark);
        [text.clone().into_bytes(), format!("*2\r\n$4\r\npong\r\n{text}").into_bytes()]
    }

    fn marked(&mut self) -> Result<(), Cut> {
        if self.mode == Mode::Resetting {
            self.to_client.extend_from_slice(&self.scratch);
            (self.mode, self.listened) = (Mode::InStep, false);
        } else {
            let listens = self.scratch.first() == Some(&b'*');
            self.mode = if listens { Mode::Subscribed { passes: 1 } } else { Mode::InStep };
        }
        Ok(())
    }
}
