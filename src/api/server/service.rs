//! Services: look at, scale one thing of, switch over, destroy.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};

use super::Api;
use super::convert;
use super::extract::{AppPath, At, ServicePath, Told};
use super::refuse::ApiError;
use super::respond::{Answer, done, object, objects};
use crate::api::types::{Master, ServicePatch, Switchover};
use crate::engine::view::ScaleWish;
use crate::model::Memory;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/applications/{app}/services", get(list))
        .route("/applications/{app}/services/{service}", get(show).patch(scale).delete(destroy))
        .route("/applications/{app}/services/{service}/domains", get(domains))
        .route("/applications/{app}/services/{service}/switchover", post(switchover))
        .route("/applications/{app}/services/{service}/connections", get(connections))
}

async fn list(State(api): State<Api>, At(at): At<AppPath>) -> Answer {
    Ok(objects(api.engine.app(&at.app).await?.services.into_iter().map(convert::service)))
}

async fn show(State(api): State<Api>, At(at): At<ServicePath>) -> Answer {
    Ok(object(convert::service(api.engine.service(&at.app, &at.service).await?)))
}

async fn scale(State(api): State<Api>, At(at): At<ServicePath>, Told(wanted): Told<ServicePatch>) -> Answer {
    if wanted.instance_count.is_none() && wanted.reserved_memory.is_none() {
        return Err(ApiError::invalid("Say what to scale: instance_count or reserved_memory."));
    }
    let memory = wanted.reserved_memory.map(Memory::from_bytes);
    let wish = ScaleWish { service: at.service, instances: wanted.instance_count, memory };
    Ok(object(convert::scaled(api.engine.scale(&at.app, vec![wish]).await?)))
}

async fn destroy(State(api): State<Api>, At(at): At<ServicePath>) -> Answer {
    api.engine.destroy_service(&at.app, &at.service).await?;
    Ok(done())
}

async fn switchover(State(api): State<Api>, At(at): At<ServicePath>, Told(wanted): Told<Switchover>) -> Answer {
    let instance_id = api.engine.switchover(&at.app, &at.service, wanted.to).await?;
    Ok(object(Master { instance_id }))
}

async fn connections(State(api): State<Api>, At(at): At<ServicePath>) -> Answer {
    Ok(objects(api.engine.connections(&at.app, &at.service).await?.into_iter().map(convert::connection)))
}

async fn domains(State(api): State<Api>, At(at): At<ServicePath>) -> Answer {
    Ok(objects(convert::service(api.engine.service(&at.app, &at.service).await?).domains))
}
