//! `dotcloud app`: which application this folder means.

use super::{CliError, Context};

/// Print the application that commands in this folder mean
#[derive(Debug, Clone, clap::Args)]
pub struct Args {}

pub async fn run(_: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    if ctx.json {
        ctx.ui.json(&serde_json::json!({ "application": app }));
    } else {
        ctx.ui.print(app.as_str());
    }
    Ok(0)
}
