//! `dotcloud restart`: instances anew, one after the other.

use crate::api::types::Service;

use super::{CliError, Context};

/// Restart one instance (www.1), or all instances of a service, one after the other
///
/// Restarting the master of a replicated service is no failure: it stays the master.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[arg(value_name = "SERVICE[.N]")]
    pub target: String,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    let target = super::target::Target::parse(&args.target)?;
    let instances = match target.instance {
        Some(instance) => vec![instance],
        None => all(&ctx.client.service(app.as_str(), target.service.as_str()).await?),
    };
    for instance in instances {
        ctx.ui.info(format!(
            "Service ({}) instance #{instance} of application {app} is being restarted.",
            target.service
        ));
        ctx.client.restart(app.as_str(), target.service.as_str(), instance).await?;
    }
    Ok(0)
}

fn all(service: &Service) -> Vec<u32> {
    service.instances.iter().map(|instance| instance.instance_id).collect()
}
