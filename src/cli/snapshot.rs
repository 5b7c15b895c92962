//! `dotcloud snapshot`: all data of an application, to come back to.

use indicatif::HumanBytes;

use crate::api::client::Lines;
use crate::api::types::{Snapshot, SnapshotNews};
use crate::model::{AppName, SnapshotName};

use super::backup::{failed, lost};
use super::dlist::moment;
use super::table::{row, size, table};
use super::{CliError, Context};

/// Save all data of an application, and come back to it
///
/// Databases (as `dotcloud backup` dumps them; of RabbitMQ everything, messages among it, for which
/// the broker is stopped for a moment), the folders that services share, and each
/// instance's ~/data. Snapshots are kept in DOTCLOUD_HOME/snapshots, also when their application
/// is destroyed.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Debug, Clone, clap::Subcommand)]
pub enum Action {
    /// Save everything as it is now; what runs goes on, but for a moment in RabbitMQ
    Save {
        /// [default: the time]
        name: Option<SnapshotName>,
    },
    /// List the snapshots, oldest first
    List,
    /// Put everything of a snapshot in the place of what is there now
    ///
    /// All of it is checked before the first change. Shared folders are replaced while their services
    /// run; clients of databases are disconnected and held back meanwhile (new connections wait for
    /// up to 10 s, then they are told why); an instance whose ~/data is replaced is restarted.
    Restore { name: SnapshotName },
    /// Delete a snapshot
    Delete { name: SnapshotName },
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    match args.action {
        Action::Save { name } => save(&app, name, ctx).await,
        Action::List => list(&app, ctx).await,
        Action::Restore { name } => restore(&app, &name, ctx).await,
        Action::Delete { name } => delete(&app, &name, ctx).await,
    }
}

async fn save(app: &AppName, name: Option<SnapshotName>, ctx: &Context) -> Result<u8, CliError> {
    let now = || jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let name = name.map_or_else(now, String::from);
    let lines = ctx.client.save_snapshot(app.as_str(), &name).await?;
    let last = follow(lines, &format!("Saving {app}"), "saved", ctx).await?;
    if let SnapshotNews::Saved { snapshot } = last {
        match ctx.json {
            true => ctx.ui.json(&snapshot),
            false => ctx.ui.success(format!(
                "Snapshot {} of {app} is saved ({} files, {})",
                snapshot.name,
                snapshot.parts.len(),
                HumanBytes(snapshot.bytes)
            )),
        }
    }
    Ok(0)
}

async fn restore(app: &AppName, name: &SnapshotName, ctx: &Context) -> Result<u8, CliError> {
    there(app, name, ctx).await?;
    let question = format!("Replace the data of \"{app}\" by the snapshot {name}?");
    if !ctx.confirm(&question)? {
        ctx.ui.info("Nothing was changed");
        return Ok(1);
    }
    let lines = ctx.client.restore_snapshot(app.as_str(), name.as_str()).await?;
    let last = follow(lines, &format!("Restoring {app}"), "restored", ctx).await?;
    if let SnapshotNews::Restored { parts } = last {
        match ctx.json {
            true => ctx.ui.json(&serde_json::json!({ "application": app.as_str(), "name": name, "parts": parts })),
            false => ctx.ui.success(format!("{app} has the data of snapshot {name} again")),
        }
    }
    Ok(0)
}

/// Nobody is asked about a snapshot that is not there.
async fn there(app: &AppName, name: &SnapshotName, ctx: &Context) -> Result<(), CliError> {
    let snapshots = ctx.client.snapshots(app.as_str()).await?;
    if snapshots.iter().any(|snapshot| snapshot.name == name.as_str()) {
        return Ok(());
    }
    Err(CliError::failed(format!("The application {app} has no snapshot {name}."))
        .hint("`dotcloud snapshot list` shows those it has"))
}

/// Tells what happens until the end; the last news.
async fn follow(mut lines: Lines, title: &str, done: &str, ctx: &Context) -> Result<SnapshotNews, CliError> {
    let progress = ctx.ui.progress(title.to_owned());
    let ended = loop {
        let Some(news) = lines.next::<SnapshotNews>().await? else {
            break Err(lost("It goes on in the background: `dotcloud activity` says how it ended."));
        };
        match news {
            SnapshotNews::Part { kind, name, bytes, holds } => {
                ctx.ui.info(format!("{} is {done} ({})", described(&kind, &name), HumanBytes(bytes)));
                if !holds.is_empty() {
                    ctx.ui.info(format!("It holds {holds}"));
                }
            }
            SnapshotNews::Restarted { instance } => {
                ctx.ui.info(format!("{instance} is restarted: its ~/data was replaced"));
            }
            SnapshotNews::Failed { reason } => break Err(failed(&reason)),
            last @ (SnapshotNews::Saved { .. } | SnapshotNews::Restored { .. }) => break Ok(last),
        }
    };
    progress.finish_and_clear();
    ended
}

fn described(kind: &str, name: &str) -> String {
    match kind {
        "shared" => format!("The shared folder {name}"),
        "data" => format!("~/data of {name}"),
        _ => name.to_owned(),
    }
}

async fn list(app: &AppName, ctx: &Context) -> Result<u8, CliError> {
    let snapshots = ctx.client.snapshots(app.as_str()).await?;
    if ctx.json {
        ctx.ui.json(&snapshots);
        return Ok(0);
    }
    if snapshots.is_empty() {
        ctx.ui.info(format!("{app} has no snapshots: `dotcloud snapshot save` makes one"));
        return Ok(0);
    }
    let line = |snapshot: &Snapshot| {
        let parts = snapshot.parts.iter().map(|part| part.name.clone()).collect::<Vec<_>>().join(" ");
        let (at, revision) = (moment(&snapshot.created_at), snapshot.revision.as_deref().unwrap_or("-"));
        row([&snapshot.name, &at, &size(snapshot.bytes), revision, &parts])
    };
    let head = row(["name", "created", "size", "revision", "parts"]);
    ctx.ui.print(table(&std::iter::once(head).chain(snapshots.iter().map(line)).collect::<Vec<_>>()));
    Ok(0)
}

async fn delete(app: &AppName, name: &SnapshotName, ctx: &Context) -> Result<u8, CliError> {
    there(app, name, ctx).await?;
    if !ctx.confirm(&format!("Delete the snapshot {name} of \"{app}\"?"))? {
        ctx.ui.info("Nothing was deleted");
        return Ok(1);
    }
    ctx.client.delete_snapshot(app.as_str(), name.as_str()).await?;
    ctx.ui.success(format!("Snapshot {name} of {app} is deleted"));
    Ok(0)
}
