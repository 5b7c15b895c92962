//! The daemon and the machine it runs on.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, patch, post};

use super::Api;
use super::convert;
use super::extract::Told;
use super::respond::{Answer, done, object, objects};
use crate::api::types::{Account, Settings};

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/version", get(version))
        .route("/doctor", get(doctor))
        .route("/settings", patch(set))
        .route("/shutdown", post(shutdown))
}

/// Below `/me`.
pub(super) fn mine() -> Router<Api> {
    Router::new().route("/", get(account)).route("/activity", get(activity))
}

async fn version(State(api): State<Api>) -> Answer {
    Ok(object(&api.version))
}

async fn doctor(State(api): State<Api>) -> Answer {
    Ok(objects(api.engine.doctor().await.into_iter().map(convert::finding)))
}

async fn set(State(api): State<Api>, Told(settings): Told<Settings>) -> Answer {
    api.engine.allow_large_memory(settings.large_memory).await?;
    Ok(object(&settings))
}

async fn shutdown(State(api): State<Api>) -> Answer {
    tracing::info!("asked to shut down");
    api.shutdown.cancel();
    Ok(done())
}

async fn account() -> Answer {
    let username = std::env::var("USER").ok().filter(|user| !user.is_empty());
    Ok(object(Account { username: username.unwrap_or_else(|| "local".to_owned()) }))
}

async fn activity(State(api): State<Api>) -> Answer {
    let all = api.engine.activity(None).await?;
    Ok(objects(all.into_iter().map(|view| convert::activity(view, None))))
}
