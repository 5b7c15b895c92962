//! `dotcloud daemon`: the process behind all commands. It is started on demand; this looks after
//! it by hand.

use crate::api::client::{Client, ClientError};
use crate::api::types::{Settings, Version};

use super::Context;
use super::error::{CliError, Kind};

/// Run the daemon in the foreground, or look after the one in the background
///
/// Any command that needs the daemon starts it. When it ends, the containers keep running, but
/// nothing is proxied, scaled or failed over until it runs again.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub action: Option<Action>,
}

#[derive(Debug, Clone, Copy, clap::Subcommand)]
pub enum Action {
    /// Start it in the background, if it does not run
    Start,
    /// End it; the containers stay
    Stop,
    /// Tell whether it runs (exit code 4 when not)
    Status,
    /// Accept memory limits above 4G, up to 64G
    AllowLargeMemory {
        /// Refuse them again; limits that are set stay
        #[arg(long)]
        revoke: bool,
    },
}

pub async fn run(action: Action, ctx: &Context) -> Result<u8, CliError> {
    match action {
        Action::Start => {
            let version = ctx.client.version().await?;
            ctx.ui.success(format!("The daemon runs (pid {}).", version.pid));
        }
        Action::Stop => match Client::passive(ctx.client.home().clone()).shutdown().await {
            Err(ClientError::Connect { .. }) => ctx.ui.info("The daemon does not run"),
            stopped => {
                stopped?;
                ctx.ui.success("The daemon ended; the containers keep running.");
            }
        },
        Action::Status => status(ctx).await?,
        Action::AllowLargeMemory { revoke } => {
            let settings = ctx.client.set_settings(&Settings { large_memory: !revoke }).await?;
            let verb = if settings.large_memory { "accepted" } else { "refused" };
            ctx.ui.success(format!("Memory limits above 4G are {verb}."));
        }
    }
    Ok(0)
}

async fn status(ctx: &Context) -> Result<(), CliError> {
    let home = ctx.client.home();
    let version = match Client::passive(home.clone()).version().await {
        Err(ClientError::Connect { socket, .. }) => {
            return Err(CliError::new(Kind::Unreachable, format!("No daemon listens on {}.", socket.display()))
                .hint("any command that needs it starts it; `dotcloud daemon start` does nothing else"));
        }
        answer => answer?,
    };
    if ctx.json {
        ctx.ui.json(
            &serde_json::json!({ "version": version, "home": home.dir(), "socket": home.socket(), "log": home.log() }),
        );
        return Ok(());
    }
    let outdated = Version::of_this_program().is_newer_than(&version);
    ctx.ui.print(format!(
        "version:  {}{}",
        version.version,
        if outdated { " (older than this command, which will replace it)" } else { "" }
    ));
    ctx.ui.print(format!("pid:      {}", version.pid));
    ctx.ui.print(format!("home:     {}", home.dir().display()));
    ctx.ui.print(format!("socket:   {}", home.socket().display()));
    ctx.ui.print(format!("log:      {}", home.log().display()));
    Ok(())
}
