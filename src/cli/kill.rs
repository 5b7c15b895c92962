//! `dotcloud kill`: let an instance die, to see what the platform does.

use super::{CliError, Context, target};

/// Kill an instance (SIGKILL), by number or by role
///
/// The platform notices and mends it: traffic goes to the other instances, a slave takes over
/// from a killed master at the same address.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// www.1, db.master, db.slave
    #[arg(value_name = "SERVICE[.N|.master|.slave]", value_parser = target::role)]
    pub role: String,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    let instance = ctx.client.kill(app.as_str(), &args.role).await?;
    if ctx.json {
        ctx.ui.json(&serde_json::json!({ "role": args.role, "instance": instance }));
        return Ok(0);
    }
    ctx.ui.success(format!("Killed {instance}"));
    let service = instance.split('.').next().unwrap_or(&instance);
    ctx.ui.info(format!("`dotcloud info {service}` shows what became of it"));
    Ok(0)
}
