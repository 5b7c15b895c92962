//! Deployments and revisions.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::Api;
use super::convert;
use super::extract::{AppPath, Ask, At, DeploymentPath, Told, flag};
use super::refuse::ApiError;
use super::respond::{Answer, created, object, objects};
use super::stream::{Ascending, log_stream};
use crate::api::types::{DeployRequest, Revision};
use crate::engine::view::{DeployLine, DeployWish, DeploymentState, DeploymentView};
use crate::model::NameError;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/applications/{app}/deployments", get(list).post(deploy))
        .route("/applications/{app}/deployments/{id}/logs", get(log))
        .route("/applications/{app}/revisions", get(revisions))
        .route("/applications/{app}/revision", get(revision))
}

async fn list(State(api): State<Api>, At(at): At<AppPath>) -> Answer {
    Ok(objects(api.engine.deployments(&at.app).await?.into_iter().map(convert::deployment)))
}

async fn deploy(State(api): State<Api>, At(at): At<AppPath>, Told(wanted): Told<DeployRequest>) -> Answer {
    let service = wanted.service.map(|name| name.parse()).transpose();
    let service = service.map_err(|wrong: NameError| ApiError::invalid(wrong.to_string()))?;
    let wish = DeployWish { revision: wanted.revision, clean: wanted.clean, service };
    let deployment = convert::deployment(api.engine.deploy(&at.app, wish).await?);
    Ok(created(&format!("/v1/me/applications/{}/deployments/{}", at.app, deployment.deploy_id), deployment))
}

#[derive(Deserialize)]
struct LogQuery {
    follow: Option<String>,
    lines: Option<usize>,
}

async fn log(State(api): State<Api>, At(at): At<DeploymentPath>, Ask(asked): Ask<LogQuery>) -> Answer {
    let deployment = find(api.engine.deployments(&at.app).await?, &at.id)?;
    let follow = flag(asked.follow.as_deref());
    let mut lines = api.engine.deploy_log(&at.app, &deployment.id, follow).await?;
    let finished = !follow || deployment.state != DeploymentState::Running;
    if let (true, Some(count)) = (finished, asked.lines) {
        lines = last(lines, count).await;
    }
    let meta = serde_json::json!({ "application": at.app, "deploy_id": deployment.id });
    let mut ascending = Ascending::default();
    Ok(log_stream(&api.shutdown, &meta, lines, move |line| {
        let mut record = convert::deploy_record(line);
        record.created_at = record.created_at.map(|at| ascending.next(&at));
        record
    }))
}

/// The deployment of this id; `latest` is understood.
fn find(deployments: Vec<DeploymentView>, id: &str) -> Result<DeploymentView, ApiError> {
    let mut newest_first = deployments.into_iter().rev();
    let found = if id == "latest" { newest_first.next() } else { newest_first.find(|view| view.id == id) };
    found.ok_or_else(|| match id {
        "latest" => ApiError::not_found("The application was never deployed."),
        id => ApiError::not_found(format!("There is no deployment {id}.")),
    })
}

/// The last lines of a log that is complete.
async fn last(mut lines: mpsc::Receiver<DeployLine>, count: usize) -> mpsc::Receiver<DeployLine> {
    let mut kept = std::collections::VecDeque::new();
    while let Some(line) = lines.recv().await {
        kept.push_back(line);
        if kept.len() > count.max(1) {
            kept.pop_front();
        }
    }
    let (sender, receiver) = mpsc::channel(kept.len().max(1));
    for line in kept {
        // There is room for all of them.
        let _ = sender.try_send(line);
    }
    receiver
}

async fn revisions(State(api): State<Api>, At(at): At<AppPath>) -> Answer {
    let all = api.engine.revisions(&at.app).await?;
    Ok(objects(all.into_iter().map(|revision| Revision { revision })))
}

async fn revision(State(api): State<Api>, At(at): At<AppPath>) -> Answer {
    match api.engine.app(&at.app).await?.revision {
        Some(revision) => Ok(object(Revision { revision })),
        None => Err(ApiError::not_found("The application was never deployed.")),
    }
}
