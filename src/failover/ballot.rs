//! What members of a group that elects among themselves say of it, and what they are asked to do.
//!
//! The words are MongoDB's ideas, not its format: `dialect::mongodb` translates.

use serde_json::Value;

/// How far a member is, as it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standpoint {
    /// Belongs to no group yet.
    Unfounded,
    /// Reads its own data and the group's configuration.
    Starting,
    /// Receives its first copy, or catches up after a break.
    Synchronizing,
    Secondary,
    Primary,
    /// The group's configuration does not name it.
    Removed,
}

/// A member's word on its group.
#[derive(Debug, Clone, PartialEq)]
pub struct Ballot {
    pub standpoint: Standpoint,
    /// The latest election it took part in.
    pub term: u64,
    pub config: Option<SetConfig>,
    /// A primary tells whether applications have their login and writes wait for a majority.
    pub furnished: Option<Furnished>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Furnished {
    pub login: bool,
    pub concern: bool,
}

/// Who belongs to a group, as its members have agreed.
#[derive(Debug, Clone, PartialEq)]
pub struct SetConfig {
    /// Grows with every change.
    pub version: u64,
    pub members: Vec<SetMember>,
    /// The server's own text, of which only the above is ever changed.
    pub document: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetMember {
    /// The instance's number.
    pub id: u32,
    /// `address:port`, where other members and clients find it.
    pub host: String,
    /// Counts in elections and may be elected.
    pub votes: bool,
}

/// Something one member is asked to do for the group.
#[derive(Debug, Clone, PartialEq)]
pub enum Motion {
    /// Be the first member of a new group.
    Found(SetMember),
    /// To the primary: from now on this is the group.
    Reconfigure(SetConfig),
    /// To the primary: make what [`Furnished`] says is missing.
    Furnish(Furnished),
    /// To the primary: let another one be elected, once that has everything.
    StepDown,
    /// Do not stand for election for so many seconds; 0 ends that.
    Freeze(u32),
}

// === impl SetConfig ===

impl SetConfig {
    pub fn member(&self, id: u32) -> Option<&SetMember> {
        self.members.iter().find(|member| member.id == id)
    }

    pub fn voters(&self) -> impl Iterator<Item = &SetMember> {
        self.members.iter().filter(|member| member.votes)
    }

    /// How many voters make a decision.
    pub fn majority(&self) -> usize {
        self.voters().count() / 2 + 1
    }

    /// The next version, changed by `edit`.
    #[must_use]
    pub fn next(&self, edit: impl FnOnce(&mut Vec<SetMember>)) -> Self {
        let mut next = Self { version: self.version + 1, ..self.clone() };
        edit(&mut next.members);
        next
    }
}
