//! `dotcloud open`: the application in the browser.

use std::process::{Command, Stdio};

use crate::model::ServiceName;

use super::{CliError, Context};

/// Open a web service in the browser
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The first one with a URL when left out
    pub service: Option<ServiceName>,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    let services = ctx.services(&app, args.service.as_ref()).await?;
    let url = services.iter().find_map(|service| service.urls.first()).ok_or_else(|| {
        CliError::failed("There is no web service to open.").hint("`dotcloud url` shows where the services answer")
    })?;
    ctx.ui.print(url);
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let opened =
        Command::new(opener).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    match opened {
        Ok(status) if status.success() => Ok(0),
        Ok(status) => {
            Err(CliError::failed(format!("{opener} ended with {status}")).hint(format!("open it yourself: {url}")))
        }
        Err(error) => {
            Err(CliError::because(format!("cannot run {opener}"), &error).hint(format!("open it yourself: {url}")))
        }
    }
}
