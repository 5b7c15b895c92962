//! `dotcloud destroy`: remove an application or a service, with its data.

use crate::model::{AppName, ServiceName};

use super::{CliError, Context};

/// Destroy an application or one of its services, with all data
///
/// Asks first. Without a terminal to ask on, --assume-yes is needed.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Only this service
    pub service: Option<ServiceName>,
    /// The application's snapshots too; they are kept otherwise
    #[arg(long, conflicts_with = "service")]
    pub snapshots: bool,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    let (what, target) = match &args.service {
        Some(service) => ("service", format!("{app}.{service}")),
        None => ("application", app.to_string()),
    };
    if ctx.asks() {
        // Nobody is asked about what is not there.
        match &args.service {
            Some(service) => drop(ctx.client.service(app.as_str(), service.as_str()).await?),
            None => drop(ctx.client.app(app.as_str()).await?),
        }
    }
    if !ctx.confirm(&format!("Destroy the {what} \"{target}\"?"))? {
        ctx.ui.info("Nothing was destroyed");
        return Ok(1);
    }
    let progress = ctx.ui.progress(format!("Destroying {target}"));
    ctx.ui.info(format!("Destroying \"{target}\""));
    let destroyed = match &args.service {
        Some(service) => ctx.client.destroy_service(app.as_str(), service.as_str()).await,
        None => ctx.client.destroy(app.as_str()).await,
    };
    progress.finish_and_clear();
    match destroyed {
        Err(error) if error.is_not_found() => Err(CliError::failed(format!("The {what} \"{target}\" does not exist."))
            .hint("`dotcloud list` shows the applications")),
        destroyed => {
            destroyed?;
            ctx.ui.success("Destroyed.");
            if args.service.is_none() {
                see_to_snapshots(&app, args.snapshots, ctx).await?;
            }
            Ok(0)
        }
    }
}

/// Snapshots are what somebody meant to keep: they stay unless they are named.
async fn see_to_snapshots(app: &AppName, delete: bool, ctx: &Context) -> Result<(), CliError> {
    let left = ctx.client.snapshots(app.as_str()).await?;
    if delete {
        for snapshot in &left {
            ctx.client.delete_snapshot(app.as_str(), &snapshot.name).await?;
        }
        ctx.ui.info(format!("{} snapshots were deleted", left.len()));
    } else if !left.is_empty() {
        let names = left.iter().map(|snapshot| snapshot.name.as_str()).collect::<Vec<_>>().join(", ");
        ctx.ui.info(format!("Its snapshots are kept: {names}. `dotcloud -A {app} snapshot delete NAME` deletes one"));
    }
    Ok(())
}
