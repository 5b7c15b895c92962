//! `dotcloud destroy`: remove an application or a service, with its data.

use crate::model::ServiceName;

use super::{CliError, Context};

/// Destroy an application or one of its services, with all data
///
/// Asks first. Without a terminal to ask on, --assume-yes is needed.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Only this service
    pub service: Option<ServiceName>,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    let (what, target) = match &args.service {
        Some(service) => ("service", format!("{app}.{service}")),
        None => ("application", app.to_string()),
    };
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
            Ok(0)
        }
    }
}
