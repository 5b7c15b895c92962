//! Instances: status, restart, and commands in them.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};

use super::Api;
use super::convert;
use super::exec;
use super::extract::{At, InstancePath, Told};
use super::refuse::ApiError;
use super::respond::{Answer, done, object};
use crate::api::types::InstanceStatus;

const INSTANCE: &str = "/applications/{app}/services/{service}/instances/{instance}";

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route(&format!("{INSTANCE}/status"), get(status).put(restart))
        .route(&format!("{INSTANCE}/exec"), post(exec::exec))
}

async fn status(State(api): State<Api>, At(at): At<InstancePath>) -> Answer {
    let service = convert::service(api.engine.service(&at.app, &at.service).await?);
    let instance = service.instances.iter().find(|instance| instance.instance_id == at.instance);
    let instance = instance.ok_or_else(|| ApiError::not_found(format!("There is no instance {}.", at.name())))?;
    Ok(object(convert::status(&service, instance)))
}

async fn restart(State(api): State<Api>, At(at): At<InstancePath>, Told(wanted): Told<InstanceStatus>) -> Answer {
    if wanted.status != "restart" {
        return Err(ApiError::invalid(format!("The status {:?} cannot be set; \"restart\" can.", wanted.status)));
    }
    api.engine.restart(&at.app, &at.name()).await?;
    Ok(done())
}
