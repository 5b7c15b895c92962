//! Faults on purpose: kill, pause, unpause.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;

use super::Api;
use super::extract::{AppPath, At, Told};
use super::refuse::ApiError;
use super::respond::{Answer, object};
use crate::api::types::{Strike, Struck, Unpause, Unpaused};
use crate::engine::fault::{Blow, Series};
use crate::faults::{Aim, AimError};

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/applications/{app}/kill", post(kill))
        .route("/applications/{app}/pause", post(pause))
        .route("/applications/{app}/unpause", post(unpause))
}

async fn kill(State(api): State<Api>, At(at): At<AppPath>, Told(strike): Told<Strike>) -> Answer {
    let instance = api.engine.kill(&at.app, &blow(&strike)?).await?;
    Ok(object(Struck { role: strike.role, instance: instance.to_string() }))
}

async fn pause(State(api): State<Api>, At(at): At<AppPath>, Told(strike): Told<Strike>) -> Answer {
    let lasts = strike.lasts_ms.map(Duration::from_millis);
    let instance = api.engine.pause(&at.app, &blow(&strike)?, lasts).await?;
    Ok(object(Struck { role: strike.role, instance: instance.to_string() }))
}

async fn unpause(State(api): State<Api>, At(at): At<AppPath>, Told(wanted): Told<Unpause>) -> Answer {
    let aim = wanted.role.as_deref().map(aim).transpose()?;
    let instances = api.engine.unpause(&at.app, aim.as_ref()).await?;
    Ok(object(Unpaused { instances: instances.iter().map(ToString::to_string).collect() }))
}

fn blow(strike: &Strike) -> Result<Blow, ApiError> {
    if strike.role.is_empty() {
        return Err(ApiError::invalid("Say whom: {\"role\": \"www.0\"} or {\"role\": \"db.master\"}."));
    }
    let series = strike.seed.zip(strike.stroke).map(|(seed, stroke)| Series { seed, stroke });
    Ok(Blow { aim: aim(&strike.role)?, draw: strike.draw, series })
}

pub(super) fn aim(text: &str) -> Result<Aim, ApiError> {
    text.parse().map_err(|wrong: AimError| ApiError::invalid(format!("{wrong}.")))
}
