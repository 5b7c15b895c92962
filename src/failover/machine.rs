//! The machine of a group: which of the two, its dialect says.

use crate::model::GroupStatus;

use super::dialect::{Dialect, Election};
use super::{Action, Config, Electorate, Event, Group, Moment};

/// What decides for one group.
pub enum Machine {
    /// Elects, fences and promotes.
    ByUs(Box<Group>),
    /// Follows whom the members elect.
    ByMembers(Box<Electorate>),
}

impl Machine {
    pub fn new(dialect: &dyn Dialect, config: Config) -> Self {
        match dialect.election() {
            Election::ByUs => Self::ByUs(Box::new(Group::new(config))),
            Election::ByMembers => Self::ByMembers(Box::new(Electorate::new(config))),
        }
    }

    /// Learns `event` and returns what to do. `now` must not go back.
    pub fn handle(&mut self, now: Moment, event: Event) -> Vec<Action> {
        match self {
            Self::ByUs(group) => group.handle(now, event),
            Self::ByMembers(group) => group.handle(now, event),
        }
    }

    /// When `handle` is to be called with [`Event::Ticked`] at the latest.
    pub fn next_timeout(&self) -> Moment {
        match self {
            Self::ByUs(group) => group.next_timeout(),
            Self::ByMembers(group) => group.next_timeout(),
        }
    }

    pub fn status(&self) -> GroupStatus {
        match self {
            Self::ByUs(group) => group.status(),
            Self::ByMembers(group) => group.status(),
        }
    }
}
