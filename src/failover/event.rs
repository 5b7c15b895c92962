//! What a group's machine is told and what it asks for.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::model::{Epoch, Vouched};

use super::dialect::{MemberReport, Motion, RoleChange};

/// A point in time: how long the driver had been running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(pub Duration);

/// One process of one member. Restarted, a member is another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Server {
    pub index: u32,
    /// Given by the driver; grows with every new process of any member.
    pub incarnation: u64,
}

/// A member as it was observed: whoever should be there, or still has something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    pub index: u32,
    /// `None` while it has none: its pod is gone, or is still to be made.
    pub addr: Option<SocketAddr>,
    /// The incarnation that runs, if one does.
    pub incarnation: Option<u64>,
    pub paused: bool,
    /// To be removed once it is not the master.
    pub leaving: bool,
}

/// How a request to a server stayed without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Miss {
    /// Nothing listens, or the connection broke and could not be made again.
    Refused,
    /// The time-out passed. `busy`: the server's processes were seen at work, so that it works
    /// rather than hangs, or who asked did not run itself.
    Silent { busy: bool },
}

/// Something that happened. Past tense.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The time of `next_timeout` has come.
    Ticked,
    /// What the ledger says, or why it cannot be read.
    Loaded(Result<Option<Epoch>, String>),
    /// What the ledger vouches for, told before `Loaded`: see [`Action::Vouch`].
    Vouched(Option<Vouched>),
    /// What a `Vouch` came to.
    VouchKept {
        epoch: u64,
        upstream: Option<SocketAddr>,
        result: Result<(), String>,
    },
    /// The commit of this epoch is on disk, or failed.
    Committed(Epoch, Result<(), String>),
    /// All members of the group, in one look.
    Observed(Vec<Seat>),
    /// The process is gone for certain.
    Died(Server),
    Answered(Server),
    Missed(Server, Miss),
    /// `asked` is the moment of the `Ask` that this answers.
    Reported {
        server: Server,
        asked: Moment,
        report: MemberReport,
    },
    /// The server answers, but with an error to what was asked.
    Complained {
        server: Server,
        error: String,
    },
    /// The outcome of a `Command`; on success what the server says of itself afterwards.
    Commanded {
        server: Server,
        change: RoleChange,
        result: Result<MemberReport, String>,
    },
    /// The outcome of a `Carry`.
    Carried {
        server: Server,
        motion: Motion,
        result: Result<(), String>,
    },
    /// Where clients and other members find each member, by number.
    Advertised(BTreeMap<u32, SocketAddr>),
    /// So many per cent of the copy that this server is to become have arrived.
    Copied {
        server: Server,
        percent: u8,
    },
    KillFailed {
        server: Server,
        error: String,
    },
    /// The front has carried out the order with this number.
    FrontMoved(u64),
    /// The platform began, or ended, to work with the service itself: a backup, a restore.
    Laboured(bool),
    /// Somebody is about to restart this member on purpose.
    RestartPlanned(u32),
    /// That restart does not take place, or failed halfway.
    RestartWithdrawn(u32),
    /// Somebody wants another master: this one, or any.
    SwitchoverAsked(Option<u32>),
}

/// Something to do. Imperative.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    Load,
    Commit(Epoch),
    /// Write down that, under this epoch, a slave of the master at this address has what it
    /// acknowledges; or, with `None`, that nobody is known to have it any more.
    Vouch {
        epoch: u64,
        upstream: Option<SocketAddr>,
    },
    /// Orders to the front are numbered and carried out in order.
    Gate {
        order: u64,
    },
    Open {
        order: u64,
        master: SocketAddr,
        epoch: u64,
        /// How many slaves the front sees a write on before it passes the reply on; `None` where
        /// that is not its task.
        acks: Option<u32>,
    },
    Refuse {
        order: u64,
        why: String,
    },
    Kill(Server),
    Ping(Server),
    Ask {
        server: Server,
        asked: Moment,
    },
    Command {
        server: Server,
        change: RoleChange,
    },
    /// Ask a member to do something for its group; answered by `Carried`.
    Carry {
        server: Server,
        motion: Motion,
    },
    /// Store this account of a failover, in place of an earlier one of the same epoch.
    Record(Account),
    /// The restart of this member that was announced may begin.
    ReleaseRestart(u32),
    /// A switchover that was asked for ended: who is master now, or why nothing changed.
    AnswerSwitchover(Result<u32, String>),
    /// For the log.
    Note(String),
}

/// What one failover did, as moments; the driver makes a receipt of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    pub cause: String,
    /// Why the new master is the one it is.
    pub because: String,
    pub old_master: u32,
    pub new_master: u32,
    pub epoch: u64,
    pub detected: Moment,
    pub fenced: Moment,
    pub promoted: Moment,
    pub opened: Moment,
    pub first_write: Option<Moment>,
    pub resynchronised: Option<Moment>,
    pub joint: Option<Joint>,
}

/// Where the new master's data joins the old one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joint {
    pub old_position: u64,
    /// When the old master was last heard to be there.
    pub old_heard: Moment,
    pub new_position: u64,
}

// === impl Moment ===

impl Moment {
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self(self.0 + delay)
    }

    /// Zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The first of these times; never in the past, because a limit that has passed without effect
    /// must not spin.
    pub(super) fn first_of(self, times: Vec<Self>) -> Self {
        let soonest = times.into_iter().filter(|time| *time > self).min();
        soonest.unwrap_or(self).max(self.after(Duration::from_millis(1)))
    }
}
