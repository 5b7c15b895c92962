//! The account of the last change of master, which is still being completed after it was stored.

use std::time::Duration;

use super::event::{Account, Action, Moment};

/// The latest one; older ones stay as they were stored.
#[derive(Debug, Default)]
pub(super) struct Accounts(Option<Entry>);

#[derive(Debug)]
struct Entry {
    facts: Account,
    /// Whether the ledger has it.
    stored: bool,
}

// === impl Accounts ===

impl Accounts {
    /// A master was opened, which is worth an account or not.
    pub fn begin(&mut self, facts: Option<Account>) {
        self.0 = facts.map(|facts| Entry { facts, stored: false });
    }

    /// Stores it, now that the front leads to the new master.
    pub fn store(&mut self, now: Moment) -> Option<Action> {
        let entry = self.0.as_mut().filter(|entry| !entry.stored)?;
        (entry.stored, entry.facts.opened) = (true, now);
        Some(Action::Record(entry.facts.clone()))
    }

    /// What is stored and may be completed.
    fn stored(&self) -> Option<&Account> {
        self.0.as_ref().filter(|entry| entry.stored).map(|entry| &entry.facts)
    }

    pub fn is_stored(&self) -> bool {
        self.stored().is_some()
    }

    /// `limit`: how long after the opening it is watched for.
    pub fn awaits_first_write(&self, now: Moment, limit: Duration) -> bool {
        let facts = self.0.as_ref().map(|entry| &entry.facts);
        facts.is_some_and(|facts| facts.first_write.is_none() && now.since(facts.opened) < limit)
    }

    /// Whether this member was master before and is not yet known to be in step again.
    pub fn awaits_return_of(&self, index: u32) -> bool {
        let awaits = |facts: &Account| {
            facts.old_master == index && facts.old_master != facts.new_master && facts.resynchronised.is_none()
        };
        self.stored().is_some_and(awaits)
    }

    /// Adds that the new master `wrote`, or that the old one is `back`.
    pub fn complete(&mut self, now: Moment, wrote: bool, back: bool) -> Option<Action> {
        let facts = self.0.as_mut().filter(|entry| entry.stored).map(|entry| &mut entry.facts)?;
        if wrote {
            facts.first_write = Some(now);
        }
        if back {
            facts.resynchronised = Some(now);
        }
        (wrote || back).then(|| Action::Record(facts.clone()))
    }
}
