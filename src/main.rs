//! `dotcloud`: the command line and, as `dotcloud daemon`, the daemon.

use std::error::Error as _;
use std::io;
use std::process::ExitCode;

use dotcloud_local::api::client::GAVE_WAY;
use dotcloud_local::api::home::Home;
use dotcloud_local::cli;
use dotcloud_local::daemon::{self, DaemonError};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    ExitCode::from(cli::main(std::env::args_os(), run_daemon))
}

/// Runs the daemon until it is asked to end; returns the exit code.
fn run_daemon(home: Home) -> u8 {
    let filter = EnvFilter::try_from_env("DOTCLOUD_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    let ended = match tokio::runtime::Runtime::new() {
        Ok(runtime) => {
            let ended = runtime.block_on(daemon::run(home));
            // Connections that outlast their grace end here.
            runtime.shutdown_background();
            ended
        }
        Err(error) => {
            tracing::error!(%error, "cannot start");
            return 1;
        }
    };
    match ended {
        Ok(()) => 0,
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {}", cli::error::chain(cause))).unwrap_or_default();
            tracing::error!("{error}{cause}");
            if matches!(error, DaemonError::Locked { .. }) { GAVE_WAY } else { 1 }
        }
    }
}
