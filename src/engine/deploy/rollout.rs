//! Candidates beside the serving version: waits until all of them answer, then makes them the
//! serving version in one change of the record. On any failure they are withdrawn instead.
//!
//! Where the old version keeps something in `~/data` the new one cannot start beside it: once
//! all candidates are through their `postinstall`, those instances are handed over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::engine::app::AppStatus;
use crate::engine::clock;
use crate::engine::ports;
use crate::engine::runtime::{LogPart, ObservedContainer, Purpose, RunState};
use crate::model::InstanceName;
use crate::store::{AppRecord, ServiceRecord};

use super::perform::{Deployment, Failed};
use super::tree::Tree;

/// For an instance that runs to answer.
const RESPONSE_LIMIT: Duration = Duration::from_secs(30);
/// For its `postinstall` (platform.md, §2).
const POSTINSTALL_LIMIT: Duration = Duration::from_secs(600);
/// For its container to start at all, images included.
const START_LIMIT: Duration = Duration::from_secs(120);
/// For its predecessor to finish its requests and stop, and for it to be started again.
const HAND_OVER_LIMIT: Duration = Duration::from_secs(180);
/// Lines of a failed instance's output in the deployment's log.
const TAIL: u32 = 40;

/// How far an instance of the new version is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Provisioning,
    Launching,
    /// It is through its `postinstall`, and another instance has its `~/data`.
    Waiting,
    HandingOver,
    Responsive,
}

/// Switches to the new version once all its instances answer.
pub async fn roll_out(deployment: &Deployment<'_>, tree: &Tree) -> Result<(), Failed> {
    let log = &deployment.log;
    if candidates(&deployment.app.record(), deployment).next().is_some() {
        log.say("Provisioning services' instances...").await;
        wait_for_candidates(deployment, tree).await?;
        switch(deployment).await?;
    }
    Ok(())
}

/// Takes the candidates of a failed deployment back; the reconciler removes their containers.
pub async fn withdraw(deployment: &Deployment<'_>) {
    let generation = deployment.record.generation;
    let edit = |record: &mut AppRecord| {
        for service in &mut record.services {
            service.candidate.take_if(|candidate| candidate.generation == generation);
        }
        Ok(())
    };
    if let Err(error) = deployment.app.change(&deployment.inner.store, edit).await {
        tracing::error!(%error, "the candidates of a failed deployment could not be withdrawn");
    }
}

fn candidates<'a>(record: &'a AppRecord, deployment: &Deployment<'_>) -> impl Iterator<Item = &'a ServiceRecord> {
    let generation = deployment.record.generation;
    let is_ours = move |service: &&ServiceRecord| {
        !service.doomed && service.candidate.as_ref().is_some_and(|candidate| candidate.generation == generation)
    };
    record.services.iter().filter(is_ours)
}

async fn wait_for_candidates(deployment: &Deployment<'_>, tree: &Tree) -> Result<(), Failed> {
    let mut status = deployment.app.status.subscribe();
    let mut watch = Watch { stages: BTreeMap::new(), since: BTreeMap::new() };
    loop {
        let seen = status.borrow_and_update().clone();
        if watch.advance(deployment, &seen).await? {
            return Ok(());
        }
        let left = watch.time_left(tree);
        tokio::select! {
            changed = status.changed() => changed.map_err(|_| Failed("the application is gone".to_owned()))?,
            () = tokio::time::sleep(left) => return Err(watch.too_slow(deployment, &seen, tree).await),
        }
    }
}

struct Watch {
    stages: BTreeMap<InstanceName, Stage>,
    /// When each instance reached its stage.
    since: BTreeMap<InstanceName, Duration>,
}

impl Watch {
    /// Notes what has changed, and says it; true when every instance answers.
    async fn advance(&mut self, deployment: &Deployment<'_>, status: &AppStatus) -> Result<bool, Failed> {
        let record = deployment.app.record();
        let mut wanted = BTreeSet::new();
        for service in candidates(&record, deployment) {
            for index in 0..service.instances {
                let instance = service.name.instance(index);
                let container = find(status, &instance, deployment.record.generation);
                if let Some(container) = container.filter(|container| failed(container.state)) {
                    return Err(ended(deployment, container).await);
                }
                let stage = stage_of(container, status, hands_over(service, index));
                self.note(deployment, &instance, stage).await;
                wanted.insert(instance);
            }
        }
        // Some may have been scaled away meanwhile.
        self.stages.retain(|instance, _| wanted.contains(instance));
        self.hand_over(deployment).await?;
        Ok(self.stages.values().all(|stage| *stage == Stage::Responsive))
    }

    /// Old instances stop only when nothing is left to fail before they must.
    async fn hand_over(&self, deployment: &Deployment<'_>) -> Result<(), Failed> {
        let early = |stage: &Stage| matches!(stage, Stage::Provisioning | Stage::Launching);
        if self.stages.values().any(early) {
            return Ok(());
        }
        let waiting = self.stages.iter().filter(|(_, stage)| **stage == Stage::Waiting);
        let waiting: Vec<InstanceName> = waiting.map(|(instance, _)| instance.clone()).collect();
        for instance in &waiting {
            deployment.log.say_of(instance, "~/data is handed over: a short downtime").await;
        }
        match waiting.is_empty() {
            true => Ok(()),
            false => ask_to_hand_over(deployment, waiting).await,
        }
    }

    async fn note(&mut self, deployment: &Deployment<'_>, instance: &InstanceName, stage: Stage) {
        if self.stages.insert(instance.clone(), stage) == Some(stage) {
            return;
        }
        self.since.insert(instance.clone(), clock::monotonic());
        let text = match stage {
            Stage::Provisioning => {
                format!("Provisioning service ({}) instance #{}", instance.service, instance.index)
            }
            Stage::Launching => "Waiting for the instance to become responsive...".to_owned(),
            Stage::Waiting | Stage::HandingOver => return,
            Stage::Responsive => "The instance is responsive".to_owned(),
        };
        deployment.log.say_of(instance, text).await;
    }

    fn limit(&self, instance: &InstanceName, tree: &Tree) -> Duration {
        let hook = tree.stack.service(&instance.service).is_some_and(|spec| tree.has_postinstall(spec));
        match self.stages.get(instance) {
            Some(Stage::Launching) if hook => RESPONSE_LIMIT + POSTINSTALL_LIMIT,
            Some(Stage::Launching) => RESPONSE_LIMIT,
            Some(Stage::HandingOver) => HAND_OVER_LIMIT,
            _ => START_LIMIT,
        }
    }

    fn time_left(&self, tree: &Tree) -> Duration {
        let now = clock::monotonic();
        let left = self
            .unfinished()
            .map(|(instance, _)| (self.since[instance] + self.limit(instance, tree)).saturating_sub(now));
        left.min().unwrap_or(START_LIMIT)
    }

    /// Those that have something to do: who waits, waits for them.
    fn unfinished(&self) -> impl Iterator<Item = (&InstanceName, &Stage)> {
        self.stages.iter().filter(|(_, stage)| !matches!(stage, Stage::Waiting | Stage::Responsive))
    }

    async fn too_slow(&self, deployment: &Deployment<'_>, status: &AppStatus, tree: &Tree) -> Failed {
        for (instance, stage) in self.unfinished() {
            if *stage == Stage::Launching {
                let text = format!(
                    "WARNING: The service crashed at startup or is listening to the wrong port. \
                     It failed to respond{} within its time limit. Please check the application logs.",
                    on_ports(deployment, instance, tree)
                );
                deployment.log.complain(instance, text).await;
            }
            if let Some(container) = find(status, instance, deployment.record.generation) {
                print_tail(deployment, container).await;
            }
        }
        for hold in &status.holds {
            deployment.log.complain((), hold.clone()).await;
        }
        Failed("not every instance became responsive in time; the previous version keeps running".to_owned())
    }
}

/// ` on port "www" (42800)`: what an instance was asked on.
fn on_ports(deployment: &Deployment<'_>, instance: &InstanceName, tree: &Tree) -> String {
    let spec = tree.stack.service(&instance.service);
    let kind = spec.and_then(|spec| deployment.inner.catalog.get(&spec.type_name));
    let asked = spec.zip(kind).map(|(spec, kind)| ports::asked(spec, kind)).unwrap_or_default();
    let named: Vec<String> = asked.iter().map(|port| format!("\"{}\" ({})", port.label(), port.number)).collect();
    match named.as_slice() {
        [] => String::new(),
        [one] => format!(" on port {one}"),
        several => format!(" on ports {}", several.join(", ")),
    }
}

fn find<'a>(status: &'a AppStatus, instance: &InstanceName, generation: u64) -> Option<&'a ObservedContainer> {
    status.observed.containers.iter().find(|container| {
        let identity = &container.identity;
        identity.purpose == Purpose::Code && identity.instance == *instance && identity.generation == generation
    })
}

fn stage_of(container: Option<&ObservedContainer>, status: &AppStatus, handing_over: bool) -> Stage {
    match container {
        Some(container) if status.responsive.contains(&container.id) => Stage::Responsive,
        Some(container) if container.state == RunState::Running => Stage::Launching,
        Some(container) if container.state.waits_for_data() && handing_over => Stage::HandingOver,
        Some(container) if container.state.waits_for_data() => Stage::Waiting,
        _ => Stage::Provisioning,
    }
}

fn failed(state: RunState) -> bool {
    matches!(state, RunState::Exited { .. }) && !state.waits_for_data()
}

fn hands_over(service: &ServiceRecord, index: u32) -> bool {
    service.candidate.as_ref().is_some_and(|candidate| candidate.handing_over.contains(&index))
}

/// Durably: a daemon that is started again stops and starts what is left to be.
async fn ask_to_hand_over(deployment: &Deployment<'_>, instances: Vec<InstanceName>) -> Result<(), Failed> {
    let generation = deployment.record.generation;
    let edit = move |record: &mut AppRecord| {
        for instance in instances {
            let candidate = record.service_mut(&instance.service).and_then(|service| service.candidate.as_mut());
            let ours = candidate.filter(|candidate| candidate.generation == generation);
            ours.into_iter().for_each(|candidate| candidate.handing_over.extend([instance.index]));
        }
        Ok(())
    };
    Ok(deployment.app.change(&deployment.inner.store, edit).await?)
}

async fn ended(deployment: &Deployment<'_>, container: &ObservedContainer) -> Failed {
    let instance = &container.identity.instance;
    print_tail(deployment, container).await;
    let why = match container.state {
        RunState::Exited { code: 71, .. } => "its postinstall hook failed".to_owned(),
        RunState::Exited { code: 73, .. } => "its ~/data could not be kept".to_owned(),
        RunState::Exited { oom_killed: true, .. } => "it needs more memory than its limit".to_owned(),
        RunState::Exited { code, .. } => format!("it ended with exit code {code}"),
        _ => "it ended".to_owned(),
    };
    Failed(format!("{instance} did not start: {why}; the previous version keeps running"))
}

async fn print_tail(deployment: &Deployment<'_>, container: &ObservedContainer) {
    let tail = LogPart { lines: Some(TAIL), since: None };
    let Ok(mut lines) = deployment.inner.runtime.logs(&container.id, tail, false).await else { return };
    while let Some(line) = lines.recv().await {
        deployment.log.complain(&container.identity.instance, line.text).await;
    }
}

/// All services at once, durably; routes follow, then the old instances retire.
async fn switch(deployment: &Deployment<'_>) -> Result<(), Failed> {
    let (app, generation) = (deployment.app, deployment.record.generation);
    let edit = |record: &mut AppRecord| {
        for service in &mut record.services {
            if let Some(mut version) = service.candidate.take_if(|candidate| candidate.generation == generation) {
                version.handing_over.clear();
                service.spec = version.spec.clone();
                service.serving = Some(version);
            }
        }
        Ok(())
    };
    app.change(&deployment.inner.store, edit).await?;
    deployment.log.say("Re-routing traffic to the new build...").await;
    let (version, _) = app.versioned_record();
    let mut status = app.status.subscribe();
    let looked = status.wait_for(|status| status.version >= version).await;
    looked.map(drop).map_err(|_| Failed("the application is gone".to_owned()))?;
    deployment.inner.traffic.applied(deployment.inner.routes.published()).await;
    Ok(())
}
