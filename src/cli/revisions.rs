//! `dotcloud revisions`: what was pushed.

use super::{CliError, Context};

/// List the revisions that were pushed, oldest first; * marks the one that serves
#[derive(Debug, Clone, clap::Args)]
pub struct Args {}

pub async fn run(_: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    let revisions = ctx.client.revisions(app.as_str()).await?;
    let current = ctx.client.revision(app.as_str()).await?;
    if ctx.json {
        ctx.ui.json(&serde_json::json!({ "revisions": revisions, "current": current }));
        return Ok(0);
    }
    for revision in &revisions {
        // With what went live on it since, it is still that revision.
        let serves = current.as_ref().and_then(|current| current.strip_prefix(revision.as_str()));
        let mark = if serves.is_some_and(|rest| rest.is_empty() || rest.starts_with('+')) { "*" } else { " " };
        ctx.ui.print(format!("{mark} {revision}"));
    }
    Ok(0)
}
