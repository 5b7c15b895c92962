//! The variables of a whole application: those that users set, and where its services are.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::routing::get;

use super::Api;
use super::extract::{AppPath, At, Told};
use super::respond::{Answer, object};

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/applications/{app}/environment", get(show).patch(change))
}

async fn show(State(api): State<Api>, At(at): At<AppPath>) -> Answer {
    Ok(object(api.engine.environment(&at.app).await?))
}

async fn change(
    State(api): State<Api>,
    At(at): At<AppPath>,
    Told(changes): Told<BTreeMap<String, Option<String>>>,
) -> Answer {
    api.engine.set_environment(&at.app, changes).await?;
    Ok(object(api.engine.environment(&at.app).await?))
}
