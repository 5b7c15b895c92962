//! The drivers of an application's replicated groups: started and stopped with their services,
//! told what was observed, given a front and a ledger.

mod front;
mod members;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use crate::model::observed::ObservedApp;
use crate::model::{AppName, Epoch, GroupStatus, Receipt, ServiceName, Vouched};
use crate::store::{ActivityRecord, ServiceRecord, Store};

use super::app::App;
use super::clock;
use super::driver::{GroupHandle, RestartPlan, SwitchoverError};
use super::group::{CopyCommands, GroupContext, Ledger, LedgerError, ObservedMember};
use super::inner::Inner;
use front::RoutedFront;
pub use front::refusal;
use members::Look;

/// A driver and what it was started with.
struct Running {
    handle: GroupHandle,
    synchronous: bool,
}

/// The drivers of one application.
#[derive(Default)]
pub struct Groups {
    handles: Mutex<BTreeMap<ServiceName, Running>>,
}

impl Groups {
    /// Starts missing drivers, stops those of services that are gone, and tells all of them
    /// what was observed.
    pub async fn track(&self, inner: &Arc<Inner>, app: &Arc<App>, observed: &ObservedApp) {
        let record = app.record();
        let running = record.up && !record.doomed;
        let wanted = |service: &&ServiceRecord| running && service.is_data && !service.doomed;
        let services: Vec<&ServiceRecord> = record.services.iter().filter(wanted).collect();
        let mut handles = self.handles.lock().await;
        let same = |service: &&ServiceRecord, name: &ServiceName, running: &Running| {
            service.name == *name && synchronous(inner, service) == running.synchronous
        };
        let gone = handles.iter().filter(|(name, running)| !services.iter().any(|one| same(one, name, running)));
        for name in gone.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            if let Some(running) = handles.remove(&name) {
                running.handle.stop().await;
            }
        }
        for service in services {
            let members = members(inner, service, observed);
            let start = || Running { handle: spawn(inner, app, service), synchronous: synchronous(inner, service) };
            handles.entry(service.name.clone()).or_insert_with(start).handle.observe(members);
        }
    }

    pub async fn statuses(&self) -> BTreeMap<ServiceName, GroupStatus> {
        let handles = self.handles.lock().await;
        handles.iter().map(|(name, running)| (name.clone(), running.handle.status().borrow().clone())).collect()
    }

    /// `None` when the service has no driver now.
    pub async fn status(&self, service: &ServiceName) -> Option<GroupStatus> {
        let handles = self.handles.lock().await;
        handles.get(service).map(|running| running.handle.status().borrow().clone())
    }

    /// A restart that is no failure: the driver keeps the roles. `None` when the service has no
    /// driver now.
    pub async fn plan_restart(&self, service: &ServiceName, index: u32) -> Option<RestartPlan> {
        // The guard is gone before the driver is waited for: every look needs it.
        let released = self.handles.lock().await.get(service).map(|running| running.handle.plan_restart(index))?;
        Some(released.await)
    }

    /// Makes `to`, or the most advanced slave, the master of a service; `None` when the service
    /// has no driver now.
    pub async fn switchover(&self, service: &ServiceName, to: Option<u32>) -> Option<Result<u32, SwitchoverError>> {
        let outcome = self.handles.lock().await.get(service).map(|running| running.handle.switchover(to))?;
        Some(outcome.await)
    }
}

fn spawn(inner: &Arc<Inner>, app: &Arc<App>, service: &ServiceRecord) -> GroupHandle {
    let front_port = service.front_port.unwrap_or_default();
    let route = GroupRoute { app: app.name.clone(), service: service.name.clone(), front_port };
    let password = service.password.as_deref().unwrap_or_default();
    let kind = inner.catalog.get(&service.type_name);
    let data = kind.and_then(|kind| kind.data.as_ref());
    let copying = CopyCommands {
        copy: data.map(|data| data.copy_command.clone()).unwrap_or_default(),
        donate: data.map(|data| data.donate_command.clone()).unwrap_or_default(),
        env: kind.map(|kind| kind.client(password).env).unwrap_or_default(),
    };
    let handle = GroupHandle::spawn(GroupContext {
        app: app.name.clone(),
        service: service.name.clone(),
        replication: data.map(|data| data.dialect().to_owned()).unwrap_or_default(),
        password: password.to_owned(),
        copying,
        synchronous: synchronous(inner, service),
        runtime: inner.runtime.clone(),
        front: RoutedFront::spawn(inner, app, route.clone(), data.and_then(|data| data.replication.clone())),
        labour: app.busy.labour(&service.name),
        ledger: Arc::new(StoredLedger { route, store: inner.store.clone() }),
    });
    wake_on_change(app, &handle);
    handle
}

/// Whether a write waits for a slave: as the build file says, else as the type does.
fn synchronous(inner: &Inner, service: &ServiceRecord) -> bool {
    let default = inner.catalog.get(&service.type_name).and_then(|kind| kind.config.get("replication"));
    let value = service.spec.config.get("replication").or(default);
    value.and_then(serde_json::Value::as_str).is_some_and(|value| value != "async")
}

/// A group's changes are a reason to look at the whole application again.
fn wake_on_change(app: &Arc<App>, handle: &GroupHandle) {
    let (mut status, app) = (handle.status(), Arc::downgrade(app));
    tokio::spawn(async move {
        while status.changed().await.is_ok() {
            let Some(app) = app.upgrade() else { return };
            app.wake();
        }
    });
}

fn members(inner: &Inner, service: &ServiceRecord, observed: &ObservedApp) -> Vec<ObservedMember> {
    let data = inner.catalog.get(&service.type_name).and_then(|kind| kind.data.as_ref());
    let look = |port| Look { service: &service.name, wanted: service.instances, port, observed }.members();
    data.map(|data| look(data.port)).unwrap_or_default()
}

/// What a front and a ledger belong to.
#[derive(Clone)]
struct GroupRoute {
    app: AppName,
    service: ServiceName,
    front_port: u16,
}

struct StoredLedger {
    route: GroupRoute,
    store: Store,
}

#[async_trait]
impl Ledger for StoredLedger {
    async fn epoch(&self) -> Result<Option<Epoch>, LedgerError> {
        let read = self.store.epoch(&self.route.app, &self.route.service).await;
        read.map_err(|error| LedgerError(Box::new(error)))
    }

    async fn commit(&self, epoch: Epoch) -> Result<(), LedgerError> {
        let written = self.store.commit_epoch(&self.route.app, &self.route.service, epoch).await;
        written.map_err(|error| LedgerError(Box::new(error)))
    }

    async fn vouched(&self) -> Result<Option<Vouched>, LedgerError> {
        let read = self.store.vouched(&self.route.app, &self.route.service).await;
        read.map_err(|error| LedgerError(Box::new(error)))
    }

    async fn vouch(&self, word: Option<Vouched>) -> Result<(), LedgerError> {
        let written = self.store.vouch(&self.route.app, &self.route.service, word).await;
        written.map_err(|error| LedgerError(Box::new(error)))
    }

    async fn receipt(&self, receipt: Receipt) {
        let known = self.store.receipts(&self.route.app, &self.route.service).await;
        let is_new = known.is_ok_and(|known| known.iter().all(|one| one.epoch != receipt.epoch));
        if is_new && let Err(error) = self.store.add_activity(&self.activity(&receipt)).await {
            tracing::warn!(%error, "a failover is missing from the activity list");
        }
        if let Err(error) = self.store.save_receipt(&self.route.app, &receipt).await {
            tracing::warn!(%error, "a receipt could not be kept");
        }
    }
}

impl StoredLedger {
    fn activity(&self, receipt: &Receipt) -> ActivityRecord {
        let detail = |key: &str, value: String| (key.to_owned(), value);
        ActivityRecord {
            created_at: clock::timestamp(),
            app: self.route.app.clone(),
            category: "failover".to_owned(),
            action: "failover".to_owned(),
            details: [
                detail("service", self.route.service.to_string()),
                detail("epoch", receipt.epoch.to_string()),
                detail("cause", receipt.cause.clone()),
                detail("from", self.route.service.instance(receipt.old_master).to_string()),
                detail("to", self.route.service.instance(receipt.new_master).to_string()),
            ]
            .into(),
        }
    }
}
