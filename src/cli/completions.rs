//! `dotcloud completions`: what the shell can complete.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{CliError, Context};

/// Print the completion script of a shell
///
/// For bash: dotcloud completions bash > ~/.local/share/bash-completion/completions/dotcloud
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    pub shell: Shell,
}

pub fn run(args: &Args, ctx: &Context) -> Result<u8, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "dotcloud", &mut script);
    ctx.ui.print(String::from_utf8_lossy(&script).trim_end());
    Ok(0)
}
