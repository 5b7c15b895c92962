//! `dotcloud info`: everything that is known about an application or a service.

use crate::model::ServiceName;

use super::{CliError, Context, describe};

/// Show an application, or everything about one service
///
/// For a replicated service: every member's role, whether it is synchronized and how far behind
/// it is, and the receipt of the last failover.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    pub service: Option<ServiceName>,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    match args.service {
        Some(name) => {
            let service = ctx.client.service(app.as_str(), name.as_str()).await?;
            if ctx.json {
                ctx.ui.json(&service);
            } else {
                ctx.ui.print(describe::service(&service));
            }
        }
        None => application(app.as_str(), ctx).await?,
    }
    Ok(0)
}

async fn application(app: &str, ctx: &Context) -> Result<(), CliError> {
    let state = ctx.client.app(app).await?;
    if ctx.json {
        ctx.ui.json(&state);
        return Ok(());
    }
    ctx.ui.print(describe::application(&state));
    if state.services.is_empty() {
        ctx.ui.warning("It looks like you haven't deployed your application.");
        ctx.ui.warning("Run `dotcloud push` in the folder of its code.");
    }
    Ok(())
}
