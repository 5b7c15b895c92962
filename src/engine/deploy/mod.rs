//! Deployments: scheduled in the store, performed one after the other, resumed by a daemon that
//! was started again. The old version serves until every new instance answers.

pub mod approots;
mod build;
mod images;
pub mod log;
mod perform;
mod rollout;
mod tree;

use std::sync::Arc;
use std::time::Duration;

use crate::model::AppName;
use crate::store::{DeploymentPhase, DeploymentRecord, LIVE};

use super::app::App;
use super::clock;
use super::handle::{Engine, EngineError, Result};
use super::inner::Inner;
use super::view::{DeployLine, DeployWish, DeploymentState, DeploymentView};

/// While the store cannot be read.
const READ_AGAIN: Duration = Duration::from_secs(5);

/// Performs an application's deployments for as long as it exists.
pub async fn work(inner: Arc<Inner>, app: Arc<App>) {
    let mut status = app.status.subscribe();
    loop {
        match next(&inner, &app).await {
            Ok(Some(deployment)) => perform::perform(&inner, &app, deployment).await,
            Ok(None) => tokio::select! {
                () = app.deploy.notified() => {}
                gone = status.wait_for(|status| status.gone) => if gone.is_ok() { return },
            },
            Err(error) => {
                tracing::error!(app = %app.name, "cannot read the deployments: {error}");
                tokio::select! {
                    () = tokio::time::sleep(READ_AGAIN) => {}
                    gone = status.wait_for(|status| status.gone) => if gone.is_ok() { return },
                }
            }
        }
    }
}

async fn next(inner: &Inner, app: &App) -> Result<Option<DeploymentRecord>> {
    Ok(inner.store.unfinished_deployments(&app.name).await?.into_iter().next())
}

impl Engine {
    /// Schedules a deployment; a second one waits for the first. The same wish, made again while
    /// it is still waiting or being performed, is answered with the deployment there is: clients
    /// repeat requests whose answer they missed. A revision with [`LIVE`] behind its name keeps
    /// what has gone live on it.
    ///
    /// # Errors
    /// `NotFound` for an unknown application or revision, `Invalid` when nothing was pushed.
    pub async fn deploy(&self, app: &AppName, wish: DeployWish) -> Result<DeploymentView> {
        let (inner, app) = (self.inner(), self.inner().app(app)?);
        let (wanted, live) = match wish.revision.as_deref().and_then(|name| name.strip_suffix(LIVE)) {
            Some(plain) => (Some(plain), true),
            None => (wish.revision.as_deref(), false),
        };
        let revision = self.choose_revision(&app, wanted).await?;
        let _one_at_a_time = app.scheduling.lock().await;
        let known = inner.store.unfinished_deployments(&app.name).await?;
        let same = |deployment: &&DeploymentRecord| {
            let same_revision = deployment.revision == revision && deployment.live == live;
            let same_wish = same_revision && deployment.service == wish.service;
            deployment.phase == DeploymentPhase::Building && same_wish && deployment.clean == wish.clean
        };
        let environment = app.record().environment.clone();
        let same = |deployment: &&DeploymentRecord| same(deployment) && deployment.environment == environment;
        if let Some(scheduled) = known.iter().find(same) {
            return Ok(view(scheduled));
        }
        let generation = app
            .change(&inner.store, |record| {
                record.generation += 1;
                record.up = true;
                Ok(record.generation)
            })
            .await?;
        let deployment = DeploymentRecord {
            id: uuid::Uuid::new_v4().to_string(),
            app: app.name.clone(),
            revision,
            created_at: clock::timestamp(),
            clean: wish.clean,
            service: wish.service,
            live,
            generation,
            environment,
            phase: DeploymentPhase::Building,
        };
        inner.store.save_deployment(&deployment).await?;
        app.deploy.notify_one();
        Ok(view(&deployment))
    }

    /// Oldest first.
    pub async fn deployments(&self, app: &AppName) -> Result<Vec<DeploymentView>> {
        let app = self.inner().app(app)?;
        Ok(self.inner().store.deployments(&app.name).await?.iter().map(view).collect())
    }

    /// From the first line on; with `follow` until the deployment's end. `latest` is understood.
    pub async fn deploy_log(
        &self,
        app: &AppName,
        id: &str,
        follow: bool,
    ) -> Result<tokio::sync::mpsc::Receiver<DeployLine>> {
        let inner = self.inner();
        let app = inner.app(app)?;
        let all = inner.store.deployments(&app.name).await?;
        let found = if id == "latest" { all.last() } else { all.iter().find(|deployment| deployment.id == id) };
        let missing = || EngineError::NotFound(format!("There is no deployment {id} of application {}.", app.name));
        let deployment = found.ok_or_else(missing)?;
        Ok(inner.deploy_logs.open(&inner.store, &app.name, &deployment.id).read(follow))
    }

    async fn choose_revision(&self, app: &App, wanted: Option<&str>) -> Result<String> {
        let inner = self.inner();
        let all = inner.store.revisions(&app.name).await?;
        let chosen = match wanted {
            None | Some("latest") => all.last().cloned(),
            Some("previous") => all.iter().rev().nth(1).cloned(),
            Some(name) => all.iter().find(|revision| *revision == name).cloned(),
        };
        chosen.ok_or_else(|| match wanted {
            None | Some("latest") => EngineError::Invalid(format!(
                "No code was pushed to application {}: run `dotcloud push` in its folder.",
                app.name
            )),
            Some(name) => EngineError::NotFound(format!(
                "There is no revision \"{name}\" of application {}: `dotcloud revisions` lists them.",
                app.name
            )),
        })
    }
}

pub fn view(record: &DeploymentRecord) -> DeploymentView {
    DeploymentView {
        id: record.id.clone(),
        revision: record.revision.clone(),
        created_at: record.created_at.clone(),
        state: match record.phase {
            DeploymentPhase::Building | DeploymentPhase::Deploying => DeploymentState::Running,
            DeploymentPhase::Succeeded => DeploymentState::Succeeded,
            DeploymentPhase::Failed => DeploymentState::Failed,
        },
    }
}
