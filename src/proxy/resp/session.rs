//! One client's conversation with a master whose writes wait for slaves. Bytes in, bytes out:
//! no socket, no clock.
//!
//! ```text
//! client:  SET a 1 | INCR n           | GET n
//! master:  SET a 1 | INCR n | WAIT …  | GET n          a run of writes ends with a question
//! master:  OK      | 2      | 1       | 2
//! client:                   OK, 2     | 2              held back until its answer
//! ```
//!
//! While a question is open no further command is sent, so that what comes meanwhile makes the
//! next run; only a client that sends more than the inbox holds is not kept waiting. Nothing
//! is asked within a transaction: its replies before `EXEC` acknowledge nothing.

mod replies;
mod requests;

use std::collections::VecDeque;

use bytes::BytesMut;

use super::frame::Frames;
use super::request::Walk;

/// A client is read no further while so many bytes wait to be sent on.
pub(super) const INBOX: usize = 128 * 1024;
/// Writes that one question covers at most.
const RUN_MAX: u32 = 1024;
/// More than this of one single reply is not held back whole: its end is enough.
const WHOLE_MAX: usize = 64 * 1024;
/// Replies that may wait behind a write; a session that needs more is cut.
const HELD_MAX: usize = 4 * 1024 * 1024;
/// How long one question waits, in milliseconds. It is asked again for as long as it has to.
const WAIT_MS: u32 = 100;

/// Why a session cannot go on: its client must not take what is held back for acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Cut {
    #[error("the server's answer is not Redis' protocol")]
    NotRedis,
    #[error("a request is not Redis' protocol: {0}")]
    Request(&'static str),
    #[error("the server answered {0:?} to WAIT")]
    Wait(String),
    #[error("the server answered {0:?} to SPUBLISH")]
    Nudge(String),
    #[error("a reply within a transaction was not expected")]
    Unqueued,
    #[error("a reply came though replies are switched off")]
    Unasked,
    #[error("more than {HELD_MAX} bytes of replies wait behind a write")]
    TooMuch,
}

/// How many slaves a write waits for now; `None` when the route leads nowhere any more.
pub(super) type Acks = Option<u32>;

/// What is done with the next reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Pass,
    Hold,
    /// Of a command within a transaction.
    Queued,
    Multi,
    Reset,
    /// Ours: see [`Session::nudge`].
    Nudge,
    /// Ours: the answer to a question.
    Wait,
    /// Ours: no question was needed when the run ended; whether that still holds is seen when
    /// its replies are here.
    Verdict,
    /// Ours: whether the client has logged in.
    Probe,
}

/// How replies belong to commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// One reply for each command.
    InStep,
    /// Messages of channels come at any time; so many further commands need no fence.
    Subscribed {
        passes: u32,
    },
    /// A mark was sent, to see which replies are messages.
    Fenced,
    /// All commands of everybody come at any time.
    Monitoring,
    /// The server was told to answer `RESET`, after which all is as in the beginning.
    Resetting,
    Silent,
}

pub(super) struct Session {
    /// Received from the client, not yet looked at.
    pub inbox: BytesMut,
    pub to_server: BytesMut,
    pub to_client: BytesMut,
    /// Replies to writes of which it is not known that a slave has them, and what came behind.
    held: BytesMut,
    /// Complete replies among them.
    held_whole: u32,
    expected: VecDeque<(Expect, u32)>,
    mode: Mode,
    /// The rest of a command whose beginning was sent.
    walk: Option<Walk>,
    /// The run ends with that command.
    ends_run: bool,
    /// Writes were sent since the last question.
    run: u32,
    in_multi: bool,
    /// The next command is not answered.
    skips: bool,
    /// What was sent last may wait for other clients.
    blocks: bool,
    /// Since the last question a write was sent that may be carried out within another client's.
    woken: bool,
    /// Channels were asked for: they are listened to, perhaps.
    listened: bool,
    logged_in: Option<bool>,
    /// What a client is told that cannot be served.
    refused: Option<&'static str>,
    closing: bool,
    frames: Frames,
    target: replies::Target,
    /// The reply at hand, where its words matter.
    scratch: Vec<u8>,
    /// What nobody else says.
    mark: String,
}

impl Session {
    /// `mark` must not be guessed by anybody who could publish it on a channel.
    pub fn new(mark: String) -> Self {
        Self {
            inbox: BytesMut::new(),
            to_server: BytesMut::new(),
            to_client: BytesMut::new(),
            held: BytesMut::new(),
            held_whole: 0,
            expected: VecDeque::new(),
            mode: Mode::InStep,
            walk: None,
            ends_run: false,
            run: 0,
            in_multi: false,
            skips: false,
            blocks: false,
            woken: false,
            listened: false,
            logged_in: None,
            refused: None,
            closing: false,
            frames: Frames::new(),
            target: replies::Target::Client,
            scratch: Vec::new(),
            mark,
        }
    }

    /// Whether the client's end of the conversation may be passed on: nothing that it still
    /// could be told is under way, or what is may wait for ever.
    pub fn may_end(&self) -> bool {
        let answered = self.expected.is_empty() && self.held.is_empty() && self.frames.is_between();
        match self.mode {
            Mode::InStep => answered || self.blocks,
            // The answer to our mark is to come, and what waits for it after that.
            Mode::Fenced | Mode::Resetting => false,
            Mode::Subscribed { .. } | Mode::Monitoring | Mode::Silent => true,
        }
    }

    /// Whether a reply is held back, or is not complete.
    pub fn owes(&self) -> bool {
        !self.held.is_empty() || !self.frames.is_between()
    }

    /// Nothing more is to be sent to the client than what is in `to_client`.
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    fn expect(&mut self, what: Expect) {
        match self.expected.back_mut() {
            Some((last, times)) if *last == what => *times += 1,
            _ => self.expected.push_back((what, 1)),
        }
    }

    /// Takes the next expectation off the list.
    fn next_expected(&mut self) -> Option<Expect> {
        let (what, times) = self.expected.front_mut()?;
        let what = *what;
        *times -= 1;
        if *times == 0 {
            self.expected.pop_front();
        }
        Some(what)
    }

    /// Whether it is still to be seen if what was written may be acknowledged.
    fn asks(&self) -> bool {
        let arriving = !self.frames.is_between() && self.target == replies::Target::Scratch(Some(Expect::Wait));
        arriving || self.expected.iter().any(|(what, _)| matches!(what, Expect::Wait | Expect::Verdict))
    }

    /// Asks for the writes of this run, or notes that there is nobody to wait for.
    fn end_run(&mut self, acks: Acks) {
        self.run = 0;
        if acks == Some(0) {
            self.expect(Expect::Verdict);
        } else {
            self.ask(acks);
        }
    }

    fn ask(&mut self, acks: Acks) {
        if std::mem::take(&mut self.woken) {
            self.nudge();
        }
        let acks = acks.unwrap_or(1).max(1).to_string();
        let (count, limit) = (acks.len(), WAIT_MS.to_string());
        let question = format!("*3\r\n$4\r\nWAIT\r\n${count}\r\n{acks}\r\n${}\r\n{limit}\r\n", limit.len());
        self.to_server.extend_from_slice(question.as_bytes());
        self.expect(Expect::Wait);
    }

    /// `WAIT` waits for what this connection wrote last. A write that had waited for another
    /// client is carried out within that one's and does not count, so that the slave might lack
    /// it. A message on a channel of nobody goes to the slaves behind it, and does.
    fn nudge(&mut self) {
        self.to_server.extend_from_slice(b"*3\r\n$8\r\nSPUBLISH\r\n$15\r\ndotcloud:nobody\r\n$0\r\n\r\n");
        self.expect(Expect::Nudge);
    }

    fn send_mark(&mut self) {
        let mark = format!("*2\r\n$4\r\nPING\r\n${}\r\n{}\r\n", self.mark.len(), self.mark);
        self.to_server.extend_from_slice(mark.as_bytes());
    }

    fn release(&mut self) {
        self.to_client.unsplit(self.held.split());
        self.held_whole = 0;
    }

    /// What follows from what is known now, without a further byte.
    fn settle(&mut self, acks: Acks) {
        // A reply that is still arriving belongs to the run.
        while self.frames.is_between() && matches!(self.expected.front(), Some((Expect::Verdict, _))) {
            self.next_expected();
            self.judge(u32::MAX * u32::from(acks == Some(0)), acks);
        }
        if self.expected.is_empty() && self.held.is_empty() && self.frames.is_between() {
            self.blocks = false;
            if let Some(why) = self.refused.filter(|_| !self.closing) {
                self.to_client.extend_from_slice(format!("-ERR {why}\r\n").as_bytes());
                self.closing = true;
            }
        }
    }

    /// So many slaves have everything that was written before the question.
    fn judge(&mut self, have: u32, acks: Acks) {
        if acks.is_some_and(|acks| have >= acks) {
            self.release();
        } else if !self.held.is_empty() && !self.asks() {
            self.ask(acks);
        }
    }
}
