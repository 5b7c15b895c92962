//! Keeps instances prepared while a folder is watched.

use crate::api::client::ClientError;
use crate::api::types::LiveReady;
use crate::cli::Context;
use crate::cli::error::CliError;
use crate::cli::follow::Losses;
use crate::model::AppName;

use super::session::PAUSE;

/// Goes on over restarts of the daemon; says once that all are prepared.
///
/// # Errors
/// The application is gone, or the daemon cannot be reached again. It ends in no other way.
pub async fn hold(app: &AppName, ctx: &Context) -> Result<(), CliError> {
    let (mut losses, mut told) = (Losses::default(), false);
    loop {
        match hold_once(app, ctx, &mut told).await {
            Ok(news) => losses.count(news, None)?,
            Err(error @ ClientError::Lost { .. }) => losses.count(false, Some(error))?,
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// One connection, to its end; whether anything came over it.
async fn hold_once(app: &AppName, ctx: &Context, told: &mut bool) -> Result<bool, ClientError> {
    let mut lines = ctx.client.live(app.as_str()).await?;
    let mut news = false;
    loop {
        match lines.next::<LiveReady>().await {
            Ok(Some(ready)) => {
                news = true;
                if ready.wanted > 0 && ready.instances >= ready.wanted && !std::mem::replace(told, true) {
                    ctx.ui.info(format!("{} instances are ready for changes", ready.instances));
                }
            }
            Ok(None) => return Ok(news),
            Err(ClientError::Lost { .. }) if news => return Ok(true),
            Err(error) => return Err(error),
        }
    }
}
