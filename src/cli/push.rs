//! `dotcloud push`: upload the code, build it, deploy it.

use std::path::PathBuf;

use crate::api::types::DeployRequest;
use crate::model::AppName;

use super::tree::Tree;
use super::{CliError, Context, deploy};

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
        deploy::finish(&app, &deployment, ctx).await?;
    }
    Ok(0)
}

/// Sends the tree; returns its revision.
pub async fn upload(tree: &Tree, app: &AppName, ctx: &Context) -> Result<String, CliError> {
    ctx.ui.info(format!("Pushing code from \"{}\" to application {app}", tree.root().display()));
    tree.upload(app, ctx).await
}
