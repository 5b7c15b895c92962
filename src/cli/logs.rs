//! `dotcloud logs`: what the instances print.

use super::{CliError, Context, follow};

/// Print what the instances print, and follow it
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Services (www) and instances (www.1) [default: all]
    #[arg(value_name = "SERVICE[.N]")]
    pub filter: Vec<String>,
    /// Print what is there and return
    #[arg(short = 'N', long)]
    pub no_follow: bool,
    /// How many of the last lines of each instance to begin with
    #[arg(short = 'n', long, value_name = "COUNT")]
    pub lines: Option<u32>,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    check(&args.filter)?;
    tokio::select! {
        biased;
        () = follow::interrupted() => {}
        ended = follow::logs(&app, &args.filter, args.lines, !args.no_follow, ctx) => ended?,
    }
    Ok(0)
}

/// Names are part of the request: only names may be.
fn check(filter: &[String]) -> Result<(), CliError> {
    use crate::model::{InstanceName, ServiceName};
    let is_name = |text: &String| text.parse::<ServiceName>().is_ok() || text.parse::<InstanceName>().is_ok();
    match filter.iter().find(|text| !is_name(text)) {
        Some(wrong) => {
            Err(CliError::usage(format!("{wrong:?} is neither a service nor an instance")).hint("write www or www.1"))
        }
        None => Ok(()),
    }
}
