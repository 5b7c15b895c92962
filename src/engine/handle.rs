//! The engine's face: a handle that the API holds, and the errors it answers with. What can be
//! asked for is in the files named after it: `lifecycle`, `deploy`, `scale`, `power`, `info`,
//! `logs`, `shell`, `doctor`.

use std::sync::Arc;
use std::time::Duration;

use crate::catalog::Catalog;
use crate::model::AppName;
use crate::store::{AppRecord, Store};

use super::app::App;
use super::inner::{EngineConfig, Inner};
use super::runtime::{Runtime, RuntimeError};
use super::traffic::Traffic;
use super::{backup, deploy, live, reconcile, snapshot};

/// A refused or failed request. `api::server` pairs each with an HTTP status.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Conflict(String),
    /// The request is understood and refused, with the reason and the next step.
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("cannot use the store")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

pub type Result<T> = std::result::Result<T, EngineError>;

/// How long a request waits for an application to be looked at for the first time.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// Cheap to clone; every clone speaks to the same engine.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

impl Engine {
    /// Loads every application and goes on with what was under way.
    ///
    /// # Errors
    /// When the store cannot be read: nothing is decided on a guess.
    pub async fn start(
        config: EngineConfig,
        store: Store,
        runtime: Arc<dyn Runtime>,
        traffic: Arc<dyn Traffic>,
        catalog: Catalog,
    ) -> Result<Self> {
        let engine = Self { inner: Arc::new(Inner::new(config, store, runtime, traffic, catalog)) };
        snapshot::sweep(&engine.inner.config.home).await;
        for record in engine.inner.store.apps().await? {
            engine.run_app(record);
        }
        let inner = engine.inner.clone();
        tokio::spawn(async move { listen(&inner).await });
        Ok(engine)
    }

    /// The application, once it was looked at: right after a start nothing is known yet.
    pub(super) async fn seen_app(&self, name: &AppName) -> Result<Arc<App>> {
        let app = self.inner.app(name)?;
        let mut status = app.status.subscribe();
        let looked = status.wait_for(|status| status.version > 0);
        // While Docker does not answer, what is not known is answered as not there.
        let _ = tokio::time::timeout(FIRST_LOOK, looked).await;
        Ok(app)
    }

    pub(super) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// Starts an application's reconciler and deployer; false when there is one of that name.
    pub(super) fn run_app(&self, record: AppRecord) -> bool {
        let app = App::new(record);
        if !self.inner.add_app(app.clone()) {
            return false;
        }
        let (inner, watched) = (self.inner.clone(), app.clone());
        spawn_forever("reconciler", move || reconcile::run(inner.clone(), watched.clone()));
        let inner = self.inner.clone();
        tokio::spawn(live::compare_once(inner.clone(), app.clone()));
        let (engine, resumed) = (self.clone(), app.clone());
        tokio::spawn(async move {
            snapshot::resume(&engine, &resumed).await;
            backup::attend(&engine, &resumed).await;
        });
        spawn_forever("deployer", move || deploy::work(inner.clone(), app.clone()));
        true
    }
}

/// A panic in one application's task must neither end it nor the others: it starts over from
/// what is observed and recorded, as after a crash of the daemon.
fn spawn_forever<F>(what: &'static str, start: impl Fn() -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        while let Err(error) = tokio::spawn(start()).await {
            tracing::error!(%error, "a {what} ended and starts over");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
}

/// Wakes the reconciler of whatever application something happened to.
async fn listen(inner: &Inner) {
    use tokio::sync::broadcast::error::RecvError;
    let mut events = inner.runtime.events();
    loop {
        match events.recv().await {
            Ok(event) => inner.app(&event.app).into_iter().for_each(|app| app.wake()),
            Err(RecvError::Lagged(_)) => inner.all_apps().iter().for_each(|app| app.wake()),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Runs work that must not stop halfway when whoever asked for it leaves.
pub(super) async fn to_its_end<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    match tokio::spawn(work).await {
        Ok(result) => result,
        Err(error) => Err(EngineError::Store(Box::new(error))),
    }
}
