//! `dotcloud disconnect`: forget which application this folder means.

use super::{CliError, Context, connection};

/// Disconnect this folder from its application, which stays as it is
#[derive(Debug, Clone, clap::Args)]
pub struct Args {}

pub async fn run(_: Args, ctx: &Context) -> Result<u8, CliError> {
    match connection::disconnect(&ctx.folder)? {
        Some(found) => {
            ctx.ui.success(format!("Disconnected {} from \"{}\".", found.folder.display(), found.application));
            Ok(0)
        }
        None => Err(CliError::usage("This folder is not connected with an application.")),
    }
}
