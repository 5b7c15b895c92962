//! One backup, restore or snapshot of a service at a time, and one snapshot of an application: the
//! second is told of the first. Whoever watches a service is told as well: a server that is worked
//! with is slow to answer, and clients are kept from contents that are being replaced.

use std::collections::BTreeMap;

use tokio::sync::watch;

use crate::model::ServiceName;

use super::super::handle::{EngineError, Result};

/// What is under way, by the service that it is about; `None` is the application as a whole.
type Work = BTreeMap<Option<ServiceName>, Job>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Job {
    what: &'static str,
    replaces: bool,
}

/// What is under way with an application's data.
#[derive(Debug, Default)]
pub struct Busy {
    work: watch::Sender<Work>,
}

/// Held for as long as the work goes on.
#[derive(Debug)]
pub struct Turn {
    subject: Option<ServiceName>,
    work: watch::Sender<Work>,
}

/// What goes on with one service, for those who have to know.
#[derive(Debug, Clone)]
pub struct Labour {
    subject: Option<ServiceName>,
    work: watch::Receiver<Work>,
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

    /// What goes on with a service, now and later.
    pub fn labour(&self, service: &ServiceName) -> Labour {
        Labour { subject: Some(service.clone()), work: self.work.subscribe() }
    }

    fn take(&self, subject: Option<ServiceName>, what: &'static str) -> Result<Turn> {
        let mut other = None;
        self.work.send_if_modified(|work| {
            other = work.get(&subject).map(|job| job.what);
            if other.is_none() {
                work.insert(subject.clone(), Job { what, replaces: false });
            }
            other.is_none()
        });
        match other {
            Some(other) => {
                let name = subject.map_or_else(|| "the application".to_owned(), String::from);
                let text = format!("A {other} of {name} is under way: try again when it has ended.");
                Err(EngineError::Conflict(text))
            }
            None => Ok(Turn { subject, work: self.work.clone() }),
        }
    }
}

impl Turn {
    /// From now on, at the latest until the turn ends, the contents are neither the old ones nor the
    /// new ones.
    pub fn replaces(&self) {
        self.set_replaces(true);
    }

    /// They are what they were meant to become, though the work goes on.
    pub fn has_replaced(&self) {
        self.set_replaces(false);
    }

    fn set_replaces(&self, on: bool) {
        self.work.send_if_modified(|work| {
            work.get_mut(&self.subject).is_some_and(|job| std::mem::replace(&mut job.replaces, on) != on)
        });
    }
}

impl Labour {
    /// Whether the service is worked with.
    pub fn goes_on(&self) -> bool {
        self.work.borrow().contains_key(&self.subject)
    }

    /// What replaces its contents now, or those of all services, in words: `restore`.
    pub fn replacing(&self) -> Option<&'static str> {
        let work = self.work.borrow();
        let jobs = [work.get(&self.subject), work.get(&None)];
        jobs.into_iter().flatten().find(|job| job.replaces).map(|job| job.what)
    }

    /// Returns when something may have begun or ended; false when the application is gone.
    pub async fn changed(&mut self) -> bool {
        self.work.changed().await.is_ok()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.work.send_modify(|work| {
            work.remove(&self.subject);
        });
    }
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

    #[tokio::test]
    async fn whoever_watches_a_service_is_told_of_its_work_alone() {
        let (busy, db): (_, ServiceName) = (Busy::default(), "db".parse().unwrap());
        let mut labour = busy.labour(&db);
        let other = busy.begin(&"cache".parse().unwrap(), "restore").unwrap();
        other.replaces();
        assert!(!labour.goes_on() && labour.replacing().is_none());
        let turn = busy.begin(&db, "restore").unwrap();
        assert!(labour.changed().await);
        assert!(labour.goes_on() && labour.replacing().is_none());
        turn.replaces();
        assert!(labour.changed().await);
        assert_eq!(labour.replacing(), Some("restore"));
        drop(turn);
        assert!(labour.changed().await);
        assert!(!labour.goes_on() && labour.replacing().is_none());
        let whole = busy.begin_whole("snapshot's restore").unwrap();
        whole.replaces();
        assert_eq!(labour.replacing(), Some("snapshot's restore"));
        whole.has_replaced();
        assert!(!labour.goes_on() && labour.replacing().is_none());
    }
}
