//! `dotcloud activity`: what happened to an application.

use crate::api::types::ActivityRecord;

use super::dlist::moment;
use super::table::{row, table};
use super::{CliError, Context};

/// List what happened: deployments, scaling, restarts, failovers
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Of all applications
    #[arg(short, long)]
    pub all: bool,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = if args.all { None } else { Some(ctx.app()?) };
    let records = ctx.client.activity(app.as_ref().map(|app| app.as_str())).await?;
    if ctx.json {
        records.iter().for_each(|record| ctx.ui.json(record));
        return Ok(0);
    }
    let head = row(["time", "category", "action", "application.service (details)"]);
    let rows: Vec<_> = std::iter::once(head).chain(records.iter().map(line)).collect();
    ctx.ui.print(table(&rows));
    Ok(0)
}

fn line(record: &ActivityRecord) -> Vec<String> {
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let service = record.details.get("service").map(|service| format!(".{}", text(service))).unwrap_or_default();
    let shown = record.details.iter().filter(|(key, value)| *key != "service" && value.as_str() != Some(""));
    let details: Vec<String> = shown.map(|(key, value)| format!("{key}={}", text(value))).collect();
    let details = if details.is_empty() { String::new() } else { format!(" ({})", details.join(" ")) };
    let target = format!("{}{service}{details}", record.application);
    row([&moment(&record.created_at), &record.category, &record.action, &target])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_names_its_service_and_its_details() {
        let record: ActivityRecord = serde_json::from_value(serde_json::json!({
            "created_at": "2013-01-02T03:04:05.000006Z", "category": "service", "action": "scale",
            "application": "ramen", "service": "www", "scale": "instances", "value": 3, "build": "",
        }))
        .unwrap();
        assert_eq!(line(&record), ["2013-01-02 03:04:05", "service", "scale", "ramen.www (scale=instances value=3)"]);
    }
}
