//! One deployment from its record to its end. Every phase may be started over: a daemon that was
//! killed continues from what the store and Docker say.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::catalog::Count;
use crate::engine::adopt;
use crate::engine::app::App;
use crate::engine::environment;
use crate::engine::handle::EngineError;
use crate::engine::inner::Inner;
use crate::engine::live;
use crate::engine::ports::claim::Claim;
use crate::engine::reconcile::in_full;
use crate::model::ServiceSpec;
use crate::store::{AppRecord, DeploymentPhase, DeploymentRecord, Version};

use super::log::DeployLog;
use super::tree::Tree;
use super::{approots, build, images, rollout};

/// Between two attempts to record the end of a deployment.
const SAVE_AGAIN: Duration = Duration::from_secs(2);

/// Why a deployment failed; its details are in the log already.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failed(pub String);

impl From<EngineError> for Failed {
    fn from(error: EngineError) -> Self {
        Self(in_full(&error))
    }
}

/// What every phase needs.
pub struct Deployment<'a> {
    pub inner: &'a Arc<Inner>,
    pub app: &'a Arc<App>,
    pub record: DeploymentRecord,
    pub log: Arc<DeployLog>,
}

pub async fn perform(inner: &Arc<Inner>, app: &Arc<App>, record: DeploymentRecord) {
    let log = inner.deploy_logs.open(&inner.store, &app.name, &record.id);
    let mut deployment = Deployment { inner, app, record, log };
    app.deploying.store(true, Ordering::Release);
    let outcome = tokio::select! {
        outcome = deployment.run() => outcome,
        () = unwanted(app) => Err(Failed("the application was taken down meanwhile".to_owned())),
    };
    deployment.finish(outcome).await;
    app.deploying.store(false, Ordering::Release);
    app.wake();
}

/// Returns when nothing of the application is to run any more. A build that is dropped then
/// leaves its container to the reconciler, which removes all.
async fn unwanted(app: &App) {
    let is_wanted = || {
        let record = app.record();
        record.up && !record.doomed
    };
    let mut status = app.status.subscribe();
    while is_wanted() {
        if status.changed().await.is_err() {
            return;
        }
    }
}

impl Deployment<'_> {
    async fn run(&mut self) -> Result<(), Failed> {
        let tree = self.read_tree().await?;
        if self.record.phase == DeploymentPhase::Building {
            self.build(&tree).await?;
            self.record.phase = DeploymentPhase::Deploying;
            self.save().await?;
        }
        rollout::roll_out(self, &tree).await
    }

    async fn build(&mut self, tree: &Tree) -> Result<(), Failed> {
        let (name, revision) = (&self.app.name, &self.record.revision);
        self.log.say(format!("Deployment scheduled for application ({name}) at revision {revision}")).await;
        if let Some(warnings) = &tree.warnings {
            self.log.say(warnings.clone()).await;
        }
        self.check_types(tree)?;
        self.check_ports(tree)?;
        let wanted = self.code_services(tree);
        images::ensure(self, tree).await?;
        approots::keep(self, tree).await?;
        self.adopt(tree).await?;
        if self.is_current(&wanted).await {
            self.log.say("Nothing has changed since the last deployment: no build needed").await;
            return Ok(());
        }
        let images = build::build_all(self, &wanted).await?;
        self.propose(images).await
    }

    async fn read_tree(&self) -> Result<Tree, Failed> {
        let file = self.inner.store.revision_file(&self.app.name, &self.record.revision).await;
        let file = file.map_err(|error| Failed(in_full(&error)))?;
        let file = file.ok_or_else(|| Failed(format!("revision {} is gone", self.record.revision)))?;
        let inner = self.inner.clone();
        let read = move || {
            let types: Vec<&str> = inner.catalog.types().map(|kind| kind.name.as_str()).collect();
            Tree::read(&file, &types)
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(tree) => tree.map_err(|error| Failed(in_full(&error))),
            Err(error) => Err(Failed(in_full(&error))),
        }
    }

    /// What this version cannot run is refused before anything is touched.
    fn check_types(&self, tree: &Tree) -> Result<(), Failed> {
        let catalog = &self.inner.catalog;
        let is_data = |spec: &&ServiceSpec| catalog.get(&spec.type_name).is_some_and(|kind| kind.data.is_some());
        if let Some(spec) = tree.stack.services.iter().filter(is_data).find(|spec| !spec.shared_folders.is_empty()) {
            return Err(Failed(format!("service \"{}\": a data service has no shared folders", spec.name)));
        }
        self.check_counts(tree)?;
        let unavailable = |spec: &&ServiceSpec| catalog.get(&spec.type_name).is_none();
        match tree.stack.services.iter().find(unavailable) {
            None => Ok(()),
            Some(spec) => Err(Failed(format!(
                "service \"{}\": type \"{}\" is part of the platform, but this version cannot run it yet (it runs {})",
                spec.name,
                spec.type_name,
                catalog.types().map(|kind| kind.name.as_str()).collect::<Vec<_>>().join(", ")
            ))),
        }
    }

    /// How many members a new data service is to have.
    fn check_counts(&self, tree: &Tree) -> Result<(), Failed> {
        let record = self.app.record();
        let is_new = |spec: &&ServiceSpec| record.service(&spec.name).is_none();
        let refused = |spec: &ServiceSpec| match self.inner.catalog.get(&spec.type_name)?.count(spec.instances) {
            Count::Refused(why) => {
                Some(format!("service \"{}\" cannot have {} instances: {why}", spec.name, spec.instances))
            }
            Count::Fits | Count::Ignored(_) => None,
        };
        let refused = tree.stack.services.iter().filter(is_new).find_map(refused);
        refused.map_or(Ok(()), |why| Err(Failed(why)))
    }

    /// The platform chooses the ports of data services.
    fn check_ports(&self, tree: &Tree) -> Result<(), Failed> {
        let is_data = |spec: &&ServiceSpec| self.inner.catalog.get(&spec.type_name).is_some_and(|k| k.data.is_some());
        match tree.stack.services.iter().filter(is_data).find(|spec| !spec.ports.is_empty()) {
            None => Ok(()),
            Some(spec) => Err(Failed(format!(
                "service \"{}\": only code services have \"ports\", and type \"{}\" is a data service with an address \
                 of its own: remove them from the build file",
                spec.name, spec.type_name,
            ))),
        }
    }

    fn code_services(&self, tree: &Tree) -> Vec<ServiceSpec> {
        let is_code =
            |spec: &&ServiceSpec| self.inner.catalog.get(&spec.type_name).is_some_and(|kind| kind.data.is_none());
        let is_asked = |spec: &&ServiceSpec| self.record.service.as_ref().is_none_or(|only| *only == spec.name);
        tree.stack.services.iter().filter(is_code).filter(is_asked).cloned().collect()
    }

    /// Takes the build file's services into the record: new ones are added (data services start
    /// at once), those that are no longer in it stay, and are said so.
    async fn adopt(&self, tree: &Tree) -> Result<(), Failed> {
        let (inner, app) = (self.inner, self.app);
        // Two applications that choose at once would choose the same port.
        let _one_at_a_time = inner.choosing_ports.lock().await;
        let taken = inner.taken_ports();
        let adopted = app.change(&inner.store, |record| adopt::adopt(inner, record, &tree.stack, taken)).await?;
        for name in &adopted.new_data {
            self.log.say_of(name, "Initializing the new service...").await;
        }
        for (name, text) in &adopted.remarks {
            self.log.complain(name, text.clone()).await;
        }
        for name in &adopted.left_out {
            let text = "This service is no longer in the build file: it keeps running as it is and cannot be scaled. \
                 `dotcloud destroy` removes it.";
            self.log.complain(name, text).await;
        }
        for name in &adopted.left_folders {
            let text = format!(
                "The shared folder \"{name}\" is no longer in the build file: its files stay until `dotcloud destroy`."
            );
            self.log.complain((), text).await;
        }
        Ok(())
    }

    /// True when the same revision, described the same way, serves already, as it was built.
    async fn is_current(&self, wanted: &[ServiceSpec]) -> bool {
        let record = self.app.record();
        let told = environment::told_fronts(&record, &self.inner.catalog);
        for spec in wanted {
            let serving = record.service(&spec.name).and_then(|service| service.serving.as_ref());
            let same = serving.filter(|version| {
                version.revision == self.record.revision
                    && (self.record.live || version.overlay.is_none())
                    && version.spec == *spec
                    && version.environment == self.record.environment
                    && version.told_fronts == told
            });
            let Some(version) = same else { return false };
            if !self.inner.runtime.image_exists(&version.image).await.unwrap_or(false) {
                return false;
            }
        }
        !self.record.clean
    }

    /// Records the built images as candidates: from now on the reconciler starts them.
    async fn propose(&self, images: Vec<(ServiceSpec, String)>) -> Result<(), Failed> {
        let inner = self.inner;
        // What was scaled since the build began lacks numbers for its new ports.
        let _one_at_a_time = inner.choosing_ports.lock().await;
        let mut claim = Claim { home_id: &inner.config.home_id, app: &self.app.name, taken: inner.taken_ports() };
        let edit = |record: &mut AppRecord| {
            for (spec, image) in images {
                let Some(service) = record.service_mut(&spec.name) else { continue };
                let kept =
                    service.serving.as_ref().filter(|old| self.record.live && old.revision == self.record.revision);
                let overlay = kept.and_then(|old| old.overlay.clone());
                service.candidate = Some(Version { overlay, ..self.version(spec, image) });
            }
            claim.complete_newest(record, &inner.catalog).map_err(EngineError::Invalid)?;
            let told = environment::told_fronts(record, &inner.catalog);
            let candidates = record.services.iter_mut().filter_map(|service| service.candidate.as_mut());
            candidates.for_each(|version| version.told_fronts.clone_from(&told));
            Ok(())
        };
        Ok(self.app.change(&inner.store, edit).await?)
    }

    fn version(&self, spec: ServiceSpec, image: String) -> Version {
        Version {
            generation: self.record.generation,
            revision: self.record.revision.clone(),
            image,
            spec,
            environment: self.record.environment.clone(),
            told_fronts: BTreeSet::new(),
            overlay: None,
            handing_over: BTreeSet::new(),
        }
    }

    async fn finish(mut self, outcome: Result<(), Failed>) {
        let name = self.app.name.clone();
        let (phase, text) = match outcome {
            Ok(()) => (DeploymentPhase::Succeeded, format!("Application ({name}) fully installed")),
            Err(Failed(why)) => {
                rollout::withdraw(&self).await;
                (DeploymentPhase::Failed, format!("Deployment failed: {why}"))
            }
        };
        self.record.phase = phase;
        let succeeded = phase == DeploymentPhase::Succeeded;
        self.log.end(text, succeeded).await;
        if succeeded {
            // While the deployment is unfinished nothing goes live: no file is there that its
            // version does not name yet.
            live::prune(self.inner, self.app).await;
        }
        // Unrecorded it would be performed again, at once and for ever: on a full disk this waits.
        while let Err(Failed(error)) = self.save().await {
            tracing::error!("the end of deployment {} could not be recorded: {error}", self.record.id);
            tokio::time::sleep(SAVE_AGAIN).await;
        }
        let details = [
            ("revision", self.record.revision.clone()),
            ("build", self.record.id.clone()),
            ("succeeded", succeeded.to_string()),
        ];
        self.inner.record_activity(&name, "app", "deploy", &details).await;
        if succeeded {
            adopt::prune(self.inner, self.app).await;
        }
    }

    async fn save(&self) -> Result<(), Failed> {
        self.inner.store.save_deployment(&self.record).await.map_err(|error| Failed(in_full(&error)))
    }
}
