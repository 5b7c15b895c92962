//! One web service: whose turn it is, and what was counted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::{AppName, ServiceName};

use super::backend::LiveBackend;
use super::shard::{Count, Shards};

/// Outlives the tables it appears in, so that turns and counts go on over a change.
#[derive(Debug)]
pub(super) struct LiveService {
    pub app: AppName,
    pub service: ServiceName,
    /// Per container port: a service may have several HTTP ports.
    turns: Mutex<HashMap<u16, Turns>>,
    /// Requests that wait for an instance to come back.
    pub parked: Arc<AtomicUsize>,
    pub counts: Shards<ServiceCounts>,
}

/// One counter for all threads: n instances answer exactly in turn.
pub(super) type Turns = Arc<AtomicUsize>;

#[derive(Debug, Default)]
pub(super) struct ServiceCounts {
    /// Answers by the first digit of their status; index 0 is unused.
    pub by_class: [Count; 6],
    /// Attempts that broke: connect, reset, time-out.
    pub failures: Count,
    /// Attempts that were made again.
    pub retries: Count,
    /// Errors of the 5xx class that are ours and not the application's.
    pub refusals: Count,
}

/// A service in one table, with the instances that may serve it now.
#[derive(Debug)]
pub(super) struct LiveRoute {
    pub service: Arc<LiveService>,
    pub backends: Vec<Arc<LiveBackend>>,
    pub turns: Turns,
    /// An instance is back in a moment.
    pub awaited: bool,
}

// === impl LiveService ===

impl LiveService {
    pub fn new(app: AppName, service: ServiceName, threads: usize) -> Self {
        Self { app, service, turns: Mutex::default(), parked: Arc::default(), counts: Shards::new(threads) }
    }

    pub fn turns(&self, port: u16) -> Turns {
        Arc::clone(self.turns.lock().unwrap_or_else(PoisonError::into_inner).entry(port).or_default())
    }

    pub fn count_answer(&self, thread: usize, status: http::StatusCode) {
        let class = usize::from(status.as_u16() / 100).min(5);
        self.counts.of(thread).by_class[class].add(1);
    }
}

// === impl LiveRoute ===

impl LiveRoute {
    pub fn take_turn(&self) -> usize {
        self.turns.fetch_add(1, Ordering::Relaxed)
    }

    /// The instance whose turn it is among the healthy ones that were not tried yet; when
    /// all are set aside, among those: a wrong judgement must not close a service.
    pub fn pick(&self, turn: usize, tried: &[u64]) -> Option<&Arc<LiveBackend>> {
        let untried = |backend: &&Arc<LiveBackend>| tried.is_empty() || !tried.contains(&backend.serial);
        let healthy = |backend: &&Arc<LiveBackend>| untried(backend) && !backend.is_aside();
        self.in_turn(turn, healthy).or_else(|| self.in_turn(turn, untried))
    }

    fn in_turn(&self, turn: usize, allowed: impl Fn(&&Arc<LiveBackend>) -> bool) -> Option<&Arc<LiveBackend>> {
        let count = self.backends.iter().filter(&allowed).count();
        (count > 0).then(|| self.backends.iter().filter(&allowed).nth(turn % count)).flatten()
    }
}
