//! One backup, restore or snapshot of a service at a time: the second is told of the first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::ServiceName;

use super::super::handle::{EngineError, Result};

/// What is under way with an application's data.
#[derive(Debug, Default)]
pub struct Busy {
    work: Arc<Mutex<BTreeMap<ServiceName, &'static str>>>,
}

/// Held for as long as the work goes on.
#[derive(Debug)]
pub struct Turn {
    service: ServiceName,
    work: Arc<Mutex<BTreeMap<ServiceName, &'static str>>>,
}

impl Busy {
    /// Begins work, in words: `backup`.
    ///
    /// # Errors
    /// `Conflict` while other work with the service goes on.
    pub fn begin(&self, service: &ServiceName, what: &'static str) -> Result<Turn> {
        let mut work = lock(&self.work);
        if let Some(other) = work.get(service) {
            let text = format!("A {other} of {service} is under way: try again when it has ended.");
            return Err(EngineError::Conflict(text));
        }
        work.insert(service.clone(), what);
        Ok(Turn { service: service.clone(), work: self.work.clone() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&self.work).remove(&self.service);
    }
}

fn lock<'a>(
    work: &'a Mutex<BTreeMap<ServiceName, &'static str>>,
) -> MutexGuard<'a, BTreeMap<ServiceName, &'static str>> {
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
}
