//! Counters that every thread writes for itself and that are added up when somebody reads.

use std::sync::atomic::{AtomicU64, Ordering};

/// One set of counters per proxy thread. The alignment keeps two threads' sets on different
/// cache lines (128 bytes, because lines are fetched in pairs).
#[derive(Debug)]
pub(super) struct Shards<T>(Box<[Padded<T>]>);

#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded<T>(T);

/// A counter that only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

// === impl Shards ===

impl<T: Default> Shards<T> {
    pub fn new(threads: usize) -> Self {
        Self((0..threads).map(|_| Padded::default()).collect())
    }
}

impl<T> Shards<T> {
    /// The set of the thread with this index.
    pub fn of(&self, thread: usize) -> &T {
        &self.0[thread].0
    }

    /// The sum of one counter over all threads.
    pub fn sum(&self, counter: impl Fn(&T) -> &Count) -> u64 {
        self.0.iter().map(|shard| counter(&shard.0).get()).sum()
    }
}

// === impl Count ===

impl Count {
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
