//! What tests and benchmarks on real containers share: a platform of their own, the engine's
//! view of it, a load, ledgers, Redis spoken by hand, MySQL and PostgreSQL. Not every program uses
//! all of it.
#![allow(dead_code)]

pub mod amqp;
pub mod choice;
pub mod docker;
pub mod kept;
pub mod ledger;
pub mod load;
pub mod mongo;
pub mod mysql;
pub mod platform;
pub mod postgresql;
pub mod redis;
pub mod statistics;
pub mod traffic;

use std::time::{Duration, Instant};

/// Polls a condition until it yields something.
///
/// # Panics
/// When it has not within `patience`, saying what was waited for.
pub fn wait_for<T>(what: &str, patience: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        pause(Duration::from_millis(50));
    }
}

/// As [`wait_for`] within a minute, but fine enough for milliseconds.
pub fn often<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        pause(Duration::from_millis(3));
    }
}

/// Between two looks at a condition; nothing is concluded from the time that passes.
#[allow(clippy::disallowed_methods)]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}
