//! `dotcloud dlogs`: the log of one deployment.

use std::collections::VecDeque;

use crate::api::types::LogRecord;
use crate::model::AppName;

use super::{CliError, Context, follow, line};

/// Print the log of a deployment, and follow it while it goes on
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// An id of `dotcloud dlist`, or `latest`
    #[arg(default_value = "latest", value_parser = id)]
    pub deployment: String,
    /// Only lines about this service or instance; does not follow
    #[arg(value_name = "SERVICE[.N]")]
    pub filter: Option<String>,
    /// Print what is there and return
    #[arg(short = 'N', long)]
    pub no_follow: bool,
    /// Only the last lines; does not follow
    #[arg(short = 'n', long, value_name = "COUNT")]
    pub lines: Option<usize>,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    if args.no_follow || args.filter.is_some() || args.lines.is_some() {
        return once(&app, &args, ctx).await;
    }
    tokio::select! {
        biased;
        () = follow::interrupted() => ctx.ui.info("The deployment goes on in the background"),
        ended = follow::deployment(&app, &args.deployment, ctx) => ended?,
    }
    Ok(0)
}

async fn once(app: &AppName, args: &Args, ctx: &Context) -> Result<u8, CliError> {
    let mut stream = ctx.client.deploy_log(app.as_str(), &args.deployment, false, None).await?;
    let mut kept = VecDeque::new();
    while let Some(record) = stream.next::<LogRecord>().await? {
        if args.filter.as_deref().is_none_or(|filter| concerns(&record, filter)) {
            kept.push_back(record);
        }
        if args.lines.is_some_and(|lines| kept.len() > lines) {
            kept.pop_front();
        }
    }
    kept.iter().for_each(|record| line::print(record, ctx));
    Ok(0)
}

/// `www` concerns its instances, `www.0` itself and what concerns the service as a whole.
fn concerns(record: &LogRecord, filter: &str) -> bool {
    let (service, instance) = match filter.split_once('.') {
        Some((service, instance)) => (service, instance.parse::<u32>().ok()),
        None => (filter, None),
    };
    record.service.as_deref() == Some(service)
        && (instance.is_none() || record.instance.is_none() || record.instance == instance)
}

/// Ids are part of the request's path: letters, digits, - and _.
fn id(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if fits { Ok(text.to_owned()) } else { Err("not the id of a deployment".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_keeps_what_concerns_a_service_or_an_instance() {
        let record = |service: Option<&str>, instance| LogRecord {
            created_at: None,
            service: service.map(str::to_owned),
            instance,
            process: None,
            level: None,
            message: String::new(),
            status: None,
        };
        assert!(concerns(&record(Some("www"), Some(1)), "www"));
        assert!(concerns(&record(Some("www"), Some(1)), "www.1"));
        assert!(concerns(&record(Some("www"), None), "www.1"));
        assert!(!concerns(&record(Some("www"), Some(0)), "www.1"));
        assert!(!concerns(&record(Some("db"), None), "www") && !concerns(&record(None, None), "www"));
    }
}
