//! `dotcloud up`: from a folder to a running application, in one command.

use std::path::PathBuf;

use crate::api::types::DeployRequest;
use crate::model::AppName;
use crate::watch::Watch;

use super::error::Kind;
use super::follow::{self, Deadline};
use super::tree::Tree;
use super::watch::{self, Session, Way};
use super::{CliError, Context, deploy, push, url};

/// How long a detached `up` waits when nothing else is said: builds have 15 minutes.
const DEFAULT_TIMEOUT: u64 = 1200;
/// Of each instance, when following begins.
const FIRST_LINES: u32 = 20;

/// Create, push, deploy and follow an application
///
/// Creates the application when it is missing, named by -A, the connected folder or the folder
/// itself. Pushes and deploys the code, or only starts the stack again when nothing changed.
/// Then follows what the instances print and brings every saved change into them, as `dotcloud
/// watch` does, until Ctrl-C, which leaves everything running.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The folder with dotcloud.yml [default: this one or the nearest above]
    #[arg(value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
    /// Return when the deployment is done, without following the logs
    #[arg(short, long)]
    pub detach: bool,
    /// Return when every instance answers and every replica is synchronized; implies --detach
    #[arg(long)]
    pub wait: bool,
    /// Give up waiting after this time (exit code 3); the work goes on [default when detached: 1200]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: Option<u64>,
    /// Build from scratch, without what the previous build left
    #[arg(long)]
    pub clean: bool,
    /// Follow the logs alone: saved changes wait for a push
    #[arg(long)]
    pub no_watch: bool,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let tree = Tree::find(args.folder.as_deref(), ctx)?;
    let app = tree.app(ctx)?;
    let detached = args.detach || args.wait;
    let deadline = Deadline::after(args.timeout.or(detached.then_some(DEFAULT_TIMEOUT)));
    // Before the push, so that no change is missed, whatever that takes.
    let watch = if detached || args.no_watch { None } else { watched(&tree, ctx).await };
    let starting = deadline.bound(&app, ctx, start(&tree, &app, &args, ctx));
    tokio::select! {
        biased;
        () = follow::interrupted() => return interrupted(&app, detached, ctx),
        started = starting => started?,
    }
    if !detached {
        attached(Way { tree: &tree, app: &app, ctx }, watch).await?;
    }
    Ok(0)
}

/// Whoever follows may leave at any time; whoever waits was promised an end.
fn interrupted(app: &AppName, detached: bool, ctx: &Context) -> Result<u8, CliError> {
    let hint = format!("what was begun goes on; `dotcloud -A {app} dlogs latest` follows it");
    if detached {
        return Err(CliError::new(Kind::Interrupted, "Interrupted").hint(hint));
    }
    ctx.ui.info(format!("Interrupted: {hint}"));
    Ok(0)
}

async fn start(tree: &Tree, app: &AppName, args: &Args, ctx: &Context) -> Result<(), CliError> {
    create_if_missing(app, ctx).await?;
    let unchanged = bring(tree, app, args.clean, ctx).await?;
    if args.wait || unchanged {
        follow::ready(app, &[], ctx).await?;
    }
    url::live(app, ctx).await
}

/// Makes the tree what runs: pushes and deploys it, or only starts the stack again. Whether
/// nothing had to be deployed.
pub async fn bring(tree: &Tree, app: &AppName, clean: bool, ctx: &Context) -> Result<bool, CliError> {
    let revision = push::upload(tree, app, ctx).await?;
    let state = ctx.client.app(app.as_str()).await?;
    if clean || state.revision.as_deref() != Some(revision.as_str()) {
        deploy(app, revision, clean, ctx).await?;
        return Ok(false);
    }
    if state.state == "up" {
        ctx.ui.info(format!("Nothing changed since revision {revision}, which is running"));
    } else {
        ctx.ui.info(format!("Nothing changed since revision {revision}: starting it again, without a build"));
        ctx.client.up(app.as_str()).await?;
    }
    Ok(true)
}

/// Pushes the tree and follows its deployment, whatever runs.
pub async fn push(tree: &Tree, app: &AppName, ctx: &Context) -> Result<(), CliError> {
    let revision = push::upload(tree, app, ctx).await?;
    deploy(app, revision, false, ctx).await
}

async fn deploy(app: &AppName, revision: String, clean: bool, ctx: &Context) -> Result<(), CliError> {
    let wish = DeployRequest { revision: Some(revision), clean, service: None };
    let deployment = deploy::schedule(app, &wish, ctx).await?;
    follow::deployment(app, &deployment.deploy_id, ctx).await
}

async fn create_if_missing(app: &AppName, ctx: &Context) -> Result<(), CliError> {
    match ctx.client.create(app.as_str(), "live").await {
        Ok(()) => ctx.ui.info(format!("Application \"{app}\" created")),
        Err(error) if error.is_conflict() => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// A folder that cannot be watched is no reason not to run it.
async fn watched(tree: &Tree, ctx: &Context) -> Option<Watch> {
    match watch::start(tree).await {
        Ok(watch) => Some(watch),
        Err(error) => {
            ctx.ui.warning(format!("Changes will not go live by themselves: {}", error.message));
            None
        }
    }
}

/// Follows the logs and the folder until Ctrl-C or SIGTERM, then says what stays.
async fn attached(way: Way<'_>, watch: Option<Watch>) -> Result<(), CliError> {
    let Way { app, ctx, .. } = way;
    ctx.ui.info("Following the logs. Ctrl-C ends this, not the application.");
    tokio::select! {
        biased;
        () = follow::interrupted() => {}
        ended = follow::logs(app, &[], Some(FIRST_LINES), true, ctx) => ended?,
        () = changes(way, watch) => {}
    }
    let state = ctx.client.app(app.as_str()).await?;
    let running = state.services.iter().map(|service| format!("{} ({})", service.name, service.instance_count));
    ctx.ui.info(format!("Still running: {}", running.collect::<Vec<_>>().join(", ")));
    ctx.ui.info(format!("`dotcloud -A {app} down` stops it, `dotcloud -A {app} logs` follows it again"));
    Ok(())
}

/// Never ends: when watching does, the logs are followed on.
async fn changes(way: Way<'_>, watch: Option<Watch>) {
    if let Some(watch) = watch
        && let Err(error) = Session::new(way, watch).run().await
    {
        way.ctx.ui.warning(format!("Changes do not go live any more: {}", error.message));
    }
    std::future::pending().await
}
