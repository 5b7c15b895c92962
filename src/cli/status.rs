//! `dotcloud status`: is every instance up?

use crate::api::types::{InstanceStatus, Service};
use crate::model::ServiceName;

use super::{CliError, Context};

/// Probe the instances of one service or of all
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    pub service: Option<ServiceName>,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    let services = ctx.services(&app, args.service.as_ref()).await?;
    for service in &services {
        ctx.ui.info(format!("Probing status for service \"{}\"...", service.name));
        probe(app.as_str(), service, ctx).await?;
    }
    Ok(0)
}

async fn probe(app: &str, service: &Service, ctx: &Context) -> Result<(), CliError> {
    for instance in &service.instances {
        let status = ctx.client.status(app, &service.name, instance.instance_id).await?;
        let name = format!("{}.{}", service.name, instance.instance_id);
        if ctx.json {
            ctx.ui.json(&serde_json::json!({ "instance": name, "status": status.status, "custom": status.custom }));
        } else {
            ctx.ui.print(text(&name, &status));
        }
    }
    if !ctx.json {
        service.urls.iter().chain(&service.address).for_each(|url| ctx.ui.print(format!("        {url}")));
    }
    Ok(())
}

fn text(name: &str, status: &InstanceStatus) -> String {
    let custom = status.custom.iter().map(|(key, value)| format!("\n        {key} -> {value}"));
    format!("{name}:  {}{}", status.status, custom.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_indented_below_the_instance() {
        let custom = [("role".to_owned(), "master".to_owned())].into();
        let status = InstanceStatus { status: "up".to_owned(), custom };
        assert_eq!(text("db.0", &status), "db.0:  up\n        role -> master");
    }
}
