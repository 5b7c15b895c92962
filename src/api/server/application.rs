//! Applications: create, look at, start, stop, destroy.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, patch, post};
use serde::Deserialize;

use super::Api;
use super::convert;
use super::extract::{AppPath, Ask, At, Told};
use super::fault;
use super::refuse::ApiError;
use super::respond::{Answer, created, done, object, objects};
use crate::api::types::{Flavor, Resolved, ScaleRequest, Wish};
use crate::engine::view::ScaleWish;
use crate::faults::{Aim, Place};
use crate::model::{AppName, InstanceName, Memory, NameError};

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/applications", get(list).post(create))
        .route("/applications/{app}", get(show).delete(destroy))
        .route("/applications/{app}/up", post(up))
        .route("/applications/{app}/down", post(down))
        .route("/applications/{app}/scale", patch(scale))
        .route("/applications/{app}/resolve", get(resolve))
        .route("/applications/{app}/receipts", get(receipts))
        .route("/applications/{app}/activity", get(activity))
}

async fn list(State(api): State<Api>) -> Answer {
    Ok(objects(api.engine.apps().await?.into_iter().map(convert::application)))
}

async fn create(State(api): State<Api>, Told(wanted): Told<Flavor>) -> Answer {
    let app: AppName = wanted.name.parse().map_err(|wrong: NameError| ApiError::invalid(wrong.to_string()))?;
    api.engine.create(&app, &wanted.flavor).await?;
    Ok(created(&format!("/v1/me/applications/{app}"), wanted))
}

async fn show(State(api): State<Api>, At(at): At<AppPath>) -> Answer {
    Ok(object(convert::application(api.engine.app(&at.app).await?)))
}

async fn destroy(State(api): State<Api>, At(at): At<AppPath>) -> Answer {
    api.engine.destroy(&at.app).await?;
    Ok(done())
}

async fn up(State(api): State<Api>, At(at): At<AppPath>) -> Answer {
    api.engine.up(&at.app).await?;
    Ok(done())
}

#[derive(Deserialize)]
struct Down {
    #[serde(default)]
    volumes: bool,
}

async fn down(State(api): State<Api>, At(at): At<AppPath>, Told(wanted): Told<Down>) -> Answer {
    api.engine.down(&at.app, wanted.volumes).await?;
    Ok(done())
}

async fn scale(State(api): State<Api>, At(at): At<AppPath>, Told(wanted): Told<ScaleRequest>) -> Answer {
    let wishes = wanted.wishes.into_iter().map(wish).collect::<Result<_, _>>()?;
    Ok(object(convert::scaled(api.engine.scale(&at.app, wishes).await?)))
}

fn wish(wish: Wish) -> Result<ScaleWish, ApiError> {
    let service = wish.service.parse().map_err(|wrong: NameError| ApiError::invalid(wrong.to_string()))?;
    Ok(ScaleWish { service, instances: wish.instances, memory: wish.memory.map(Memory::from_bytes) })
}

#[derive(Deserialize)]
struct Role {
    role: String,
}

async fn resolve(State(api): State<Api>, At(at): At<AppPath>, Ask(asked): Ask<Role>) -> Answer {
    let instance = meant(&api, &at.app, &fault::aim(&asked.role)?).await?;
    Ok(object(Resolved { service: instance.service.into(), instance_id: instance.index }))
}

/// A replicated service without a place means its master: the others take no writes.
async fn meant(api: &Api, app: &AppName, aim: &Aim) -> Result<InstanceName, ApiError> {
    let master = Aim { place: Place::Master, ..aim.clone() };
    if aim.place == Place::Any
        && let Ok(master) = api.engine.resolve(app, &master).await
    {
        return Ok(master);
    }
    Ok(api.engine.resolve(app, aim).await?)
}

async fn receipts(State(api): State<Api>, At(at): At<AppPath>) -> Answer {
    let services = api.engine.app(&at.app).await?.services;
    let mut receipts: Vec<_> = services.into_iter().flat_map(|service| service.receipts).collect();
    receipts.sort_by(|a, b| a.detected_at.cmp(&b.detected_at));
    Ok(objects(receipts.into_iter().map(convert::failover)))
}

async fn activity(State(api): State<Api>, At(at): At<AppPath>) -> Answer {
    let all = api.engine.activity(Some(&at.app)).await?;
    Ok(objects(all.into_iter().map(|view| convert::activity(view, Some(&at.app)))))
}
