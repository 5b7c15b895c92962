//! `dotcloud deploy`: run a revision again. Also the step that ends every push.

use crate::api::client::ClientError;
use crate::api::types::{DeployRequest, Deployment};
use crate::model::AppName;

use super::{CliError, Context, follow, url};

/// Deploy a revision that was pushed before
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// A revision of `dotcloud revisions`, `latest` or `previous`
    pub revision: String,
    /// Build from scratch, without what the previous build left
    #[arg(long)]
    pub clean: bool,
    /// Return at once; `dotcloud dlogs latest` follows the deployment
    #[arg(short, long)]
    pub detach: bool,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    let wish = DeployRequest { revision: Some(args.revision), clean: args.clean, service: None };
    let deployment = schedule(&app, &wish, ctx).await?;
    if !args.detach {
        finish(&app, &deployment, ctx).await?;
    }
    Ok(0)
}

/// Asks for a deployment.
pub async fn schedule(app: &AppName, wish: &DeployRequest, ctx: &Context) -> Result<Deployment, CliError> {
    match &wish.revision {
        Some(revision) => {
            ctx.ui.info(format!("Submitting a deployment request for revision {revision} of application {app}"))
        }
        None => ctx.ui.info(format!("Submitting a deployment request for application {app}")),
    }
    let deployment = match ctx.client.deploy(app.as_str(), wish).await {
        Err(lost @ ClientError::Lost { .. }) => arrived(app, wish, lost, ctx).await?,
        answer => answer?,
    };
    ctx.ui.info(format!("Deployment of revision {} scheduled for {app}", deployment.revision));
    Ok(deployment)
}

/// After the daemon was killed under the request: the deployment if it was scheduled, else a
/// second request.
async fn arrived(
    app: &AppName,
    wish: &DeployRequest,
    lost: ClientError,
    ctx: &Context,
) -> Result<Deployment, CliError> {
    let Some(revision) = &wish.revision else { return Err(lost.into()) };
    let last = ctx.client.deployments(app.as_str()).await?.pop();
    match last.filter(|last| last.revision == *revision && last.state == "running") {
        Some(deployment) => Ok(deployment),
        None => Ok(ctx.client.deploy(app.as_str(), wish).await?),
    }
}

/// Follows a deployment to its end and says where the application is.
pub async fn finish(app: &AppName, deployment: &Deployment, ctx: &Context) -> Result<(), CliError> {
    follow::deployment(app, &deployment.deploy_id, ctx).await?;
    url::live(app, ctx).await
}
