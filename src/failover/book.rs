//! What the ledger says of the last master, as far as it could be read.

use crate::model::Epoch;

use super::event::{Action, Moment};

/// What was read; or that it is being read, or why it cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Book {
    /// Asked, not answered.
    Reading,
    /// `again`: when to ask again; `None` while that is under way.
    Unreadable {
        why: String,
        again: Option<Moment>,
    },
    Read(Option<Epoch>),
}

// === impl Book ===

impl Book {
    /// `again`: when to ask again if it cannot be read.
    pub fn loaded(read: Result<Option<Epoch>, String>, again: Moment) -> Self {
        match read {
            Ok(epoch) => Self::Read(epoch),
            Err(why) => Self::Unreadable { why, again: Some(again) },
        }
    }

    /// The epoch on disk, if it is known.
    pub fn epoch(&self) -> Option<Epoch> {
        if let Self::Read(epoch) = self { *epoch } else { None }
    }

    /// Why it cannot be read.
    pub fn trouble(&self) -> Option<&str> {
        if let Self::Unreadable { why, .. } = self { Some(why) } else { None }
    }

    /// When it is to be read again.
    pub fn again(&self) -> Option<Moment> {
        if let Self::Unreadable { again, .. } = self { *again } else { None }
    }

    /// Reads it again when it is time to.
    pub fn read_again(&mut self, now: Moment) -> Option<Action> {
        let Self::Unreadable { again, .. } = self else { return None };
        again.take_if(|again| *again <= now).map(|_| Action::Load)
    }
}
