//! One application in memory: the desired record, what was last observed, who waits for what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use crate::model::observed::ObservedApp;
use crate::model::{AppName, GroupStatus, ServiceName};
use crate::plan::Failure;
use crate::store::{AppRecord, Store, StoreError};

use super::backup::Busy;
use super::disks::Disks;
use super::groups::Groups;
use super::handle::{EngineError, to_its_end};
use super::health::Health;
use super::ledger::Running;
use super::live::Live;

/// What the reconciler publishes after every look.
#[derive(Debug, Clone, Default)]
pub struct AppStatus {
    /// The record's version that was looked at; 0 before the first look.
    pub version: u64,
    pub observed: Arc<ObservedApp>,
    /// Containers (ids) that answered their readiness probe.
    pub responsive: Arc<BTreeSet<String>>,
    /// What failed lately, by the step's target.
    pub failures: Arc<BTreeMap<String, Failure>>,
    pub groups: BTreeMap<ServiceName, GroupStatus>,
    /// Steps to take or under way.
    pub steps: Vec<String>,
    /// What is waited for.
    pub holds: Vec<String>,
    /// Those of these lines that are about one service alone.
    pub about: Arc<BTreeMap<String, ServiceName>>,
    /// The application was destroyed.
    pub gone: bool,
}

/// Why a running container is out of the routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// It is to end.
    ForGood,
    /// It is back in a moment: requests for its service wait where there is no other.
    Brief,
}

/// Shared by the reconciler, the deployer and the API.
pub struct App {
    pub name: AppName,
    record: Mutex<Arc<AppRecord>>,
    version: AtomicU64,
    /// Serialises changes: one at a time goes to the disk.
    changing: Arc<tokio::sync::Mutex<()>>,
    wake: Notify,
    /// Wakes the deployer.
    pub deploy: Notify,
    /// A deployment is being performed: what it makes is not cleaned away yet.
    pub deploying: AtomicBool,
    /// Held while a deployment is scheduled.
    pub scheduling: Arc<tokio::sync::Mutex<()>>,
    pub status: watch::Sender<AppStatus>,
    pub health: Health,
    pub groups: Groups,
    /// Containers that are to get no new requests, though they run: a restart drains them.
    leaving: Mutex<BTreeMap<String, Absence>>,
    /// Held while routes are made from what is known and published: two at once could publish
    /// in another order than they looked.
    pub publishing: Mutex<()>,
    pub live: Live,
    /// Ledgers that are being kept.
    pub ledgers: Running,
    /// Backups, restores and snapshots under way.
    pub busy: Busy,
    /// Where members keep their data.
    pub disks: Disks,
}

impl App {
    pub fn new(record: AppRecord) -> Arc<Self> {
        Arc::new(Self {
            name: record.name.clone(),
            record: Mutex::new(Arc::new(record)),
            version: AtomicU64::new(1),
            changing: Arc::default(),
            wake: Notify::new(),
            deploy: Notify::new(),
            deploying: AtomicBool::new(false),
            scheduling: Arc::default(),
            status: watch::Sender::default(),
            health: Health::default(),
            groups: Groups::default(),
            leaving: Mutex::default(),
            publishing: Mutex::default(),
            live: Live::default(),
            ledgers: Running::default(),
            busy: Busy::default(),
            disks: Disks::default(),
        })
    }

    pub fn record(&self) -> Arc<AppRecord> {
        self.lock().clone()
    }

    /// The record with its version: a status of at least this version has seen it.
    pub fn versioned_record(&self) -> (u64, Arc<AppRecord>) {
        let record = self.lock();
        (self.version.load(Ordering::Acquire), record.clone())
    }

    /// Changes what is wanted: on disk first, then in memory, then the reconciler is woken.
    /// Nothing happens when `edit` refuses; a change that has begun is finished even when
    /// whoever asked for it leaves, so that disk and memory stay the same.
    pub async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        store: &Store,
        edit: impl FnOnce(&mut AppRecord) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let one_at_a_time = self.changing.clone().lock_owned().await;
        let mut record = AppRecord::clone(&self.record());
        let answer = edit(&mut record)?;
        let (app, store) = (self.clone(), store.clone());
        to_its_end(async move {
            store.save_app(&record).await?;
            app.replace(record);
            drop(one_at_a_time);
            Ok(answer)
        })
        .await
    }

    fn replace(&self, record: AppRecord) {
        let mut current = self.lock();
        *current = Arc::new(record);
        self.version.fetch_add(1, Ordering::AcqRel);
        drop(current);
        self.wake();
    }

    /// Something may have changed: look again.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    pub fn leaving(&self) -> BTreeMap<String, Absence> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes a running container out of the routes, or with `None` back in, at the next
    /// publication.
    pub fn set_leaving(&self, container: &str, absence: Option<Absence>) {
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        match absence {
            Some(absence) => leaving.insert(container.to_owned(), absence),
            None => leaving.remove(container),
        };
    }

    fn lock(&self) -> MutexGuard<'_, Arc<AppRecord>> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}
