//! `dotcloud race`: update one counter from many clients at once and count what is left of it.

pub mod connection;
pub mod load;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Uri;
use uuid::Uuid;

use crate::api::types::Service;
use crate::race::{Expectation, Observation, Outcome, Report};

use super::{CliError, Context};
use connection::Target;
use load::Load;

/// How often the live line is brought up to date.
const TICK: Duration = Duration::from_millis(100);

/// Send concurrent updates to a counter and count the lost ones
///
/// Every update is a POST that is sent exactly once, through the proxy, with its own
/// X-Request-Id. The counter is read before and after; `lost` is what was acknowledged but is
/// not in it. Nobody else should use the counter meanwhile.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The web service
    pub service: String,
    /// Where an update is POSTed, for example /naive
    pub path: String,
    /// Where the counter is read: a number, or JSON with a number as `value`
    #[arg(long, value_name = "PATH")]
    pub reads: String,
    /// How many updates to send
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub requests: u64,
    /// How many of them at a time
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency: u16,
    /// Exit with 1 unless `none` or `some` of the acknowledged updates were lost
    #[arg(long, value_name = "none|some")]
    pub expect: Option<Expectation>,
    /// How long one request may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
}

/// Runs a race and prints its report.
///
/// # Errors
/// The service has no address, the counter cannot be read, or the expectation is not met.
pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    let service = ctx.client.service(app.as_str(), &args.service).await?;
    let load = args.load(target(&service)?);
    let initial = read(&load, &args.reads).await?;
    ctx.ui.info(format!(
        "Sending {} POST {} to {}, {} at a time",
        args.requests, args.path, load.target.host, args.concurrency
    ));
    let outcomes = fire(&load, ctx).await;
    let last = read(&load, &args.reads).await?;
    let report = Report::new(&Observation { initial, last, outcomes: &outcomes });
    if ctx.json {
        ctx.ui.json(&report);
    } else {
        ctx.ui.print(report.to_string().trim_end());
    }
    args.judge(&report)
}

async fn read(load: &Load, path: &str) -> Result<i64, CliError> {
    let value = load::read_value(&load.target, path, load.patience).await;
    value.map_err(|error| CliError::because("cannot read the counter", &error))
}

/// Sends everything, with a live line on a terminal.
async fn fire(load: &Load, ctx: &Context) -> Vec<Outcome> {
    let done = Arc::new(AtomicU64::new(0));
    let bar = ctx.ui.progress("");
    let mut firing = std::pin::pin!(load::fire(load, Arc::clone(&done)));
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            outcomes = &mut firing => {
                bar.finish_and_clear();
                return outcomes;
            }
            _ = tick.tick() => {
                bar.set_message(format!("{} of {}", done.load(Ordering::Relaxed), load.requests));
            }
        }
    }
}

/// The proxy's address on this machine, and the name by which it knows the service.
fn target(service: &Service) -> Result<Target, CliError> {
    let urls: Vec<Uri> = service.urls.iter().filter_map(|url| url.parse().ok()).collect();
    let none = || CliError::usage(format!("service {} has no web address: a race needs one", service.name));
    let literal = |url: &Uri| url.host().and_then(|host| host.parse::<std::net::IpAddr>().ok());
    let named = urls.iter().find(|url| url.host().is_some() && literal(url).is_none()).ok_or_else(none)?;
    let port = named.port_u16().unwrap_or(80);
    let authority = named.authority().ok_or_else(none)?.to_string();
    // `*.localhost` is not resolved by every system's resolver; the front is on this machine.
    Ok(Target { addr: SocketAddr::from(([127, 0, 0, 1], port)), host: authority })
}

impl Args {
    fn load(&self, target: Target) -> Load {
        Load {
            target,
            path: self.path.clone(),
            requests: self.requests,
            concurrency: usize::from(self.concurrency),
            patience: Duration::from_secs(self.timeout),
            run: Uuid::new_v4().simple().to_string(),
        }
    }

    fn judge(&self, report: &Report) -> Result<u8, CliError> {
        match self.expect {
            Some(expectation) if !report.meets(expectation) => {
                let wanted = match expectation {
                    Expectation::None => "expected that no update is lost",
                    Expectation::Some => "expected that updates are lost",
                };
                Err(CliError::failed(format!("{wanted}; {}", report.verdict())))
            }
            _ => Ok(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(urls: &[&str]) -> Service {
        serde_json::from_value(serde_json::json!({ "name": "www", "urls": urls })).unwrap()
    }

    #[test]
    fn the_proxy_is_dialled_on_loopback_by_the_services_name() {
        let target = target(&service(&["http://127.0.0.1:8800", "http://www.counter.localhost:8800"])).unwrap();
        assert_eq!(
            (target.addr.to_string().as_str(), target.host.as_str()),
            ("127.0.0.1:8800", "www.counter.localhost:8800")
        );
    }

    #[test]
    fn a_data_service_cannot_be_raced() {
        assert!(target(&service(&[])).unwrap_err().message.contains("no web address"));
    }
}
