//! `dotcloud list`: all applications.

use super::table::{row, table};
use super::{CliError, Context};

/// List the applications; * marks the one that this folder means
#[derive(Debug, Clone, clap::Args)]
pub struct Args {}

pub async fn run(_: Args, ctx: &Context) -> Result<u8, CliError> {
    let apps = ctx.client.apps().await?;
    if ctx.json {
        ctx.ui.json(&apps);
        return Ok(0);
    }
    if apps.is_empty() {
        ctx.ui.info("You don't have any application yet, create one with `dotcloud create` or `dotcloud up`");
        return Ok(0);
    }
    let current = ctx.app().ok();
    let is_current = |name: &str| current.as_ref().is_some_and(|current| current.as_str() == name);
    let mark = |name: &str| if is_current(name) { "*" } else { " " };
    let line = |app: &crate::api::types::Application| {
        row([&format!("{} {}", mark(&app.name), app.name), &app.flavor, &app.state])
    };
    ctx.ui.print(table(&apps.iter().map(line).collect::<Vec<_>>()));
    Ok(0)
}
