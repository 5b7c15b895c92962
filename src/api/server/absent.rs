//! What dotCloud's interface had and this version does not have: said in words, never as an
//! unknown path.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{MethodRouter, any, delete, post};

use super::Api;
use super::refuse::ApiError;
use crate::api::types::ErrorKind;

const METRICS: &str = "Metrics are not recorded here yet: `info` shows the memory in use.";
const UPGRADES: &str = "Images are not upgraded one by one here: `push --clean` builds on today's.";
const SSH: &str = "SSH is not served here yet: use `run` and `push` of this dotcloud command.";
const OAUTH: &str = "There are no passwords here: use `setup --api-key` with the key of the daemon's home.";

/// Below `/me`.
pub(super) fn mine() -> Router<Api> {
    let (app, instance) = ("/applications/{app}", "services/{service}/instances/{instance}");
    let domains = format!("{app}/services/{{service}}/domains");
    Router::new()
        .route("/private_keys", absent(SSH))
        .route(&format!("{app}/push-endpoints"), absent(SSH))
        .route(&format!("{app}/metrics/{{*what}}"), absent(METRICS))
        .route(&format!("{app}/{instance}/metrics/{{*what}}"), absent(METRICS))
        .route(&domains, post(no_domains))
        .route(&format!("{domains}/{{domain}}"), delete(no_domains))
}

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/auth/discovery", absent(OAUTH)).route("/images/{*what}", absent(UPGRADES))
}

async fn no_domains() -> ApiError {
    not_here("Custom domains cannot be added here yet: every service answers at its *.localhost name.")
}

fn absent(text: &'static str) -> MethodRouter<Api> {
    any(async move || not_here(text))
}

fn not_here(text: &str) -> ApiError {
    ApiError::new(StatusCode::NOT_IMPLEMENTED, ErrorKind::Absent, text)
}
