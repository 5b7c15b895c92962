//! `dotcloud create`: a new, empty application.

use std::io::IsTerminal;

use crate::model::AppName;

use super::{Answers, CliError, Context, connect};

/// Create a new application
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Its name: a-z, 0-9, - and _
    pub name: AppName,
    /// What dotCloud called the kind of an application
    #[arg(short, long, default_value = "live")]
    pub flavor: String,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let Args { name, flavor } = args;
    ctx.ui.info(format!("Creating a {flavor} application named \"{name}\""));
    match ctx.client.create(name.as_str(), &flavor).await {
        Err(error) if error.is_conflict() => {
            return Err(CliError::failed(format!("Application \"{name}\" already exists."))
                .hint(format!("connect this folder with it: `dotcloud connect {name}`")));
        }
        created => created?,
    }
    ctx.ui.success(format!("Application \"{name}\" created."));
    if wants_connection(&name, ctx) {
        connect::connect(&name, ctx)?;
    }
    Ok(0)
}

/// Unlike dangerous questions this one may stay unanswered: then the folder is left alone.
fn wants_connection(name: &AppName, ctx: &Context) -> bool {
    match ctx.answers {
        Answers::Yes => true,
        Answers::No => false,
        Answers::Ask if !std::io::stdin().is_terminal() => false,
        Answers::Ask => {
            let answer =
                ctx.ui.ask(&format!("Connect the current directory to \"{name}\"? [Y/n]:")).unwrap_or_default();
            !matches!(answer.to_ascii_lowercase().as_str(), "n" | "no")
        }
    }
}
