//! `dotcloud activity`: what happened to an application.

use crate::api::types::ActivityRecord;

use super::dlist::moment;
use super::table::{row, size, table};
use super::{CliError, Context, receipt};
use crate::model::ServiceName;

/// List what happened: deployments, scaling, restarts, failovers
///
/// Below each failover stands its receipt: when the old master was fenced, the new one promoted
/// and written to, and the old one in step again, in milliseconds since the detection; why this
/// member was chosen; and, when a ledger ran over it, how many acknowledged writes were lost.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Of this service alone
    pub service: Option<ServiceName>,
    /// Of all applications
    #[arg(short, long)]
    pub all: bool,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = if args.all { None } else { Some(ctx.app()?) };
    let mut records = ctx.client.activity(app.as_ref().map(|app| app.as_str())).await?;
    if let Some(service) = &args.service {
        records.retain(|record| concerns(record, service));
        if let Some(app) = app.as_ref().filter(|_| records.is_empty()) {
            // Nothing has happened to it yet, or there never was such a service.
            ctx.client.service(app.as_str(), service.as_str()).await?;
        }
    }
    if ctx.json {
        records.iter().for_each(|record| ctx.ui.json(record));
        return Ok(0);
    }
    let head = row(["time", "category", "action", "application.service (details)"]);
    let rows: Vec<_> = std::iter::once(head).chain(records.iter().map(line)).collect();
    ctx.ui.print(with_receipts(&table(&rows), &records));
    Ok(0)
}

/// It happened to the service or to one of its instances.
fn concerns(record: &ActivityRecord, service: &ServiceName) -> bool {
    let named = record.details.get("service").and_then(serde_json::Value::as_str).unwrap_or_default();
    named.split('.').next() == Some(service.as_str())
}

/// Puts what a failover's receipt says below its line.
fn with_receipts(table: &str, records: &[ActivityRecord]) -> String {
    let mut lines = table.lines();
    let mut text: Vec<String> = lines.next().map(str::to_owned).into_iter().collect();
    for (line, record) in lines.zip(records) {
        text.push(line.to_owned());
        let steps = record.receipt.iter().flat_map(receipt::steps);
        text.extend(steps.map(|step| format!("    {step}")));
    }
    text.join("\n")
}

fn line(record: &ActivityRecord) -> Vec<String> {
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let service = record.details.get("service").map(|service| format!(".{}", text(service))).unwrap_or_default();
    let shown = record.details.iter().filter(|(key, value)| *key != "service" && value.as_str() != Some(""));
    let is_memory = record.details.get("scale").is_some_and(|scale| scale == "memory");
    let shown = shown.map(|(key, value)| match text(value).parse() {
        Ok(bytes) if is_memory && key == "value" => format!("{key}={}", size(bytes).replace(' ', "")),
        _ => format!("{key}={}", text(value)),
    });
    let details: Vec<String> = shown.collect();
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
        let mut memory = record;
        memory.details.insert("scale".into(), "memory".into());
        memory.details.insert("value".into(), "335544320".into());
        assert_eq!(line(&memory)[3], "ramen.www (scale=memory value=320.0M)");
    }

    #[test]
    fn failover_has_its_receipt_below_it() {
        let failover = serde_json::json!({
            "service": "db", "detected_at": "2013-01-02T03:04:05.000006Z", "cause": "container died", "old_master": 0,
            "new_master": 1, "epoch": 3, "fenced_ms": 3.2, "promoted_ms": 21.7, "opened_ms": 22.4,
            "first_write_ms": 31.0, "resynchronised_ms": 412.0, "acknowledged": 20_124, "lost": 2,
            "because": "db.1 is the most advanced replica, at 9001",
        });
        let record = |action, receipt| -> ActivityRecord {
            serde_json::from_value(serde_json::json!({
                "created_at": "2013-01-02T03:04:05.000006Z", "category": "failover", "action": action,
                "application": "ramen", "service": "db", "from": "db.0", "to": "db.1", "receipt": receipt,
            }))
            .unwrap()
        };
        let records = [record("failover", failover), record("older", serde_json::Value::Null)];
        let rows: Vec<_> = std::iter::once(row(["time", "category", "action", "application.service (details)"]))
            .chain(records.iter().map(line))
            .collect();
        insta::assert_snapshot!(with_receipts(&table(&rows), &records), @r"
        time                 category  action    application.service (details)
        2013-01-02 03:04:05  failover  failover  ramen.db (from=db.0 to=db.1)
            fenced 3 ms, promoted 22 ms, opened 22 ms, first write 31 ms, db.0 resynchronised 412 ms
            chosen because db.1 is the most advanced replica, at 9001
            2 of 20124 acknowledged writes lost, by a ledger
        2013-01-02 03:04:05  failover  older     ramen.db (from=db.0 to=db.1)
        ");
    }
}
