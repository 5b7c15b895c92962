//! 30 s of load from 32 connections while the application is pushed and scaled, then while an
//! instance is killed every 3 s. Half of the requests are POSTs, one in ten takes 3 s.

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::load::Mix;
use support::platform::{Platform, copy_of};
use support::statistics::{Series, save};
use support::traffic::{Report, during_changes, during_kills};

const MIX: Mix = Mix { connections: 32, slow_every: 10, slow_seconds: 3 };
const TIME: Duration = Duration::from_secs(30);

fn main() {
    let platform = Platform::new();
    let code = copy_of("samples/counter");
    platform.up(code.path(), "counter");
    println!(
        "{:<22}{:>10}{:>10}{:>12}{:>12}{:>8}{:>11}{:>9}",
        "during", "requests", "median ms", "p95", "failed GET", "POST", "unexpected", "twice"
    );
    let changes = during_changes(&platform, code.path(), "counter", MIX, TIME);
    let changes = row("push, scale 1->4->2", &changes, changes.failed_writes());
    platform.scale("counter", &["www=4"]);
    let kills = during_kills(&platform, "counter", MIX, TIME);
    // A write that was under way on a killed instance may fail; nobody can say whether it was done.
    let kills = row("a kill every 3 s", &kills, kills.writes_failed_without_a_kill());
    let met = changes["met"] == true && kills["met"] == true;
    save(
        "proxy_load",
        &json!({
            "what": "32 connections for 30 s, half POST, one request in ten takes 3 s",
            "compared_with": "0 failed and 0 sent twice; with kills 0 failed GETs, POSTs fail only when under way on the victim",
            "changes": changes, "kills": kills,
        }),
    );
    assert!(met, "a request failed that should not have, or was sent twice");
}

fn row(name: &str, report: &Report, unexpected_writes: Vec<String>) -> Value {
    let mut quick = Series::default();
    for sample in report.samples.iter().filter(|sample| !sample.slow) {
        quick.push((sample.ended - sample.started).as_secs_f64() * 1000.0);
    }
    let (reads, writes) = (report.failed_reads(), report.failed_writes());
    println!(
        "{name:<22}{:>10}{:>10.0}{:>12.0}{:>12}{:>8}{:>11}{:>9}",
        report.samples.len(),
        quick.median(),
        quick.quantile(0.95),
        reads.len(),
        writes.len(),
        unexpected_writes.len(),
        report.twice.len()
    );
    json!({
        "requests": report.samples.len(), "arrived_writes": report.arrived, "kills": report.kills.len(),
        "quick_median_ms": quick.median(), "quick_p95_ms": quick.quantile(0.95),
        "failed_reads": reads, "failed_writes": writes, "unexpected_failed_writes": unexpected_writes, "sent_twice": report.twice,
        "met": reads.is_empty() && unexpected_writes.is_empty() && report.twice.is_empty(),
    })
}
