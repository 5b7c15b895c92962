//! `dotcloud down`: stop an application and keep what it knows.

use super::{CliError, Context};

/// Remove an application's containers and network
///
/// Volumes, revisions and settings stay, and `dotcloud up` starts the stack again without a
/// build. `dotcloud destroy` removes everything.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Remove all data too: of data services, of ~/data, of shared folders
    #[arg(long)]
    pub volumes: bool,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    let progress = ctx.ui.progress(format!("Stopping {app}"));
    let stopped = ctx.client.down(app.as_str(), args.volumes).await;
    progress.finish_and_clear();
    stopped?;
    let what = if args.volumes { "containers, network and data" } else { "containers and network" };
    ctx.ui.success(format!("Removed the {what} of {app}."));
    if !args.volumes {
        ctx.ui
            .info("Its data and revisions stay: `dotcloud up` starts it again, `dotcloud destroy` removes everything");
    }
    Ok(0)
}
