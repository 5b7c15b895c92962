//! The built binary on real containers: what a user would do, checked by what a user would see.
//!
//! Each test has a `DOTCLOUD_HOME` of its own and leaves nothing behind. They take turns,
//! because they would measure each other otherwise.

#[path = "support/mod.rs"]
mod support;

#[path = "platform/crash.rs"]
mod crash;
#[path = "platform/failover.rs"]
mod failover;
#[path = "platform/faults.rs"]
mod faults;
#[path = "platform/homes.rs"]
mod homes;
#[path = "platform/inner.rs"]
mod inner;
#[path = "platform/life.rs"]
mod life;
#[path = "platform/memory.rs"]
mod memory;
#[path = "platform/offline.rs"]
mod offline;
#[path = "platform/race.rs"]
mod race;
#[path = "platform/traffic.rs"]
mod traffic;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The one test that may run; the lock outlives a failed one.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
