//! How long nothing is acknowledged: kill, hang and switchover of every row.

use serde_json::{Value, json};

use crate::rows::{LIMIT, Row};
use crate::stage::{Fault, Stage};
use crate::support::platform::Platform;
use crate::support::statistics::{Series, rounds, save};
use crate::verdict;

/// True when every target is met.
pub fn measure(platform: &Platform, words: &[String]) -> bool {
    println!(
        "{:<28}{:>5}{:>10}{:>9}{:>9}{:>7}{:>14}{:>7}  target (median/p95)",
        "fault", "runs", "median ms", "p95", "max", "lost", "acknowledged", "stray"
    );
    let results: Vec<Value> = Row::wanted(words).into_iter().flat_map(|row| of_row(platform, row)).collect();
    save(
        "failover",
        &json!({
            "what": "kill, hang: from just before the Docker call to the first acknowledged write on a connection \
                     made after it, through the service's address; switchover: from the last acknowledged write \
                     before to the first after",
            "compared_with": "by hand: Redis 43 (kill), 292 (hang), 13 (switchover), MariaDB 102, 374, 49, \
                              PostgreSQL 163, 455 ms; none over 2 s",
            "limit_ms": LIMIT,
            "faults": results,
        }),
    );
    results.iter().all(|result| result["verdict"] != "missed")
}

fn of_row(platform: &Platform, row: &Row) -> Vec<Value> {
    let stage = match Stage::set(platform, row) {
        Ok(stage) => stage,
        Err(why) => return vec![verdict::skipped(&row.name(), &why)],
    };
    let faults = [
        ("kill", Fault::Kill, row.targets.kill),
        ("hang", Fault::Hang, row.targets.hang),
        ("switchover", Fault::Switchover, row.targets.switchover.map(|median| (median, LIMIT))),
    ];
    let results = faults.map(|(name, fault, target)| of_fault(&stage, row, name, fault, target));
    stage.leave();
    results.into()
}

fn of_fault(stage: &Stage<'_>, row: &Row, name: &str, fault: Fault, target: Option<(f64, f64)>) -> Value {
    let title = format!("{} {name}", row.name());
    let (mut times, mut acknowledged, mut lost, mut stray) = (Series::default(), 0, 0, 0);
    for round in 0..rounds(20) {
        let run = stage.run(fault, format!("ledger_{name}_{round}"));
        times.push(run.ms);
        acknowledged += run.acknowledged;
        lost += run.lost;
        stray += run.stray;
    }
    let (median, p95, max) = (times.median(), times.quantile(0.95), times.max());
    let wanted = target.map_or_else(|| "none".to_owned(), |(median, p95)| format!("{median:.0}/{p95:.0}"));
    // Nobody fails in a switchover, so nothing may be lost.
    let may_lose = if fault == Fault::Switchover { Some(0) } else { row.may_lose };
    let in_time = max <= LIMIT && target.is_none_or(|target| median <= target.0 && p95 <= target.1);
    let met = in_time && stray == 0 && may_lose.is_none_or(|each| lost <= each * times.len());
    let verdict = verdict::of(met);
    println!(
        "{title:<28}{:>5}{median:>10.0}{p95:>9.0}{max:>9.0}{lost:>7}{acknowledged:>14}{stray:>7}  {wanted} {verdict}",
        times.len()
    );
    json!({
        "fault": title, "first_write": times.json(), "acknowledged": acknowledged, "lost": lost, "stray": stray,
        "target_median_ms": target.map(|target| target.0), "target_p95_ms": target.map(|target| target.1),
        "may_lose_per_failover": may_lose, "verdict": verdict,
    })
}
