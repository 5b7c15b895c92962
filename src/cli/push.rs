//! `dotcloud push`: upload the code, build it, deploy it.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::api::client::ClientError;
use crate::api::types::{DeployRequest, Group, Service};
use crate::model::AppName;

use super::tree::Tree;
use super::{CliError, Context, deploy, follow, url};

/// Seconds, but the first service of its type on a machine has its image made before.
const FIRST_START: Duration = Duration::from_secs(600);
const PAUSE: Duration = Duration::from_millis(100);

/// Upload the code, build it and deploy it
///
/// Everything below the folder is uploaded but .git, .hg, *.pyc and what .dotcloudignore
/// excludes. What runs keeps serving until the new version answers, and for good when the build
/// or the deployment fails.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The folder with dotcloud.yml [default: this one or the nearest above]
    #[arg(value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
    /// Build from scratch, without what the previous build left
    #[arg(long)]
    pub clean: bool,
    /// Return when the code is uploaded; `dotcloud dlogs latest` follows the deployment
    #[arg(short, long)]
    pub detach: bool,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let tree = Tree::find(args.folder.as_deref(), ctx)?;
    let app = tree.app(ctx)?;
    let revision = upload(&tree, &app, ctx).await?;
    let wish = DeployRequest { revision: Some(revision), clean: args.clean, service: None };
    let deployment = deploy::schedule(&app, &wish, ctx).await?;
    if !args.detach {
        follow::deployment(&app, &deployment.deploy_id, ctx).await?;
        databases(&app, ctx).await?;
        url::live(&app, ctx).await?;
    }
    Ok(0)
}

/// Waits for the data services that have no master yet: they start beside the deployment, and what
/// is typed next may be for one of them. One that does not come does not make the push a failure.
async fn databases(app: &AppName, ctx: &Context) -> Result<(), CliError> {
    let end = Instant::now() + FIRST_START;
    let mut left = starting(app, ctx).await?;
    if !left.is_empty() {
        ctx.ui.info(format!("Waiting for {} to start", left.join(", ")));
    }
    while !left.is_empty() {
        if Instant::now() > end {
            ctx.ui.warning(format!("Not running yet: {}. `dotcloud info` says why.", left.join(", ")));
            break;
        }
        sleep(PAUSE).await;
        left = starting(app, ctx).await?;
    }
    Ok(())
}

/// The data services that are to run and have no master.
async fn starting(app: &AppName, ctx: &Context) -> Result<Vec<String>, CliError> {
    match ctx.client.app(app.as_str()).await {
        Ok(state) if state.state == "up" => {
            Ok(state.services.into_iter().filter(is_starting).map(|service| service.name).collect())
        }
        Ok(_) | Err(ClientError::Lost { .. }) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

fn is_starting(service: &Service) -> bool {
    let has_master = |group: &Group| group.members.iter().any(|member| member.role == "master");
    service.stateful && service.instance_count > 0 && !service.group.as_ref().is_some_and(has_master)
}

/// Sends the tree; returns its revision.
pub async fn upload(tree: &Tree, app: &AppName, ctx: &Context) -> Result<String, CliError> {
    ctx.ui.info(format!("Pushing code from \"{}\" to application {app}", tree.root().display()));
    tree.upload(app, ctx).await
}
