//! `dotcloud watch`: what is saved in a folder is served a moment later.

mod attempt;
mod hold;
mod report;
mod session;

use std::path::PathBuf;

use crate::model::AppName;
use crate::watch::{self, Watch};

use super::error::chain;
use super::tree::Tree;
use super::{CliError, Context, follow, pack, up};

pub use attempt::Way;
pub use session::Session;

/// Bring every change of the folder into the running application
///
/// Pushes first when the folder differs from what serves. Then every saved change goes live in
/// all instances without a push, and one line tells how long that took. Code that does not start
/// changes nothing: its error is printed, and the previous code keeps serving. Changes that a
/// build depends on are pushed. Times are UTC, as in the logs. Ctrl-C ends this and leaves
/// everything running.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The folder with dotcloud.yml [default: this one or the nearest above]
    #[arg(value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let tree = Tree::find(args.folder.as_deref(), ctx)?;
    let app = tree.app(ctx)?;
    tokio::select! {
        biased;
        () = follow::interrupted() => {
            ctx.ui.info(format!("{app} runs on as it is; `dotcloud -A {app} down` stops it"));
            Ok(0)
        }
        ended = attach(&tree, &app, ctx) => ended.map(|()| 0),
    }
}

async fn attach(tree: &Tree, app: &AppName, ctx: &Context) -> Result<(), CliError> {
    ctx.client.app(app.as_str()).await.map_err(|error| match error.is_not_found() {
        true => CliError::from(error).hint("`dotcloud up` creates an application of the folder and watches it"),
        false => error.into(),
    })?;
    // From here on no change is missed, whatever the push takes.
    let watch = start(tree).await?;
    if up::bring(tree, app, false, ctx).await? {
        follow::ready(app, &[], ctx).await?;
    }
    Session::new(Way { tree, app, ctx }, watch).run().await
}

/// Watches what a push of the tree would send.
///
/// # Errors
/// The tree cannot be read, or the system lets no more be watched.
pub async fn start(tree: &Tree) -> Result<Watch, CliError> {
    let watched = watch::Tree { root: tree.root().to_owned(), rules_file: pack::IGNORE_FILE, rules: pack::rules };
    let started = tokio::task::spawn_blocking(move || Watch::start(watched)).await;
    let started = started.map_err(|error| CliError::because("cannot watch the folder", &error))?;
    started.map_err(|error| CliError::failed(chain(&error)))
}
