//! `dotcloud connect`: make an application the one that this folder means.

use crate::model::AppName;

use super::{CliError, Context, connection};

/// Connect this folder with an application
///
/// Commands in this folder and below it then need no -A.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    pub name: AppName,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    match ctx.client.app(args.name.as_str()).await {
        Err(error) if error.is_not_found() => {
            return Err(CliError::failed(format!("Application \"{}\" doesn't exist.", args.name))
                .hint(format!("create it: `dotcloud create {}`", args.name))
                .hint("`dotcloud list` shows those that exist"));
        }
        found => drop(found?),
    }
    connect(&args.name, ctx)?;
    Ok(0)
}

pub fn connect(name: &AppName, ctx: &Context) -> Result<(), CliError> {
    ctx.ui.info(format!("Connecting with the application \"{name}\""));
    connection::connect(&ctx.folder, name)?;
    ctx.ui.success("Connected with default push options: --rsync");
    Ok(())
}
