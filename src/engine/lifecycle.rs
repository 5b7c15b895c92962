//! Applications come and go: create, destroy, up, down, and waiting until what was asked is so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use crate::model::{AppName, ServiceName, SyncState};
use crate::plan::Step;
use crate::store::AppRecord;

use super::app::{App, AppStatus};
use super::clock;
use super::environment;
use super::handle::{Engine, EngineError, Result};
use super::view::DeployWish;

/// The engine lets go of a network a moment after the last container in it is gone.
const NETWORK_GOES: Duration = Duration::from_secs(15);

impl Engine {
    /// # Errors
    /// `Conflict` when it exists.
    pub async fn create(&self, app: &AppName, flavor: &str) -> Result<()> {
        let record = AppRecord {
            name: app.clone(),
            flavor: flavor.to_owned(),
            created_at: clock::timestamp(),
            up: true,
            doomed: false,
            discard_data: false,
            subnet: None,
            services: Vec::new(),
            environment: BTreeMap::new(),
            generation: 0,
            pauses: BTreeMap::new(),
        };
        let exists = || EngineError::Conflict(format!("Application \"{app}\" already exists."));
        if self.inner().app(app).is_ok() {
            return Err(exists());
        }
        self.inner().store.save_app(&record).await?;
        if !self.run_app(record) {
            return Err(exists());
        }
        self.inner().record_activity(app, "app", "create", &[]).await;
        Ok(())
    }

    /// Returns when containers, network, volumes, images and records are gone.
    ///
    /// # Errors
    /// When the runtime does not answer; then nothing was changed.
    pub async fn destroy(&self, app: &AppName) -> Result<()> {
        let app = self.reachable_app(app).await?;
        let doom = |record: &mut AppRecord| {
            record.doomed = true;
            Ok(())
        };
        app.change(&self.inner().store, doom).await?;
        app.deploy.notify_one();
        cleared(&app, |status| status.gone).await
    }

    /// Returns when the service's containers and data are gone.
    ///
    /// # Errors
    /// When the runtime does not answer; then nothing was changed.
    pub async fn destroy_service(&self, app: &AppName, service: &ServiceName) -> Result<()> {
        let app = self.reachable_app(app).await?;
        let doom = |record: &mut AppRecord| {
            let missing = || EngineError::NotFound(format!("The service \"{service}\" does not exist."));
            record.service_mut(service).ok_or_else(missing)?.doomed = true;
            Ok(())
        };
        app.change(&self.inner().store, doom).await?;
        self.inner().record_activity(&app.name, "service", "destroy", &[("service", service.to_string())]).await;
        let watched = app.clone();
        wait_until(&app, |_| watched.record().service(service).is_none()).await
    }

    /// Removes containers and network; with `volumes` the data too. Returns when they are gone.
    ///
    /// # Errors
    /// When the runtime does not answer; then nothing was changed.
    pub async fn down(&self, app: &AppName, volumes: bool) -> Result<()> {
        let app = self.reachable_app(app).await?;
        let stop = |record: &mut AppRecord| {
            record.up = false;
            record.discard_data = volumes;
            Ok(())
        };
        app.change(&self.inner().store, stop).await?;
        self.inner().record_activity(&app.name, "app", "down", &[]).await;
        let (version, _) = app.versioned_record();
        cleared(&app, |status| {
            let observed = &status.observed;
            let empty = observed.containers.is_empty() && observed.network.is_none();
            status.version >= version && empty && (!volumes || observed.volumes.is_empty())
        })
        .await
    }

    /// The application, when the runtime answers: else whoever waits for something to be removed
    /// would wait without a word for as long as it does not.
    async fn reachable_app(&self, app: &AppName) -> Result<Arc<App>> {
        let app = self.inner().app(app)?;
        self.inner().runtime.observe(&app.name).await?;
        Ok(app)
    }

    /// Starts a stack that is `down` again, without a build. Returns at once.
    pub async fn up(&self, app: &AppName) -> Result<()> {
        let app = self.inner().app(app)?;
        let start = |record: &mut AppRecord| {
            record.up = true;
            record.discard_data = false;
            Ok(())
        };
        app.change(&self.inner().store, start).await?;
        self.rebuild_missing(&app).await
    }

    /// Images that were removed by hand are built again from the revision that serves.
    async fn rebuild_missing(&self, app: &App) -> Result<()> {
        let record = app.record();
        for version in record.services.iter().filter_map(|service| service.serving.as_ref()) {
            if !self.inner().runtime.image_exists(&version.image).await? {
                let wish = DeployWish { revision: Some(version.label()), ..DeployWish::default() };
                return self.deploy(&app.name, wish).await.map(drop);
            }
        }
        Ok(())
    }

    /// Waits until everything that is asked for runs and answers and no deployment is under way; with
    /// `services`, until that is so of these. What it still waits for is sent to `holds` every time
    /// that changes.
    pub async fn wait(&self, app: &AppName, services: &[ServiceName], holds: mpsc::Sender<Vec<String>>) -> Result<()> {
        let app = self.inner().app(app)?;
        let mut status = app.status.subscribe();
        let mut told = None;
        loop {
            let seen = status.borrow_and_update().clone();
            let mut waits_for = self.unsettled(&app, &seen, services).await?;
            waits_for.sort();
            if waits_for.is_empty() {
                return Ok(());
            }
            if told.as_ref() != Some(&waits_for) {
                // Whoever asked may have gone.
                if holds.send(waits_for.clone()).await.is_err() {
                    return Ok(());
                }
                told = Some(waits_for);
            }
            let changed = tokio::select! {
                changed = status.changed() => changed,
                () = holds.closed() => return Ok(()),
            };
            changed.map_err(|_| EngineError::NotFound(format!("The application \"{}\" is gone.", app.name)))?;
        }
    }

    async fn unsettled(&self, app: &App, status: &AppStatus, services: &[ServiceName]) -> Result<Vec<String>> {
        let wanted = |name: &ServiceName| services.is_empty() || services.contains(name);
        let (version, record) = app.versioned_record();
        if status.version < version {
            return Ok(vec!["the change is about to be looked at".to_owned()]);
        }
        let under_way = self.inner().store.unfinished_deployments(&app.name).await?.into_iter();
        let mut reasons: Vec<String> =
            under_way.map(|deployment| format!("deployment of {} is under way", deployment.revision)).collect();
        let lines = status.steps.iter().chain(&status.holds);
        reasons.extend(lines.filter(|line| status.about.get(*line).is_none_or(wanted)).cloned());
        let data = record.services.iter().filter(|service| service.is_data && record.up && !service.doomed);
        for service in data.filter(|service| wanted(&service.name)) {
            let group = status.groups.get(&service.name);
            for index in 0..service.instances {
                let member = group.and_then(|group| group.members.iter().find(|member| member.index == index));
                let master = group.and_then(|group| group.epoch).is_some_and(|epoch| epoch.master == index);
                match member.map(|member| member.sync) {
                    Some(SyncState::Synchronized) => {}
                    Some(SyncState::Down | SyncState::Detached) | None if !master => {
                        reasons.push(format!("{}.{index} waits: not a member yet", service.name));
                    }
                    Some(sync @ SyncState::Synchronizing { .. }) if !master => {
                        reasons.push(format!("{}.{index} waits: {sync}", service.name));
                    }
                    _ => {}
                }
            }
        }
        Ok(reasons)
    }

    // --- uploads

    /// Where an upload (a tar of the tree) is to be written before [`Engine::uploaded`].
    pub async fn upload_path(&self, app: &AppName) -> Result<PathBuf> {
        let app = self.inner().app(app)?;
        let folder = self.app_folder(&app.name).join("uploads");
        tokio::fs::create_dir_all(&folder).await.map_err(disk)?;
        Ok(folder.join(format!("{}.tar", uuid::Uuid::new_v4())))
    }

    /// Takes a complete upload over; returns its revision, `rsync-<ms>`. The same tree as the
    /// last one keeps its revision.
    pub async fn uploaded(&self, app: &AppName, file: &Path) -> Result<String> {
        let inner = self.inner();
        let app = inner.app(app)?;
        let _one_at_a_time = app.scheduling.lock().await;
        let digest = digest(file).await.map_err(disk)?;
        let key = format!("tree/{}", app.name);
        let last = inner.store.revisions(&app.name).await?.pop();
        if let (Some(revision), Some(known)) = (last, inner.store.setting(&key).await?)
            && known == format!("{revision} {digest}")
        {
            tokio::fs::remove_file(file).await.map_err(disk)?;
            return Ok(revision);
        }
        let revision = format!("rsync-{}", clock::unix_millis());
        let folder = self.app_folder(&app.name).join("revisions");
        tokio::fs::create_dir_all(&folder).await.map_err(disk)?;
        let kept = folder.join(format!("{revision}.tar"));
        tokio::fs::rename(file, &kept).await.map_err(disk)?;
        inner.store.add_revision(&app.name, &revision, &kept).await?;
        inner.store.set_setting(&key, &format!("{revision} {digest}")).await?;
        Ok(revision)
    }

    /// All revisions, oldest first.
    pub async fn revisions(&self, app: &AppName) -> Result<Vec<String>> {
        let app = self.inner().app(app)?;
        Ok(self.inner().store.revisions(&app.name).await?)
    }

    fn app_folder(&self, app: &AppName) -> PathBuf {
        self.inner().config.home.join("apps").join(app.as_str())
    }

    // --- environment

    /// What the user set, and where the services are.
    pub async fn environment(&self, app: &AppName) -> Result<BTreeMap<String, String>> {
        let inner = self.inner();
        Ok(environment::of_app(&inner.app(app)?.record(), &inner.catalog, inner.config.http_port))
    }

    /// `None` unsets. Takes effect with the next deployment.
    ///
    /// # Errors
    /// `Invalid` for names outside `[A-Za-z0-9_]` and for those that start with `DOTCLOUD_`.
    pub async fn set_environment(&self, app: &AppName, changes: BTreeMap<String, Option<String>>) -> Result<()> {
        let app = self.inner().app(app)?;
        changes.keys().try_for_each(|key| check_variable(key))?;
        let edit = |record: &mut AppRecord| {
            for (key, value) in changes {
                match value {
                    Some(value) => drop(record.environment.insert(key, value)),
                    None => drop(record.environment.remove(&key)),
                }
            }
            Ok(())
        };
        app.change(&self.inner().store, edit).await
    }
}

fn check_variable(key: &str) -> Result<()> {
    let plain = !key.is_empty() && key.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    if !plain {
        let text = format!("\"{key}\" cannot be the name of a variable: use letters, digits and _.");
        return Err(EngineError::Invalid(text));
    }
    if key.starts_with("DOTCLOUD_") {
        let text = format!("\"{key}\" cannot be set: names that start with DOTCLOUD_ belong to the platform.");
        return Err(EngineError::Invalid(text));
    }
    Ok(())
}

/// Waits until everything that runs is removed, which `reached` says, or nothing but a network is left
/// that the runtime does not give up.
async fn cleared(app: &App, reached: impl Fn(&AppStatus) -> bool) -> Result<()> {
    tokio::select! {
        biased;
        reached = wait_until(app, reached) => reached,
        error = network_stays(app) => Err(error),
    }
}

async fn network_stays(app: &App) -> EngineError {
    let why = |status: &AppStatus| {
        let failure = status.failures.get(&Step::RemoveNetwork.target());
        failure.filter(|_| status.observed.containers.is_empty()).map(|failure| failure.why.clone())
    };
    loop {
        let refused = wait_until(app, |status| why(status).is_some()).await;
        let tried_again = tokio::time::timeout(NETWORK_GOES, wait_until(app, |status| why(status).is_none())).await;
        let why = why(&app.status.borrow());
        if let (Ok(()), Err(_), Some(why)) = (refused, tried_again, why) {
            let text =
                format!("No container of {} is left, but its network is, which is tried again: {why}.", app.name);
            return EngineError::Invalid(text);
        }
    }
}

/// Waits for a status that satisfies `reached`; the end of the application counts as well.
async fn wait_until(app: &App, reached: impl Fn(&AppStatus) -> bool) -> Result<()> {
    let mut status = app.status.subscribe();
    let waited = status.wait_for(|status| status.gone || reached(status)).await;
    waited.map(drop).map_err(|_| EngineError::NotFound(format!("The application \"{}\" is gone.", app.name)))
}

fn disk(error: std::io::Error) -> EngineError {
    EngineError::Store(Box::new(error))
}

async fn digest(file: &Path) -> std::io::Result<String> {
    let mut file = tokio::fs::File::open(file).await?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        match file.read(&mut buffer).await? {
            0 => break,
            read => hash.update(&buffer[..read]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
