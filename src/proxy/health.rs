//! Which instances are set aside (platform.md, §8).
//!
//! Passive: an attempt that breaks sets its instance aside; the first 5xx only has it
//! probed. Active: `HEAD /CloudHealthCheck` every 3 s decides from then on, until 30 quiet
//! minutes have passed or the instance leaves the table.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::header::{HOST, HeaderValue};
use http::{Method, Request};
use tokio::time::{Instant, sleep, timeout};

use crate::model::{AppName, InstanceName};

use super::backend::LiveBackend;
use super::upload::Upload;
use super::worker::Worker;

const PROBE_PATH: &str = "/CloudHealthCheck";
const PROBE_EVERY: Duration = Duration::from_secs(3);
const PROBE_LIMIT: Duration = Duration::from_secs(3);
const QUIET: Duration = Duration::from_secs(30 * 60);

/// An attempt at an instance that broke.
#[derive(Debug, Clone)]
pub struct BackendFailure {
    pub app: AppName,
    pub instance: InstanceName,
    /// The container's id.
    pub container: Arc<str>,
    pub kind: FailureKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// No connection: refused, unreachable, or not within the time limit.
    Connect,
    /// The connection broke before the answer began.
    Reset,
    /// No answer within the time limit.
    TimedOut,
}

/// Sets the instance aside and has it probed.
pub(super) fn set_aside(worker: &Rc<Worker>, backend: &Arc<LiveBackend>, kind: FailureKind) {
    backend.health.aside.store(true, Ordering::Relaxed);
    tracing::debug!(container = &*backend.spec.id, instance = %backend.spec.instance, ?kind, "instance set aside");
    let failure = BackendFailure {
        app: backend.service.app.clone(),
        instance: backend.spec.instance.clone(),
        container: Arc::clone(&backend.spec.id),
        kind,
    };
    // Without a receiver nobody wants to know.
    let _ = worker.shared.failures.send(failure);
    watch(worker, backend);
}

/// Has the instance probed; called for every 5xx.
pub(super) fn watch(worker: &Rc<Worker>, backend: &Arc<LiveBackend>) {
    backend.health.troubles.fetch_add(1, Ordering::Relaxed);
    if backend.is_listed() && !backend.health.probed.swap(true, Ordering::AcqRel) {
        let (worker, backend) = (Rc::clone(worker), Arc::clone(backend));
        tokio::task::spawn_local(async move {
            tokio::select! {
                () = keep_probing(&worker, &backend) => {}
                () = backend.unlisted.cancelled() => {}
            }
            backend.health.probed.store(false, Ordering::Release);
        });
    }
}

async fn keep_probing(worker: &Worker, backend: &LiveBackend) {
    let mut troubles = backend.health.troubles.load(Ordering::Relaxed);
    let mut quiet_since = Instant::now();
    while quiet_since.elapsed() < QUIET || backend.is_aside() {
        let passed = timeout(PROBE_LIMIT, passes(worker, backend)).await.unwrap_or(false);
        backend.health.aside.store(!passed, Ordering::Relaxed);
        sleep(PROBE_EVERY).await;
        let seen = backend.health.troubles.load(Ordering::Relaxed);
        if seen != troubles {
            (troubles, quiet_since) = (seen, Instant::now());
        }
    }
}

/// Any answer but a 5xx keeps an instance in rotation; 404 is fine.
async fn passes(worker: &Worker, backend: &LiveBackend) -> bool {
    let Ok(mut conn) = worker.pool.connect(backend, PROBE_LIMIT).await else { return false };
    let mut probe = Request::new(Upload::Empty);
    *probe.method_mut() = Method::HEAD;
    *probe.uri_mut() = http::Uri::from_static(PROBE_PATH);
    let Ok(host) = HeaderValue::try_from(backend.spec.addr.to_string()) else { return false };
    probe.headers_mut().insert(HOST, host);
    let answer = conn.sender.try_send_request(probe).await;
    answer.is_ok_and(|answer| !answer.status().is_server_error())
}
