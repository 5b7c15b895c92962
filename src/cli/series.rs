//! Faults once, or as a series: one call of the daemon for each stroke, one line for each, and
//! at the end what was done.

mod tally;

use std::time::Duration;

use tokio::time::Instant;

use crate::api::client::ClientError;
use crate::api::types::{Strike, Struck};
use crate::faults::{Aim, Place, Schedule, Stroke};
use crate::model::AppName;

use super::error::{CliError, Kind, chain};
use super::{Context, follow};
use tally::Tally;

/// What is done to an instance.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    Kill,
    /// `None`: until somebody ends it.
    Pause {
        lasts: Option<Duration>,
    },
}

impl Fault {
    async fn strike(self, app: &AppName, mut strike: Strike, ctx: &Context) -> Result<Struck, ClientError> {
        match self {
            Self::Kill => ctx.client.kill(app.as_str(), &strike).await,
            Self::Pause { lasts } => {
                strike.lasts_ms = lasts.and_then(|lasts| u64::try_from(lasts.as_millis()).ok());
                ctx.client.pause(app.as_str(), &strike).await
            }
        }
    }

    fn done(self, instance: &str) -> String {
        match self {
            Self::Kill => format!("Killed {instance}"),
            Self::Pause { lasts: Some(lasts) } => format!("Paused {instance} for {lasts:?}"),
            Self::Pause { lasts: None } => format!("Paused {instance}: `dotcloud unpause {instance}` lets it go on"),
        }
    }
}

/// Hits each of the aims once.
pub async fn once(app: &AppName, aims: &[Aim], fault: Fault, ctx: &Context) -> Result<u8, CliError> {
    for aim in aims {
        let strike = Strike { role: aim.to_string(), draw: fastrand::u32(..), ..Strike::default() };
        let struck = fault.strike(app, strike, ctx).await?;
        if ctx.json {
            ctx.ui.json(&struck);
            continue;
        }
        ctx.ui.success(fault.done(&struck.instance));
        ctx.ui.info(format!("`dotcloud info {}` shows what became of it", aim.service));
    }
    Ok(0)
}

/// A series; without a seed, one that is short enough to be typed again.
pub fn schedule(aims: Vec<Aim>, every: Duration, lasts: Option<Duration>, seed: Option<u64>) -> Schedule {
    Schedule { aims, every, lasts, seed: seed.unwrap_or_else(|| fastrand::u64(1..1_000_000)) }
}

/// Carries a series out, to its end or to Ctrl-C. A stroke that hits nobody is part of it.
///
/// # Errors
/// An aim can never mean anybody: nothing was done. Or the application went away, or nobody
/// answers any more: no further stroke could hit anybody.
pub async fn run(app: &AppName, schedule: &Schedule, fault: Fault, ctx: &Context) -> Result<u8, CliError> {
    check(app, &schedule.aims, ctx).await?;
    ctx.ui.info(format!("Every {:?}, with seed {}", schedule.every, schedule.seed));
    let mut tally = Tally::new(schedule.seed);
    let ended = tokio::select! {
        biased;
        () = follow::interrupted() => None,
        ended = strokes(app, schedule, fault, &mut tally, ctx) => Some(ended),
    };
    tally.print(ctx);
    match ended {
        Some(ended) => ended.map(|()| 0),
        // An endless series has no other end.
        None if schedule.lasts.is_none() => Ok(0),
        None => Ok(Kind::Interrupted.exit_code()),
    }
}

/// Slips of the keyboard are told before anything is hit.
async fn check(app: &AppName, aims: &[Aim], ctx: &Context) -> Result<(), CliError> {
    let services = ctx.client.services(app.as_str()).await?;
    for aim in aims {
        let service = services.iter().find(|service| service.name == aim.service.as_str());
        let service = service.ok_or_else(|| {
            CliError::usage(format!("{app} has no service {}.", aim.service)).hint("`dotcloud info` shows them")
        })?;
        match aim.place {
            Place::Number(number) if number >= service.instance_count => {
                let text = format!("{} has {} instances, numbered from 0.", service.name, service.instance_count);
                return Err(CliError::usage(text));
            }
            Place::Master | Place::Slave if service.group.is_none() => {
                return Err(CliError::usage(format!("{} has no roles: only data services have.", service.name)));
            }
            _ => {}
        }
    }
    Ok(())
}

async fn strokes(
    app: &AppName,
    schedule: &Schedule,
    fault: Fault,
    tally: &mut Tally,
    ctx: &Context,
) -> Result<(), CliError> {
    let began = Instant::now();
    for stroke in schedule.strokes() {
        tokio::time::sleep_until(began + stroke.at).await;
        match fault.strike(app, strike(schedule, &stroke), ctx).await {
            Ok(struck) => tally.add(&stroke, Ok(struck.instance), ctx),
            Err(error) => {
                tally.add(&stroke, Err(chain(&error)), ctx);
                check_future(app, error, ctx).await?;
            }
        }
    }
    Ok(())
}

/// Whether a later stroke may hit somebody after one that failed.
async fn check_future(app: &AppName, error: ClientError, ctx: &Context) -> Result<(), CliError> {
    match error {
        // An instance that is not there may come back.
        error if error.is_not_found() => match ctx.client.app(app.as_str()).await {
            Err(error) if error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        },
        // A daemon that was killed is started by the next stroke.
        ClientError::Lost { .. } => Ok(()),
        error => Some(CliError::from(error)).filter(|error| error.kind == Kind::Unreachable).map_or(Ok(()), Err),
    }
}

fn strike(schedule: &Schedule, stroke: &Stroke) -> Strike {
    Strike {
        role: stroke.aim.to_string(),
        draw: stroke.draw,
        lasts_ms: None,
        seed: Some(schedule.seed),
        stroke: Some(stroke.number),
    }
}
