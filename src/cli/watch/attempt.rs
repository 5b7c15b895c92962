//! One attempt to bring a change into the running application.

use crate::api::client::ClientError;
use crate::api::types::{ErrorKind, LiveEvent};
use crate::cli::Context;
use crate::cli::error::{CliError, chain};
use crate::cli::pack::{self, Delta, PackError};
use crate::cli::tree::{self, Tree};
use crate::model::AppName;
use crate::watch::Change;

use super::report::{Outcome, Told};

/// Where changes are taken from and where they go.
#[derive(Debug, Clone, Copy)]
pub struct Way<'w> {
    pub tree: &'w Tree,
    pub app: &'w AppName,
    pub ctx: &'w Context,
}

/// What an application runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    /// The id of the last deployment that succeeded.
    pub deployment: Option<String>,
    /// The revision of the one that goes on.
    pub under_way: Option<String>,
}

/// Why a change is pushed although it could go live.
pub const REPLACED: &str = "something else was deployed meanwhile";

/// How an attempt to send a change ended.
pub enum Sent {
    Over(Outcome, Told),
    /// It has to be built.
    Build(String),
    /// Not now.
    Later(Wait),
}

/// Why a change has to be sent again.
pub enum Wait {
    /// Somebody else's work is under way.
    Busy(String),
    Lost(ClientError),
}

// === impl Way ===

impl Way<'_> {
    /// What runs, and what is about to.
    pub async fn serving(&self) -> Result<Serving, ClientError> {
        let deployments = self.ctx.client.deployments(self.app.as_str()).await?;
        let under_way = deployments.iter().find(|one| one.state == "running").map(|one| one.revision.clone());
        let last = deployments.into_iter().rfind(|one| one.state == "succeeded");
        Ok(Serving { deployment: last.map(|one| one.deploy_id), under_way })
    }

    /// Sends a change of what the deployment `base` brought.
    ///
    /// # Errors
    /// The application is gone, or the daemon cannot be reached.
    pub async fn send(&self, change: &Change, base: &Option<String>) -> Result<Sent, CliError> {
        match self.serving().await {
            Ok(Serving { under_way: Some(revision), .. }) => {
                return Ok(Sent::Later(Wait::Busy(format!("revision {revision} is being deployed"))));
            }
            Ok(Serving { deployment, .. }) if deployment != *base => return Ok(Sent::Build(REPLACED.to_owned())),
            Ok(_) => {}
            Err(error) => return refused(error),
        }
        let delta = match self.pack(change).await? {
            Ok(Some(delta)) => delta,
            Ok(None) => return Ok(Sent::Build("so much has changed".to_owned())),
            Err(error) => return Ok(not_sent(chain(&error))),
        };
        tree::warn(&delta.report, self.ctx);
        match self.apply(delta.tar).await {
            Ok(sent) => Ok(sent),
            Err(error) => refused(error),
        }
    }

    async fn pack(&self, change: &Change) -> Result<Result<Option<Delta>, PackError>, CliError> {
        let (root, change) = (self.tree.root().to_owned(), change.clone());
        let packing = tokio::task::spawn_blocking(move || pack::delta(&root, &change.changed, &change.deleted));
        packing.await.map_err(|error| CliError::because("cannot pack the change", &error))
    }

    async fn apply(&self, tar: Vec<u8>) -> Result<Sent, ClientError> {
        let mut events = self.ctx.client.live_apply(self.app.as_str(), tar).await?;
        let mut told = Told::default();
        while let Some(event) = events.next::<LiveEvent>().await? {
            match told.add(event) {
                Some(LiveEvent::Served { failed_requests, .. }) => {
                    let instances = std::mem::take(&mut told.instances);
                    return Ok(Sent::Over(Outcome::Served { instances, failed_requests }, told));
                }
                Some(LiveEvent::Failed { service, instance_id, output, failed_requests }) => {
                    let instance = format!("{service}.{instance_id}");
                    return Ok(Sent::Over(Outcome::Failed { instance, output, failed_requests }, told));
                }
                Some(LiveEvent::Build { reason }) => return Ok(Sent::Build(reason)),
                _ => {}
            }
        }
        Err(ClientError::Lost { source: "the stream ended before the change did".into() })
    }
}

fn not_sent(error: String) -> Sent {
    Sent::Over(Outcome::NotSent { error }, Told::default())
}

/// What a change whose request was refused has to wait for, if it has to.
fn refused(error: ClientError) -> Result<Sent, CliError> {
    match &error {
        ClientError::Lost { .. } => Ok(Sent::Later(Wait::Lost(error))),
        ClientError::Refused(refusal) if refusal.kind == Some(ErrorKind::Conflict) => {
            Ok(Sent::Later(Wait::Busy(refusal.description.clone())))
        }
        // What no instance takes, a push brings: a file name that is not UTF-8, for one.
        ClientError::Refused(refusal) if refusal.kind == Some(ErrorKind::Invalid) => {
            Ok(Sent::Build(refusal.description.trim_end_matches('.').to_owned()))
        }
        ClientError::Refused(refusal) if refusal.kind != Some(ErrorKind::NotFound) => {
            Ok(not_sent(refusal.description.clone()))
        }
        _ => Err(error.into()),
    }
}
