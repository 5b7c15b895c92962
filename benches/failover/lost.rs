//! Counts alone: the master is killed again and again under the load of several clients.

use serde_json::{Value, json};

use crate::rows::Row;
use crate::stage::{Fault, Stage, warm};
use crate::support::platform::Platform;
use crate::support::statistics::{rounds, save};
use crate::support::wait_for;
use crate::verdict;

/// Clients that write at the same time.
const CLIENTS: usize = 4;

/// True when no row lost more than it may.
pub fn measure(platform: &Platform, words: &[String]) -> bool {
    println!("{:<28}{:>6}{:>8}{:>14}", "kills under load", "kills", "lost", "acknowledged");
    let results: Vec<Value> = Row::wanted(words).into_iter().map(|row| of_row(platform, row)).collect();
    save("lost", &json!({ "what": "acknowledged writes that are gone after kills of the master", "rows": results }));
    results.iter().all(|result| result["verdict"] != "missed")
}

fn of_row(platform: &Platform, row: &Row) -> Value {
    let stage = match Stage::set(platform, row) {
        Ok(stage) => stage,
        Err(why) => return verdict::skipped(&row.name(), &why),
    };
    let kills = rounds(50);
    let (mut acknowledged, mut lost, mut most) = (0, 0, 0);
    for round in 0..kills {
        let (writes, gone) = one(&stage, round);
        acknowledged += writes;
        lost += gone;
        most = most.max(gone);
    }
    let met = row.may_lose.is_none_or(|each| lost <= each * kills);
    println!("{:<28}{kills:>6}{lost:>8}{acknowledged:>14}  {}", row.name(), verdict::of(met));
    stage.leave();
    json!({
        "fault": row.name(), "kills": kills, "clients": CLIENTS, "lost": lost, "most_in_one_kill": most,
        "acknowledged": acknowledged, "may_lose_per_failover": row.may_lose, "verdict": verdict::of(met),
    })
}

/// Acknowledged and lost writes around one kill.
fn one(stage: &Stage<'_>, round: usize) -> (usize, usize) {
    let ledgers: Vec<_> =
        (0..CLIENTS).map(|client| stage.new_ledger(format!("ledger_lost_{round}_{client}"))).collect();
    let writers: Vec<_> = ledgers.iter().map(warm).collect();
    let old = stage.master();
    let before = std::time::Instant::now();
    stage.hit(Fault::Kill, &old);
    for writer in &writers {
        let patience = std::time::Duration::from_secs(30);
        wait_for("everybody writes again", patience, || writer.first_on_connection_after(before));
    }
    stage.platform.settle(&stage.app);
    let counts = ledgers.iter().zip(writers).map(|(ledger, writer)| {
        let acknowledged = writer.stop();
        (acknowledged.len(), ledger.lost(&acknowledged))
    });
    counts.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}
