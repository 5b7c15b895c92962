//! The built binary on real containers: what a user would do, checked by what a user would see.
//!
//! Each test has a `DOTCLOUD_HOME` of its own and leaves nothing behind. They take turns,
//! because they would measure each other otherwise.

#[path = "support/mod.rs"]
mod support;

#[path = "platform/backup.rs"]
mod backup;
#[path = "platform/crash.rs"]
mod crash;
#[path = "platform/custom.rs"]
mod custom;
#[path = "platform/disk.rs"]
mod disk;
#[path = "platform/documented.rs"]
mod documented;
#[path = "platform/durability.rs"]
mod durability;
#[path = "platform/engine_restart.rs"]
mod engine_restart;
#[path = "platform/failover.rs"]
mod failover;
#[path = "platform/faults.rs"]
mod faults;
#[path = "platform/folders.rs"]
mod folders;
#[path = "platform/homes.rs"]
mod homes;
#[path = "platform/inner.rs"]
mod inner;
#[path = "platform/ledger.rs"]
mod ledger;
#[path = "platform/life.rs"]
mod life;
#[path = "platform/live.rs"]
mod live;
#[path = "platform/mail.rs"]
mod mail;
#[path = "platform/memory.rs"]
mod memory;
#[path = "platform/mongodb.rs"]
mod mongodb;
#[path = "platform/mysql.rs"]
mod mysql;
#[path = "platform/nodejs.rs"]
mod nodejs;
#[path = "platform/offline.rs"]
mod offline;
#[path = "platform/pairs.rs"]
mod pairs;
#[path = "platform/php.rs"]
mod php;
#[path = "platform/ports.rs"]
mod ports;
#[path = "platform/postgresql.rs"]
mod postgresql;
#[path = "platform/pulled.rs"]
mod pulled;
#[path = "platform/race.rs"]
mod race;
#[path = "platform/reconnect.rs"]
mod reconnect;
#[path = "platform/redis_clients.rs"]
mod redis_clients;
#[path = "platform/redis_sync.rs"]
mod redis_sync;
#[path = "platform/restore.rs"]
mod restore;
#[path = "platform/solo.rs"]
mod solo;
#[path = "platform/traffic.rs"]
mod traffic;
#[path = "platform/watch.rs"]
mod watch;
#[path = "platform/websocket.rs"]
mod websocket;
#[path = "platform/workers.rs"]
mod workers;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The one test that may run; the lock outlives a failed one.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
