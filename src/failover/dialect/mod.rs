//! How a server is asked what it is and told what to be, one file per replication protocol.

use std::net::SocketAddr;
use std::time::Duration;

use crate::model::Refusal;

pub use super::ballot::{Ballot, Furnished, Motion, SetConfig, SetMember, Standpoint};

mod fields;
pub mod mongodb;
pub mod mysql;
pub mod postgresql;
pub mod redis;
pub mod solo;

/// Who elects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Election {
    /// The group's machine decides and commands.
    ByUs,
    /// The members vote among themselves; the machine only follows.
    ByMembers,
}

/// How requests and answers travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Redis' own, all requests at once.
    Resp,
    /// MySQL's, one statement after the other; what follows a refused one is not sent. A table
    /// is a list of rows, a row a list of names and values in turn.
    Sql { user: &'static str },
    /// MongoDB's. A command is one word of JSON, and so is an answer; answers with a cursor are
    /// lists of the documents. `Dialect::login` gives user, database, mechanism and secret.
    Mongo,
    /// PostgreSQL's, otherwise as above.
    Postgres { user: &'static str, database: &'static str },
    /// Lines of text, one for one; before the first the server may greet with one.
    Lines { greeting: Option<&'static str> },
    /// AMQP 0-9-1. Every request is answered with the broker's version.
    Amqp { user: &'static str },
    /// Nothing is said: a connection is an answer.
    Connect,
}

/// How a server is watched for which nobody could take over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    pub ping_every: Duration,
    /// How long it may take to answer, connecting included.
    pub answer_within: Duration,
    /// How long it may refuse connections while it starts.
    pub boots_within: Duration,
}

/// One request to a server: its words. SQL dialects have a single word, the statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerCommand(pub Vec<String>);

/// An answer of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Text(String),
    Error(String),
    Number(i64),
    Nothing,
    List(Vec<Reply>),
}

/// What a member is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleChange {
    /// Master; accepts writes from now on.
    Promote,
    /// Slave of this address; accepts no writes from now on.
    Follow(SocketAddr),
    /// Still master, but writes wait for at most two seconds.
    PauseWrites,
    ResumeWrites,
    /// Master whose writes wait, or do not wait, for a slave to have them.
    Guard(bool),
    /// Byte for byte what this member is, as of now. Its server has to be started again.
    CopyFrom(SocketAddr),
}

/// What a server says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MemberReport {
    /// Accepts writes.
    pub writable: bool,
    /// Reads its own data set from disk; percent when it tells.
    pub loading: Option<u8>,
    /// Whom it follows; `None` for masters and for slaves of nobody.
    pub upstream: Option<SocketAddr>,
    /// Follows its upstream at this moment, in step.
    pub link_up: bool,
    /// Has been in step with an upstream since it started.
    pub was_linked: bool,
    /// Receives a full copy from its upstream; percent when it tells.
    pub copying: Option<Option<u8>>,
    /// Has not yet applied all it received, and would lose that with its process.
    pub applying: bool,
    /// Why it cannot follow its upstream: only a copy of it helps.
    pub broken: Option<String>,
    /// Whether its writes wait for a slave; `None` where that cannot be.
    pub guarded: Option<bool>,
    /// Whom it can lead, where the server tells.
    pub lineage: Option<Box<Lineage>>,
    /// Seconds behind its upstream, if it tells that itself.
    pub lag_seconds: Option<f64>,
    /// The line of writes it belongs to; positions compare only within one.
    pub history: String,
    /// How far along its history it is, in the server's own unit (bytes for Redis).
    pub position: u64,
    /// Grows with every write it accepts; falls only when the server starts or saves.
    pub writes: u64,
    /// Holds no keys.
    pub empty: bool,
    /// Never held any, as far as its disk tells.
    pub blank: bool,
    /// What a master says of those who follow it.
    pub followers: Vec<Follower>,
    pub version: Option<String>,
    /// Bytes.
    pub used_memory: Option<u64>,
    /// Of groups whose members elect.
    pub ballot: Option<Box<Ballot>>,
}

/// What decides whether one server can follow another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// What its data was made from; members of different origins cannot follow each other.
    pub origin: String,
    /// Where earlier lines of writes ended that its own goes on from.
    pub branches: Vec<Branch>,
    /// Its log of writes reaches back to here; who is before this cannot follow it.
    pub oldest: u64,
}

/// The end of an earlier history: what it holds beyond this position belongs to no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    pub history: String,
    pub position: u64,
}

/// A slave as its master sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Follower {
    pub addr: SocketAddr,
    pub position: u64,
    pub lag_seconds: f64,
}

/// Why an output says nothing of a member.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The server's own words.
    #[error("the server answers {0:?}")]
    Refused(String),
    #[error("the server's report has no {0}")]
    Incomplete(&'static str),
}

/// What is done with a ledger: numbered writes that are made through the front and looked for
/// afterwards, so that what a failover lost is counted and not guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerStep {
    /// Makes room; a ledger of this name is not there.
    Create,
    /// Adds this number. An answer without an error is the acknowledgement.
    Write(u64),
    /// All numbers, somewhere in the answers: one by one, or as runs `first-last`, each for itself or
    /// several with commas between them.
    Read,
    Remove,
}

/// One replication protocol. Words only: connections are the driver's.
pub trait Dialect: Send + Sync + 'static {
    fn election(&self) -> Election;
    fn protocol(&self) -> Protocol;
    /// What opens a connection, after the protocol's own greeting.
    fn login(&self, password: &str) -> Vec<ServerCommand>;
    /// The cheapest request that a working server answers; any answer will do.
    fn ping(&self) -> ServerCommand;
    /// What to ask for [`Dialect::read`].
    fn probe(&self) -> Vec<ServerCommand>;
    /// # Errors
    /// When the server refuses or its report lacks something.
    fn read(&self, output: &[Reply]) -> Result<MemberReport, ReadError>;
    /// What carries out a change of role, in order; each is to be answered without an error.
    fn commands(&self, change: RoleChange, password: &str) -> Vec<ServerCommand>;
    /// How it is watched, where that differs from what a group with slaves needs.
    fn pace(&self) -> Option<Pace> {
        None
    }
    /// What asks a member of a group that elects by itself to do something for it, in order; each
    /// is to be answered without an error.
    fn carry(&self, _motion: &Motion, _password: &str) -> Vec<ServerCommand> {
        Vec::new()
    }
    /// How many times as long as a report a change of role may take.
    fn patience(&self) -> u32 {
        3
    }
    /// Whether a running master can become a slave. If not, it ends its process when it is told to
    /// follow, having sent everything it wrote, and its next start is a slave's.
    fn demotes_live(&self) -> bool {
        true
    }
    /// A member without data is copied, not told to follow, when the master is this far;
    /// `None` when following copies.
    fn copy_beyond(&self) -> Option<u64> {
        None
    }
    /// What a client reads that connects while nobody is master, in the server's own protocol, so
    /// that its driver shows the reason. Empty where nothing can be said.
    fn refusal(&self, _why: &str) -> Refusal {
        Refusal::default()
    }
    /// The words of a ledger called `name` (`[a-z0-9_]`), for a client that logs in as
    /// applications do. Empty where nothing can be written.
    fn ledger(&self, _name: &str, _step: LedgerStep) -> Vec<ServerCommand> {
        Vec::new()
    }
    /// Whether it is the front that holds the reply to a write back until a slave has the write,
    /// because the server would not.
    fn guards_at_front(&self) -> bool {
        false
    }
    /// What makes a running server use a container limited to so many bytes.
    fn tune(&self, _memory: u64) -> Vec<ServerCommand> {
        Vec::new()
    }
    /// The same for one that says that it holds so many bytes of data.
    fn tune_holding(&self, memory: u64, _used: u64) -> Vec<ServerCommand> {
        self.tune(memory)
    }
}

/// The dialect of this name (`replication`, or `protocol` where nothing is replicated, in
/// `service.toml`).
pub fn of(name: &str) -> Option<&'static dyn Dialect> {
    match name {
        "mongodb" => Some(&mongodb::MongoDb),
        "mysql" => Some(&mysql::MySql),
        "postgresql" => Some(&postgresql::PostgreSql),
        "redis" => Some(&redis::Redis),
        name => solo::of(name),
    }
}

// === impl ServerCommand ===

impl ServerCommand {
    /// The words of a text without quoting.
    pub fn words(text: &str) -> Self {
        Self(text.split_whitespace().map(str::to_owned).collect())
    }
}
