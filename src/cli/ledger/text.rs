//! A ledger in words.

use std::fmt::Write as _;

use crate::api::types::{LedgerEvent, LedgerOutage, LedgerReport};
use crate::cli::table::{row, table};
use crate::model::ServiceName;

/// One line for what happened on the way.
pub fn happened(service: &ServiceName, event: &LedgerEvent) -> String {
    match event {
        LedgerEvent::Interrupted { why } => format!("interrupted: {why}"),
        LedgerEvent::Resumed(outage) => match outage.master {
            Some(master) => {
                format!("{} is master now, {} without an acknowledgement", service.instance(master), lasted(outage))
            }
            None => format!("connected again, {} without an acknowledgement", lasted(outage)),
        },
        _ => String::new(),
    }
}

pub fn report(service: &ServiceName, report: &LedgerReport) -> String {
    let count = |name: &str, count: u64, note: &str| row([name, &count.to_string(), note]);
    let mut rows = vec![
        count("written", report.written, if report.full { "the ledger is full" } else { "" }),
        count("acknowledged", report.acknowledged, ""),
        count("refused", report.refused, "answered with an error"),
        count("unanswered", report.unanswered, "neither acknowledged nor lost"),
        count("present", report.present, "found at the end"),
        count("lost", report.lost, "acknowledged and not found"),
    ];
    rows.retain(|row| row[0] != "refused" || row[1] != "0");
    let mut text = table(&rows);
    if !report.outages.is_empty() {
        let _ = write!(text, "\n\n{}", outages(service, report));
    }
    text
}

fn outages(service: &ServiceName, report: &LedgerReport) -> String {
    let head = row(["outage at", "lasted", "because", "acknowledged before", "of these lost"]);
    let line = |outage: &LedgerOutage| {
        let failover = report.failovers.iter().find(|one| Some(one.epoch) == outage.epoch);
        let counted = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
        vec![
            format!("{:.1} s", outage.began_ms / 1000.0),
            lasted(outage),
            because(service, outage),
            counted(failover.map(|one| one.writes.acknowledged)),
            counted(failover.map(|one| one.writes.lost)),
        ]
    };
    let rows: Vec<_> = std::iter::once(head).chain(report.outages.iter().map(line)).collect();
    let more = report.outages_in_all - report.outages.len() as u64;
    let more = if more > 0 { format!("\n… and {more} more") } else { String::new() };
    table(&rows) + &more
}

fn because(service: &ServiceName, outage: &LedgerOutage) -> String {
    match (outage.epoch, outage.master) {
        (Some(epoch), Some(master)) => format!("failover to {} (epoch {epoch})", service.instance(master)),
        _ => "the connection was cut".to_owned(),
    }
}

fn lasted(outage: &LedgerOutage) -> String {
    outage.lasted_ms.map_or_else(|| "to the end".to_owned(), |ms| format!("{ms:.0} ms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_tells_counts_and_outages() {
        let db = "db".parse().unwrap();
        let told: LedgerReport = serde_json::from_value(serde_json::json!({
            "lasted_ms": 30_000.0, "written": 40_212, "acknowledged": 40_210, "refused": 0, "unanswered": 2,
            "present": 40_209, "lost": 3, "lost_numbers": ["20120", "20122-20123"], "outages_in_all": 3,
            "outages": [
                {"began_ms": 9412.4, "lasted_ms": 61.3, "epoch": 4, "master": 1},
                {"began_ms": 12_000.0, "lasted_ms": 3.0},
                {"began_ms": 29_990.0, "lasted_ms": null},
            ],
            "failovers": [{"epoch": 4, "acknowledged": 20_124, "lost": 3}],
        }))
        .unwrap();
        insta::assert_snapshot!(report(&db, &told), @r"
        written       40212
        acknowledged  40210
        unanswered    2      neither acknowledged nor lost
        present       40209  found at the end
        lost          3      acknowledged and not found

        outage at  lasted      because                     acknowledged before  of these lost
        9.4 s      61 ms       failover to db.1 (epoch 4)  20124                3
        12.0 s     3 ms        the connection was cut      -                    -
        30.0 s     to the end  the connection was cut      -                    -
        ");
        let resumed = LedgerEvent::Resumed(told.outages[0].clone());
        assert_eq!(happened(&db, &resumed), "db.1 is master now, 61 ms without an acknowledgement");
    }
}
