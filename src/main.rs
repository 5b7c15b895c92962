//! `dotcloud`: the command line and, as `dotcloud daemon`, the daemon.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(dotcloud_local::cli::main(std::env::args_os(), |_home| 1))
}
