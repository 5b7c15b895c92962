//! Takes one step: at most a few calls of the runtime, idempotent, safe to repeat after a crash.

use std::sync::Arc;
use std::time::Duration;

use crate::model::InstanceName;
use crate::model::observed::{ObservedNetwork, Purpose};
use crate::plan::Step;

use super::app::{Absence, App};
use super::inner::Inner;
use super::pauses;
use super::publish::republish;
use super::runtime::{ContainerSpec, RuntimeError};
use super::spec::Specs;

/// How long requests in flight may go on on an instance that is to go. Longer than the
/// proxy's own limit for an answer, so that only bodies and WebSockets are ever cut.
pub const DRAIN: Duration = Duration::from_secs(75);
/// Between SIGTERM and SIGKILL.
pub const GRACE_SECONDS: u32 = 8;

pub async fn execute(inner: &Arc<Inner>, app: &Arc<App>, step: &Step) -> Result<(), RuntimeError> {
    let runtime = &inner.runtime;
    match step {
        Step::EnsureNetwork => ensure_network(inner, app).await,
        Step::RemoveNetwork => {
            inner.fronts.ensure(&app.name, Vec::new()).await;
            runtime.remove_network(&app.name).await
        }
        Step::StartPod { .. } | Step::StartMember { .. } | Step::StartInstance { .. } => start(inner, app, step).await,
        Step::StopInstance { container, .. } => stop_drained(inner, app, container).await,
        Step::RestartMember { container, .. } => runtime.restart(container).await,
        Step::ReviveInstance { instance, container } => revive(inner, app, instance, container).await,
        Step::Retire { container, .. } => retire(inner, app, container).await,
        Step::Remove { container, .. } => stop_and_remove(inner, container).await,
        Step::Discard { instance, containers } => {
            for container in containers {
                runtime.remove(container).await?;
            }
            runtime.remove_volume(&inner.naming.volume(&app.name, instance)).await
        }
        Step::SetMemory { container, memory, .. } => runtime.set_memory(container, *memory).await,
        Step::Unpause { instance, container } => pauses::end(inner, app, instance, container).await,
    }
}

async fn ensure_network(inner: &Inner, app: &Arc<App>) -> Result<(), RuntimeError> {
    let wanted = app.record().subnet.clone();
    let network = inner.runtime.ensure_network(&app.name, wanted.as_deref()).await?;
    if wanted.as_deref() != Some(&network.subnet) {
        let keep = |record: &mut crate::store::AppRecord| {
            record.subnet = Some(network.subnet.clone());
            Ok(())
        };
        // Without it the next network may have other addresses, nothing worse.
        if let Err(error) = app.change(&inner.store, keep).await {
            tracing::warn!(%error, "the subnet of {} could not be recorded", app.name);
        }
    }
    Ok(())
}

async fn start(inner: &Inner, app: &App, step: &Step) -> Result<(), RuntimeError> {
    let record = app.record();
    let network = network(app)?;
    let specs = Specs { inner, record: &record, network: &network };
    let spec = match step {
        Step::StartInstance { instance, generation } => specs.instance(instance, *generation)?,
        Step::StartPod { instance } => specs.pod(instance, image(inner, &specs, instance).await?)?,
        Step::StartMember { instance, pod } => {
            let image = image(inner, &specs, instance).await?;
            specs.member(instance, pod, image)?
        }
        _ => return Ok(()),
    };
    debug_assert!(spec.identity.purpose != Purpose::Build);
    ensure_volumes(inner, app, &spec).await?;
    inner.runtime.start(&spec).await.map(drop)
}

/// Docker would make missing ones by itself, but without our labels.
async fn ensure_volumes(inner: &Inner, app: &App, spec: &ContainerSpec) -> Result<(), RuntimeError> {
    let observed = app.status.borrow().observed.clone();
    let missing = spec.volumes.iter().chain(&spec.shared).filter(|(volume, _)| !observed.volumes.contains(volume));
    for (volume, _) in missing {
        inner.runtime.ensure_volume(&app.name, volume).await?;
    }
    Ok(())
}

/// Starts a container again. What went live while it was down is put into it first.
async fn revive(inner: &Inner, app: &App, instance: &InstanceName, container: &str) -> Result<(), RuntimeError> {
    match live_generation(app, instance, container) {
        Some(generation) => start(inner, app, &Step::StartInstance { instance: instance.clone(), generation }).await,
        None => inner.runtime.restart(container).await,
    }
}

/// The container's generation, if something has gone live in that version.
fn live_generation(app: &App, instance: &InstanceName, container: &str) -> Option<u64> {
    let (record, observed) = (app.record(), app.status.borrow().observed.clone());
    let generation = observed.containers.iter().find(|there| there.id == container)?.identity.generation;
    let version = record.service(&instance.service)?.version(generation)?;
    version.overlay.as_ref().map(|_| generation)
}

fn network(app: &App) -> Result<ObservedNetwork, RuntimeError> {
    let observed = app.status.borrow().observed.network.clone();
    observed.ok_or_else(|| RuntimeError::Missing { what: format!("network of {}", app.name) })
}

async fn image(inner: &Inner, specs: &Specs<'_>, instance: &InstanceName) -> Result<String, RuntimeError> {
    let type_name = specs.type_name(instance)?;
    let progress = Arc::new(move |line: &str| tracing::debug!("{line}"));
    Ok(inner.runtime.ensure_type(&type_name, progress).await?.runtime)
}

/// Takes a container out of the routes and waits for the requests it still has: no thread of the
/// proxy sends it another one afterwards. Until [`App::set_leaving`] says otherwise it stays out,
/// wanted again meanwhile or not.
/// Requests that take longer than `limit` are cut. A paused one goes on: what it was sent would
/// be waited for in vain.
pub async fn take_out(inner: &Inner, app: &App, container: &str, absence: Absence, limit: Duration) {
    if let Err(error) = pauses::let_go_on(inner, app, container).await {
        tracing::warn!(%error, "{container} stays paused");
    }
    app.set_leaving(container, Some(absence));
    republish(inner, app);
    inner.traffic.applied(inner.routes.published()).await;
    let left = inner.traffic.drained(container, limit).await;
    if left > 0 {
        tracing::warn!("{left} requests were cut: they took longer than {} s", limit.as_secs());
    }
}

async fn stop_drained(inner: &Inner, app: &App, container: &str) -> Result<(), RuntimeError> {
    take_out(inner, app, container, Absence::ForGood, DRAIN).await;
    let stopped = inner.runtime.stop(container, GRACE_SECONDS).await;
    app.set_leaving(container, None);
    stopped
}

/// Puts a container back into the routes, at once.
pub fn put_back(inner: &Inner, app: &App, container: &str) {
    app.set_leaving(container, None);
    republish(inner, app);
}

pub async fn retire(inner: &Inner, app: &App, container: &str) -> Result<(), RuntimeError> {
    take_out(inner, app, container, Absence::ForGood, DRAIN).await;
    let stopped = stop_and_remove(inner, container).await;
    app.set_leaving(container, None);
    stopped
}

async fn stop_and_remove(inner: &Inner, container: &str) -> Result<(), RuntimeError> {
    inner.runtime.stop(container, GRACE_SECONDS).await?;
    inner.runtime.remove(container).await
}
