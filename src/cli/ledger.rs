//! `dotcloud ledger`: write numbered entries to a database and count the acknowledged ones that
//! are gone at the end.

mod text;

use std::time::Duration;

use crate::api::client::{ClientError, Lines};
use crate::api::types::{LedgerEvent, LedgerReport, LedgerRequest};
use crate::faults::parse_span;
use crate::model::{AppName, ServiceName};

use super::error::{CliError, Kind};
use super::{Context, follow};

/// Write numbered entries to a database and count the acknowledged ones that are lost
///
/// The entries are written through the service's stable address and with its login, as an
/// application would: one after the other, reconnecting whenever the connection is cut. Kill,
/// pause or switch the master over meanwhile. At the end, or at Ctrl-C, all entries are read
/// back. One that was acknowledged and is not there is lost; one without an answer is neither,
/// because nobody was promised anything. The entries are removed again.
///
/// The outages are the times without an acknowledgement. Each failover's receipt (`dotcloud
/// activity`) then says how many acknowledged writes it could have lost, and how many it lost.
/// Ends with 0 when none was lost and with 6 when one was.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The data service
    pub service: ServiceName,
    /// For how long, such as 30s or 10m
    #[arg(long = "for", value_name = "TIME", value_parser = parse_span, default_value = "30s")]
    pub lasts: Duration,
    /// How many clients write at the same time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub writers: u16,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    let lasts_ms = u64::try_from(args.lasts.as_millis()).unwrap_or(u64::MAX);
    let wish = LedgerRequest { lasts_ms, writers: args.writers };
    let mut events = ctx.client.ledger(app.as_str(), args.service.as_str(), &wish).await?;
    ctx.ui.info(format!("Writing numbered entries to {} for {:?}; Ctrl-C ends it earlier", args.service, args.lasts));
    let report = follow(&app, &args, &mut events, ctx).await?;
    if !ctx.json {
        ctx.ui.print(text::report(&args.service, &report));
    }
    judge(&args.service, &report, ctx)
}

/// Tells what happens until the report. The first Ctrl-C asks for it, the second leaves.
async fn follow(app: &AppName, args: &Args, events: &mut Lines, ctx: &Context) -> Result<LedgerReport, CliError> {
    let progress = ctx.ui.progress("");
    let mut interrupts = 0;
    let result = loop {
        let event = tokio::select! {
            biased;
            () = follow::interrupted() => {
                interrupts += 1;
                if interrupts > 1 {
                    break Err(interrupted());
                }
                end(app, args, ctx).await?;
                continue;
            }
            event = events.next::<LedgerEvent>() => event,
        };
        match event {
            Ok(Some(event)) => match tell(&args.service, event, &progress, ctx) {
                Some(end) => break end,
                None => continue,
            },
            Ok(None) => break Err(left(&args.service, "the daemon ended before the ledger was read")),
            Err(error @ ClientError::Lost { .. }) => break Err(left(&args.service, &super::error::chain(&error))),
            Err(error) => break Err(error.into()),
        }
    };
    progress.finish_and_clear();
    result
}

/// It may have ended by itself a moment ago.
async fn end(app: &AppName, args: &Args, ctx: &Context) -> Result<(), CliError> {
    match ctx.client.end_ledger(app.as_str(), args.service.as_str()).await {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}

/// The ledger's end, if this is it.
fn tell(
    service: &ServiceName,
    event: LedgerEvent,
    progress: &indicatif::ProgressBar,
    ctx: &Context,
) -> Option<Result<LedgerReport, CliError>> {
    if ctx.json {
        ctx.ui.json(&event);
    }
    match event {
        LedgerEvent::Report(report) => return Some(Ok(report)),
        LedgerEvent::Failed { why } => {
            return Some(Err(CliError::failed(why).hint(format!("`dotcloud info {service}` shows its members"))));
        }
        LedgerEvent::Progress { acknowledged, per_second } => {
            progress.set_message(format!("{acknowledged} writes acknowledged, {per_second} in the last second"));
        }
        LedgerEvent::Reading => progress.set_message("Reading all entries back"),
        event if !ctx.json => {
            let now = jiff::Zoned::now().strftime("%H:%M:%S%.3f").to_string();
            let line = text::happened(service, &event);
            progress.suspend(|| ctx.ui.info(format!("{now}  {line}")));
        }
        _ => {}
    }
    None
}

fn judge(service: &ServiceName, report: &LedgerReport, ctx: &Context) -> Result<u8, CliError> {
    if report.lost > 0 {
        let numbers = report.lost_numbers.join(", ");
        let text = format!("{} of {} acknowledged writes were lost: {numbers}", report.lost, report.acknowledged);
        return Err(CliError::new(Kind::WritesLost, text).hint(format!(
            "`dotcloud activity {service}` shows the failovers, `dotcloud info {service}` the last one"
        )));
    }
    ctx.ui.success(format!("None of {} acknowledged writes was lost", report.acknowledged));
    Ok(0)
}

fn interrupted() -> CliError {
    CliError::new(Kind::Interrupted, "Interrupted before the ledger was read")
        .hint("it is read and removed in the background, and `dotcloud activity` shows what it counted")
}

fn left(service: &ServiceName, why: &str) -> CliError {
    CliError::new(Kind::Unreachable, format!("The ledger has no report: {why}"))
        .hint(format!("its entries stay until the next `dotcloud ledger {service}`"))
}
