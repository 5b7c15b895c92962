//! Changed files go live in running instances, without a build: judged ([`classify`]), carried
//! by an agent in every instance ([`agent`]), brought into service one instance after the other
//! ([`apply`]), and kept beside the version for instances that are made later ([`overlay`]).
//!
//! A change is all or nothing: when one instance cannot start with it, all run what they ran.

mod agent;
mod agents;
mod apply;
mod classify;
mod hold;
mod news;
mod overlay;
mod target;
mod tree;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedMutexGuard, mpsc};

use crate::model::observed::RunState;
use crate::model::{AppName, ServiceName};

use super::app::App;
use super::clock;
use super::execute::retire;
use super::handle::{Engine, EngineError, Result};
use super::inner::Inner;
use super::reconcile::in_full;

use agents::Agents;
use apply::Apply;
use classify::{Candidate, Verdict, classify};
use tree::Tree;

pub use hold::compare_once;
pub use news::{How, News, Ready};
pub use overlay::prune;

/// Bytes of a change; more is pushed.
pub const LONGEST: usize = 64 << 20;
/// How long a change waits for a deployment to end.
const DEPLOYMENT: Duration = Duration::from_secs(120);
/// How long it waits for instances that are being started.
const START: Duration = Duration::from_secs(10);

/// What an application's memory holds for live changes.
#[derive(Default)]
pub struct Live {
    agents: Agents,
    /// Held while a change goes on: one at a time.
    changing: Arc<tokio::sync::Mutex<()>>,
    /// The number of the last change that was tried.
    last: AtomicU64,
    /// Containers that are being replaced.
    leaving: Mutex<BTreeSet<String>>,
}

impl Live {
    /// Waits for a change that goes on, and lets none begin while the guard lives.
    pub async fn quiet(&self) -> OwnedMutexGuard<()> {
        self.changing.clone().lock_owned().await
    }
}

impl Engine {
    /// Holds the application's instances ready for changes until the receiver is dropped.
    ///
    /// # Errors
    /// `NotFound` for an unknown application.
    pub async fn live(&self, app: &AppName) -> Result<mpsc::Receiver<Ready>> {
        let app = self.seen_app(app).await?;
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(hold::hold(self.inner().clone(), app, sender));
        Ok(receiver)
    }

    /// Brings a change (a tar of files, see [`crate::engine::live`]) into the instances. It goes
    /// on to its end when the receiver is dropped.
    ///
    /// # Errors
    /// `Conflict` when the application is not up or a deployment does not end, `Invalid` for
    /// anything but a change.
    pub async fn live_apply(&self, app: &AppName, tar: Bytes) -> Result<mpsc::Receiver<News>> {
        let (inner, app) = (self.inner().clone(), self.seen_app(app).await?);
        let tree = Tree::read(&tar).map_err(|error| EngineError::Invalid(format!("{}.", in_full(&error))))?;
        let turn = Turn::take(&inner, &app).await?;
        let (sender, receiver) = mpsc::channel(64);
        tokio::spawn(async move {
            go(&inner, &app, tree, &sender).await;
            app.live.agents.release().await;
            drop(turn);
        });
        Ok(receiver)
    }
}

/// The right to change an application: no other change and no deployment goes on meanwhile.
struct Turn {
    _changing: OwnedMutexGuard<()>,
    _scheduling: OwnedMutexGuard<()>,
}

impl Turn {
    async fn take(inner: &Inner, app: &Arc<App>) -> Result<Self> {
        let changing = app.live.quiet().await;
        let mut status = app.status.subscribe();
        let idle = async {
            loop {
                let scheduling = app.scheduling.clone().lock_owned().await;
                check_up(app)?;
                if inner.store.unfinished_deployments(&app.name).await?.is_empty() {
                    return Ok::<_, EngineError>(scheduling);
                }
                drop(scheduling);
                status.changed().await.map_err(|_| gone(app))?;
            }
        };
        let busy = || EngineError::Conflict(format!("A deployment of application {} is under way.", app.name));
        let scheduling = tokio::time::timeout(DEPLOYMENT, idle).await.map_err(|_| busy())??;
        Ok(Self { _changing: changing, _scheduling: scheduling })
    }
}

fn check_up(app: &App) -> Result<()> {
    let record = app.record();
    let serves = record.services.iter().any(|service| service.serving.is_some());
    let refuse = |why: &str| Err(EngineError::Conflict(format!("Application {} {why}.", app.name)));
    match (record.up && !record.doomed, serves) {
        (true, true) => Ok(()),
        (true, false) => refuse("serves no code yet: push it first"),
        (false, _) => refuse("is down: `dotcloud up` starts it"),
    }
}

fn gone(app: &App) -> EngineError {
    EngineError::NotFound(format!("The application \"{}\" is gone.", app.name))
}

/// Judges a change and applies it.
async fn go(inner: &Arc<Inner>, app: &Arc<App>, mut tree: Tree, news: &mpsc::Sender<News>) {
    if tree.is_empty() {
        let _ = news.send(News::Served { instances: 0, ms: 0.0, failed_requests: 0 }).await;
        return;
    }
    let record = app.record();
    let services = target::services(inner, &record);
    let candidates: Vec<Candidate> =
        services.iter().map(|service| Candidate::new(&service.version.spec, &service.kind.live)).collect();
    let last = match classify(tree.paths(), &candidates) {
        Verdict::Build(reason) => News::Build { reason },
        Verdict::Live(concerned) => {
            wait_for_instances(inner, app).await;
            let change = app.live.next_number(&record);
            tree.set_time(change);
            let files = tree.files();
            let apply =
                Apply { inner, app, record: &record, tree: &Arc::new(tree), change, concerned: &concerned, news };
            let last = apply.run().await;
            record_activity(inner, app, &concerned, files, &last).await;
            last
        }
    };
    // Whoever asked may have left.
    let _ = news.send(last).await;
}

async fn record_activity(inner: &Inner, app: &App, services: &BTreeSet<ServiceName>, files: usize, last: &News) {
    let names: Vec<&str> = services.iter().map(ServiceName::as_str).collect();
    let served = matches!(last, News::Served { .. });
    let details = [("services", names.join(",")), ("files", files.to_string()), ("succeeded", served.to_string())];
    inner.record_activity(&app.name, "app", "live", &details).await;
}

/// Those that are just starting would miss the change, or could not reload yet; one that cannot
/// start must not stop it.
async fn wait_for_instances(inner: &Inner, app: &Arc<App>) {
    let mut status = app.status.subscribe();
    let all_run = async {
        loop {
            let (targets, wanted) = target::wanted(inner, app);
            let responsive = status.borrow_and_update().responsive.clone();
            let all_answer = targets.iter().all(|target| responsive.contains(&target.container.id));
            if (targets.len() >= wanted as usize && all_answer) || status.changed().await.is_err() {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(START, all_run).await;
}

impl Live {
    /// Grows with every attempt, by the clock where it can.
    fn next_number(&self, record: &crate::store::AppRecord) -> u64 {
        let versions = record.services.iter().filter_map(|service| service.serving.as_ref());
        let recorded = versions.filter_map(|version| Some(version.overlay.as_ref()?.change)).max().unwrap_or(0);
        let now = u64::try_from(clock::unix_millis()).unwrap_or(0) / 1000;
        let next = now.max(recorded + 1).max(self.last.load(Ordering::Acquire) + 1);
        self.last.store(next, Ordering::Release);
        next
    }

    /// Replaces a container whose files nobody can vouch for by a new one.
    fn replace(&self, inner: &Arc<Inner>, app: &Arc<App>, container: &str) {
        if !self.leaving().insert(container.to_owned()) {
            return;
        }
        let (inner, app, container) = (inner.clone(), app.clone(), container.to_owned());
        tokio::spawn(async move {
            if let Err(error) = retire(&inner, &app, &container).await {
                tracing::warn!(app = %app.name, "an outdated instance stays: {}", in_full(&error));
            }
            app.live.leaving().remove(&container);
            app.wake();
        });
    }

    fn leaving(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether what was observed may still become an instance that runs.
fn may_run(state: RunState) -> bool {
    !matches!(state, RunState::Exited { .. })
}
