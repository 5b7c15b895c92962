//! Which instance is tried next for one request, and what a broken attempt says about it.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::StatusCode;
use tokio::time::{Instant, timeout_at};

use super::backend::{LiveBackend, RequestGuard};
use super::forward::Broken;
use super::health::{self, FailureKind};
use super::page::Refusal;
use super::pool::ConnectError;
use super::service::{LiveRoute, LiveService};
use super::upload::Fate;
use super::worker::Worker;

/// Bounds what one request may cost, whatever the tables say meanwhile.
const ATTEMPTS_MAX: u32 = 16;

/// The attempts to answer one request.
pub(super) struct Attempts<'a> {
    worker: &'a Rc<Worker>,
    /// The route's key.
    host: &'a str,
    service: Arc<LiveService>,
    turn: usize,
    made: u32,
    /// Serials of backends that are not tried again.
    tried: Vec<u64>,
    /// All instances were set aside before the first attempt: nothing was alive.
    hopeless: bool,
    began: Instant,
}

/// One of the requests that wait for an instance to come back.
struct Parked(Arc<AtomicUsize>);

impl<'a> Attempts<'a> {
    pub fn new(worker: &'a Rc<Worker>, host: &'a str, route: &LiveRoute) -> Self {
        Self {
            worker,
            host,
            service: Arc::clone(&route.service),
            turn: route.take_turn(),
            made: 0,
            tried: Vec::new(),
            hopeless: route.backends.iter().all(|backend| backend.is_aside()),
            began: Instant::now(),
        }
    }

    /// The next instance, with the request counted in. Where there is none, waits for a
    /// table that has one, as long as requests may be parked.
    pub async fn next(&mut self) -> Option<RequestGuard> {
        let mut parked = None;
        while self.made < ATTEMPTS_MAX {
            let changed = self.worker.changed.notified();
            if let Some(guard) = self.choose() {
                self.count_attempt(guard.backend());
                return Some(guard);
            }
            let patience = self.patience(&mut parked);
            timeout_at(self.began + patience, changed).await.ok()?;
        }
        None
    }

    /// How long this request may wait in all, by the table as it is now.
    fn patience(&self, parked: &mut Option<Parked>) -> Duration {
        let config = &self.worker.shared.config;
        let awaited = self.worker.table().http(self.host).is_some_and(|route| route.awaited);
        if !awaited {
            return config.http_park;
        }
        if parked.is_none() {
            *parked = Parked::admit(&self.service.parked, config.awaited_most);
        }
        if parked.is_some() { config.awaited_park } else { config.http_park }
    }

    fn choose(&self) -> Option<RequestGuard> {
        let table = self.worker.table();
        let backend = table.http(self.host)?.pick(self.turn, &self.tried)?;
        Some(backend.enter())
    }

    fn count_attempt(&mut self, backend: &LiveBackend) {
        backend.counts.of(self.worker.index).requests.add(1);
        if self.made > 0 {
            self.service.counts.of(self.worker.index).retries.add(1);
        }
        self.made += 1;
    }

    /// Draws the conclusions of a broken attempt; returns the page, should it be the last.
    pub fn judge(&mut self, backend: &Arc<LiveBackend>, broken: &Broken) -> Refusal {
        let instance = &backend.spec.instance;
        match broken {
            Broken::Upload(Fate::TooLarge) => too_large(&self.service, self.worker.shared.config.body_limit),
            Broken::Upload(_) => self.refusal(StatusCode::BAD_REQUEST, "The request body ended early.".into()),
            Broken::Unconnected(ConnectError::Unlisted) => self.nobody(),
            Broken::Unconnected(error) => {
                self.give_up_on(backend, FailureKind::Connect);
                let status = if self.hopeless { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_GATEWAY };
                self.refusal(status, format!("Instance {instance} accepts no connections: {error}."))
            }
            Broken::TimedOut => {
                self.give_up_on(backend, FailureKind::TimedOut);
                let limit = self.worker.shared.config.request_timeout;
                let cause = format!("Instance {instance} did not answer within {limit:?}.");
                self.refusal(StatusCode::GATEWAY_TIMEOUT, cause)
            }
            Broken::Unsent { reused } => {
                self.distrust(backend, *reused);
                self.refusal(StatusCode::BAD_GATEWAY, format!("Instance {instance} closed the connection."))
            }
            Broken::MaybeSent { reused, error } => {
                self.distrust(backend, *reused);
                tracing::debug!(%instance, %error, "connection broke before the answer");
                let did = if error.is_parse() { "gave no valid HTTP answer" } else { "broke off before it answered" };
                self.refusal(StatusCode::BAD_GATEWAY, format!("Instance {instance} {did}."))
            }
        }
    }

    /// What a client reads when there is no instance at all.
    pub fn nobody(&self) -> Refusal {
        let cause = format!("No instance of {} is running.", self.service.service);
        self.refusal(StatusCode::SERVICE_UNAVAILABLE, cause)
    }

    /// A connection broke. One that was new speaks against its backend; one that had waited
    /// only against those that waited with it, and the next instance is the better choice.
    fn distrust(&mut self, backend: &Arc<LiveBackend>, reused: bool) {
        self.worker.pool.purge(backend);
        if reused {
            self.turn = self.turn.wrapping_add(1);
            self.count_failure(backend);
        } else {
            self.give_up_on(backend, FailureKind::Reset);
        }
    }

    fn give_up_on(&mut self, backend: &Arc<LiveBackend>, kind: FailureKind) {
        self.tried.push(backend.serial);
        self.count_failure(backend);
        health::set_aside(self.worker, backend, kind);
    }

    fn count_failure(&self, backend: &LiveBackend) {
        backend.counts.of(self.worker.index).failures.add(1);
        self.service.counts.of(self.worker.index).failures.add(1);
    }

    fn refusal(&self, status: StatusCode, cause: String) -> Refusal {
        Refusal::of(&self.service, status, cause)
    }
}

impl Parked {
    /// `None` when `most` are waiting already.
    fn admit(waiting: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let room = |count: usize| (count < most).then_some(count + 1);
        waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()?;
        Some(Self(Arc::clone(waiting)))
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The page for a body above the limit (bytes).
pub(super) fn too_large(service: &LiveService, limit: u64) -> Refusal {
    let cause = format!("Request bodies may have up to {limit} bytes.");
    Refusal::of(service, StatusCode::PAYLOAD_TOO_LARGE, cause)
}
