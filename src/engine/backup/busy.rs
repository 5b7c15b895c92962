//! One backup, restore or snapshot of a service at a time, and one snapshot of an application: the
//! second is told of the first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::ServiceName;

use super::super::handle::{EngineError, Result};

/// What is under way, by the service that it is about; `None` is the application as a whole.
type Work = BTreeMap<Option<ServiceName>, &'static str>;

/// What is under way with an application's data.
#[derive(Debug, Default)]
pub struct Busy {
    work: Arc<Mutex<Work>>,
}

/// Held for as long as the work goes on.
#[derive(Debug)]
pub struct Turn {
    subject: Option<ServiceName>,
    work: Arc<Mutex<Work>>,
}

impl Busy {
    /// Begins work, in words: `backup`.
    ///
    /// # Errors
    /// `Conflict` while other work with the service goes on.
    pub fn begin(&self, service: &ServiceName, what: &'static str) -> Result<Turn> {
        self.take(Some(service.clone()), what)
    }

    /// Begins work with all data of the application: services take their turns besides.
    ///
    /// # Errors
    /// `Conflict` while other such work goes on.
    pub fn begin_whole(&self, what: &'static str) -> Result<Turn> {
        self.take(None, what)
    }

    fn take(&self, subject: Option<ServiceName>, what: &'static str) -> Result<Turn> {
        let mut work = lock(&self.work);
        if let Some(other) = work.get(&subject) {
            let name = subject.map_or_else(|| "the application".to_owned(), String::from);
            let text = format!("A {other} of {name} is under way: try again when it has ended.");
            return Err(EngineError::Conflict(text));
        }
        work.insert(subject.clone(), what);
        Ok(Turn { subject, work: self.work.clone() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&self.work).remove(&self.subject);
    }
}

fn lock(work: &Mutex<Work>) -> MutexGuard<'_, Work> {
    work.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_command_is_refused_until_the_first_has_ended() {
        let (busy, db): (_, ServiceName) = (Busy::default(), "db".parse().unwrap());
        let first = busy.begin(&db, "restore").unwrap();
        let refused = busy.begin(&db, "backup").unwrap_err();
        assert!(refused.to_string().contains("A restore of db is under way"), "{refused}");
        assert!(busy.begin(&"cache".parse().unwrap(), "backup").is_ok());
        drop(first);
        assert!(busy.begin(&db, "backup").is_ok());
    }

    #[test]
    fn one_snapshot_is_worked_with_at_a_time() {
        let busy = Busy::default();
        let whole = busy.begin_whole("snapshot's restore").unwrap();
        let refused = busy.begin_whole("snapshot").unwrap_err();
        assert!(refused.to_string().contains("A snapshot's restore of the application is under way"), "{refused}");
        assert!(busy.begin(&"db".parse().unwrap(), "backup").is_ok(), "services have turns of their own");
        drop(whole);
        assert!(busy.begin_whole("snapshot").is_ok());
    }
}
