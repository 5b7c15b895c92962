//! What is left to do once all containers that had to go are gone: data, images and records of
//! destroyed services and applications. Decided from the record, so that a killed daemon goes on.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::model::InstanceName;
use crate::model::observed::{ObservedApp, Purpose};
use crate::store::{AppRecord, ServiceRecord};

use super::app::App;
use super::handle::EngineError;
use super::inner::Inner;
use super::pauses;
use super::reconcile::in_full;
use super::runtime::RuntimeError;

/// Volumes have no index in the record once a service is scaled down; more members than this
/// no group has.
const MOST_MEMBERS: u32 = 256;

/// True when the application itself is gone.
pub async fn settle(
    inner: &Inner,
    app: &Arc<App>,
    record: &AppRecord,
    observed: &ObservedApp,
) -> Result<bool, RuntimeError> {
    let idle = !app.deploying.load(Ordering::Acquire);
    let empty = idle && observed.containers.is_empty() && observed.network.is_none();
    if record.doomed && empty {
        bury_application(inner, app, record, observed).await?;
        return Ok(true);
    }
    if record.discard_data && !record.up && empty {
        discard_data(inner, app, record, observed).await?;
    }
    if idle {
        remove_leftovers(inner, record, observed).await?;
    }
    pauses::forget_spent(inner, app, record, observed).await;
    for service in record.services.iter().filter(|service| service.doomed) {
        let lives = observed.containers.iter().any(|c| c.identity.instance.service == service.name);
        if !lives {
            bury_service(inner, app, service, observed).await?;
        }
    }
    Ok(false)
}

/// What a killed daemon or a failed call left: containers of builds that nobody performs, data
/// of members that were scaled away.
async fn remove_leftovers(inner: &Inner, record: &AppRecord, observed: &ObservedApp) -> Result<(), RuntimeError> {
    for container in observed.containers.iter().filter(|c| c.identity.purpose == Purpose::Build) {
        inner.runtime.remove(&container.id).await?;
    }
    let scaled_away = |service: &ServiceRecord| {
        (service.instances..MOST_MEMBERS).map(|index| service.name.instance(index)).collect::<Vec<_>>()
    };
    for instance in record.services.iter().filter(|service| service.is_data && record.up).flat_map(scaled_away) {
        let volume = inner.naming.volume(&record.name, &instance);
        let lives = observed.containers.iter().any(|container| container.identity.instance == instance);
        if !lives && observed.volumes.contains(&volume) && !is_master(inner, record, &instance).await {
            inner.runtime.remove_volume(&volume).await?;
        }
    }
    Ok(())
}

/// An unreadable store counts as yes: nothing is removed on a guess.
async fn is_master(inner: &Inner, record: &AppRecord, instance: &InstanceName) -> bool {
    match inner.store.epoch(&record.name, &instance.service).await {
        Ok(epoch) => epoch.is_some_and(|epoch| epoch.master == instance.index),
        Err(_) => true,
    }
}

async fn bury_application(
    inner: &Inner,
    app: &Arc<App>,
    record: &AppRecord,
    observed: &ObservedApp,
) -> Result<(), RuntimeError> {
    remove_volumes(inner, observed).await?;
    for image in inner.runtime.app_images(&record.name).await? {
        inner.runtime.remove_image(&image).await?;
    }
    inner.routes.remove_app(&record.name);
    let folder = inner.config.home.join("apps").join(record.name.as_str());
    if let Err(error) = tokio::fs::remove_dir_all(&folder).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "cannot remove {}", folder.display());
    }
    if let Err(error) = inner.store.remove_app(&record.name).await {
        return Err(store_failed(error));
    }
    inner.forget_app(&record.name);
    app.status.send_modify(|status| status.gone = true);
    Ok(())
}

async fn remove_volumes(inner: &Inner, observed: &ObservedApp) -> Result<(), RuntimeError> {
    for volume in &observed.volumes {
        inner.runtime.remove_volume(volume).await?;
    }
    Ok(())
}

async fn discard_data(
    inner: &Inner,
    app: &Arc<App>,
    record: &AppRecord,
    observed: &ObservedApp,
) -> Result<(), RuntimeError> {
    remove_volumes(inner, observed).await?;
    for service in record.services.iter().filter(|service| service.is_data) {
        inner.store.remove_group(&record.name, &service.name).await.map_err(store_failed)?;
    }
    let discarded = |record: &mut AppRecord| {
        record.discard_data = false;
        Ok(())
    };
    app.change(&inner.store, discarded).await.map_err(store_failed)
}

async fn bury_service(
    inner: &Inner,
    app: &Arc<App>,
    service: &ServiceRecord,
    observed: &ObservedApp,
) -> Result<(), RuntimeError> {
    for index in 0..MOST_MEMBERS {
        let volume = inner.naming.volume(&app.name, &service.name.instance(index));
        if observed.volumes.contains(&volume) {
            inner.runtime.remove_volume(&volume).await?;
        }
    }
    if let Some(front_port) = service.front_port {
        inner.routes.remove_tcp(front_port);
    }
    inner.store.remove_group(&app.name, &service.name).await.map_err(store_failed)?;
    let forget = |record: &mut AppRecord| -> Result<(), EngineError> {
        record.services.retain(|other| other.name != service.name);
        Ok(())
    };
    app.change(&inner.store, forget).await.map_err(store_failed)
}

fn store_failed(error: impl std::error::Error + Send + Sync + 'static) -> RuntimeError {
    tracing::error!("{}", in_full(&error));
    RuntimeError::Failed { attempt: "record what was removed".to_owned(), source: Box::new(error) }
}
