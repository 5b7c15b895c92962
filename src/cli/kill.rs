//! `dotcloud kill`: let instances die, to see what the platform does.

use std::time::Duration;

use crate::faults::{Aim, parse_span};

use super::series::{self, Fault};
use super::{CliError, Context};

/// Kill instances (SIGKILL), by number or by role, once or again and again
///
/// The platform notices and mends it: traffic goes to the other instances, a slave takes over
/// from a killed master at the same address. A bare service means a random instance of it.
/// With --every each stroke hits one of those named, in rounds: `dotcloud kill www db.master
/// --every 3s --for 60s --seed 7`. The seed decides who and when; the same one does it again.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// www, www.1, db.master, db.slave
    #[arg(value_name = "SERVICE[.N|.master|.slave]", required = true)]
    pub roles: Vec<Aim>,
    /// Strike again and again, such as every 3s
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    pub every: Option<Duration>,
    /// How long the strokes go on [default: until Ctrl-C]
    #[arg(long = "for", value_name = "TIME", value_parser = parse_span, requires = "every")]
    pub lasts: Option<Duration>,
    /// Decides who is hit and when [default: another one each time]
    #[arg(long, requires = "every")]
    pub seed: Option<u64>,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    let Some(every) = args.every else {
        return series::once(&app, &args.roles, Fault::Kill, ctx).await;
    };
    let schedule = series::schedule(args.roles, every, args.lasts, args.seed);
    series::run(&app, &schedule, Fault::Kill, ctx).await
}
