//! `dotcloud dlist`: the deployments of an application.

use crate::api::types::Deployment;

use super::table::{row, table};
use super::{CliError, Context};

/// List the deployments, oldest first
#[derive(Debug, Clone, clap::Args)]
pub struct Args {}

pub async fn run(_: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    let deployments = ctx.client.deployments(app.as_str()).await?;
    if ctx.json {
        ctx.ui.json(&deployments);
        return Ok(0);
    }
    let head = row(["deployment date", "revision", "state", &format!("deploy_id [application {app}]")]);
    let rows: Vec<_> = std::iter::once(head).chain(deployments.iter().map(line)).collect();
    ctx.ui.print(table(&rows));
    if let Some(last) = deployments.last() {
        ctx.ui.info(format!("`dotcloud dlogs {}` prints the log of the last one", last.deploy_id));
    }
    Ok(0)
}

fn line(deployment: &Deployment) -> Vec<String> {
    row([&moment(&deployment.created_at), &deployment.revision, &deployment.state, &deployment.deploy_id])
}

/// `2013-01-02T03:04:05.000006Z` -> `2013-01-02 03:04:05`.
pub fn moment(created_at: &str) -> String {
    created_at.replacen('T', " ", 1).chars().take(19).collect()
}
