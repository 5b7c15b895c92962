//! `dotcloud pause`: let instances hang, to see what the platform does.

use std::time::Duration;

use crate::faults::{Aim, parse_span};

use super::series::{self, Fault};
use super::{CliError, Context};

/// Pause instances: their processes stop where they are, and answer nobody
///
/// A paused instance of a web service gets no new requests; those under way wait. A paused
/// master hangs: when a slave can take over it is ended and comes back as a slave. `--for 5s`
/// lets it go on by itself, whatever becomes of this command. With --every, `--for` says how
/// long the series goes on and `--each` how long every single pause lasts.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// www, www.1, db.master, db.slave
    #[arg(value_name = "SERVICE[.N|.master|.slave]", required = true)]
    pub roles: Vec<Aim>,
    /// How long the pause lasts; with --every, how long the series [default: until `unpause`]
    #[arg(long = "for", value_name = "TIME", value_parser = parse_span)]
    pub lasts: Option<Duration>,
    /// Strike again and again, such as every 10s
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    pub every: Option<Duration>,
    /// With --every: how long each pause lasts [default: half of --every]
    #[arg(long, value_name = "TIME", value_parser = parse_span, requires = "every")]
    pub each: Option<Duration>,
    /// With --every: decides who is hit and when [default: another one each time]
    #[arg(long, requires = "every")]
    pub seed: Option<u64>,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    let Some(every) = args.every else {
        return series::once(&app, &args.roles, Fault::Pause { lasts: args.lasts }, ctx).await;
    };
    let each = args.each.unwrap_or(every / 2);
    let schedule = series::schedule(args.roles, every, args.lasts, args.seed);
    series::run(&app, &schedule, Fault::Pause { lasts: Some(each) }, ctx).await
}
