//! What every part of the engine shares.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::catalog::Catalog;
use crate::model::AppName;
use crate::store::{ActivityRecord, ServiceRecord, Store};

use super::app::App;
use super::clock;
use super::deploy::log::DeployLogs;
use super::fronts::Fronts;
use super::handle::EngineError;
use super::naming::Naming;
use super::routes::Routes;
use super::runtime::Runtime;
use super::traffic::Traffic;

/// What the daemon decides before it starts the engine.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// `DOTCLOUD_HOME`.
    pub home: PathBuf,
    /// Part of names and labels: which home an object belongs to.
    pub home_id: String,
    /// The port of the HTTP front, on loopback and on every application's gateway.
    pub http_port: u16,
}

pub struct Inner {
    pub config: EngineConfig,
    pub store: Store,
    pub runtime: Arc<dyn Runtime>,
    pub traffic: Arc<dyn Traffic>,
    pub routes: Arc<Routes>,
    pub fronts: Fronts,
    pub catalog: Catalog,
    pub naming: Naming,
    /// Builds under way at once: more would only slow one another.
    pub builds: Semaphore,
    pub deploy_logs: DeployLogs,
    /// Held from the look at the taken ports until the chosen ones are recorded.
    pub choosing_ports: tokio::sync::Mutex<()>,
    apps: Mutex<BTreeMap<AppName, Arc<App>>>,
}

impl Inner {
    pub fn new(
        config: EngineConfig,
        store: Store,
        runtime: Arc<dyn Runtime>,
        traffic: Arc<dyn Traffic>,
        catalog: Catalog,
    ) -> Self {
        Self {
            naming: Naming::new(&config.home_id),
            routes: Arc::new(Routes::new(traffic.clone())),
            fronts: Fronts::new(traffic.clone()),
            catalog,
            builds: Semaphore::new(2),
            deploy_logs: DeployLogs::default(),
            choosing_ports: tokio::sync::Mutex::default(),
            apps: Mutex::default(),
            config,
            store,
            runtime,
            traffic,
        }
    }

    pub fn app(&self, name: &AppName) -> Result<Arc<App>, EngineError> {
        let missing = || EngineError::NotFound(format!("The application \"{name}\" does not exist."));
        self.lock().get(name).cloned().ok_or_else(missing)
    }

    pub fn all_apps(&self) -> Vec<Arc<App>> {
        self.lock().values().cloned().collect()
    }

    /// False when there is one of that name.
    pub fn add_app(&self, app: Arc<App>) -> bool {
        let mut apps = self.lock();
        if apps.contains_key(&app.name) {
            return false;
        }
        apps.insert(app.name.clone(), app);
        true
    }

    pub fn forget_app(&self, name: &AppName) {
        self.lock().remove(name);
    }

    /// Front ports of all applications.
    pub fn taken_ports(&self) -> BTreeSet<u16> {
        let ports =
            |app: Arc<App>| app.record().services.iter().flat_map(ServiceRecord::front_ports).collect::<Vec<_>>();
        self.all_apps().into_iter().flat_map(ports).collect()
    }

    /// Adds to the activity list; a full disk must not stop what is being done.
    pub async fn record_activity(&self, app: &AppName, category: &str, action: &str, details: &[(&str, String)]) {
        let record = ActivityRecord {
            created_at: clock::timestamp(),
            app: app.clone(),
            category: category.to_owned(),
            action: action.to_owned(),
            details: details.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
        };
        if let Err(error) = self.store.add_activity(&record).await {
            tracing::warn!(%error, "an action is missing from the activity list");
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AppName, Arc<App>>> {
        self.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
