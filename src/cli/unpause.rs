//! `dotcloud unpause`: let paused instances go on.

use crate::faults::Aim;

use super::{CliError, Context};

/// Let paused instances go on: those named, or all of the application
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// www, www.1, db.master, db.slave [default: all]
    #[arg(value_name = "SERVICE[.N|.master|.slave]")]
    pub roles: Vec<Aim>,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    let mut freed = Vec::new();
    for role in &args.roles {
        freed.extend(ctx.client.unpause(app.as_str(), Some(&role.to_string())).await?);
    }
    if args.roles.is_empty() {
        freed = ctx.client.unpause(app.as_str(), None).await?;
    }
    if ctx.json {
        ctx.ui.json(&serde_json::json!({ "instances": freed }));
    } else if freed.is_empty() {
        ctx.ui.info("Nothing was paused");
    } else {
        ctx.ui.success(format!("Unpaused {}", freed.join(", ")));
    }
    Ok(0)
}
