//! What it costs to have a write acknowledged when a slave has it: acknowledged writes per second
//! of each database with and without, in turns, each client with one write under way at a time.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::rows::{Row, Targets};
use crate::stage::{Stage, warm};
use crate::support::choice::chosen;
use crate::support::ledger::Writer;
use crate::support::pause;
use crate::support::platform::Platform;
use crate::support::statistics::{Series, rounds, save};

/// Name, without and with the wait for a slave.
const PAIRS: [(&str, &str, &str); 3] =
    [("redis", "async", "sync"), ("mysql", "async", "semisync"), ("postgresql", "async", "sync")];
const CLIENTS: [usize; 3] = [1, 8, 32];
/// How long is counted each time.
const WINDOW: Duration = Duration::from_secs(2);

/// True: what it costs has no target.
pub fn measure(platform: &Platform, words: &[String]) -> bool {
    println!(
        "{:<12}{:>9}{:>9}{:>14}{:>13}{:>8}",
        "writes/s", "clients", "windows", "asynchronous", "synchronous", "ratio"
    );
    let pairs = chosen(&PAIRS, words, |(kind, ..)| (*kind).to_owned());
    let results: Vec<Value> = pairs.into_iter().flat_map(|pair| of_pair(platform, pair)).collect();
    save(
        "replication",
        &json!({
            "what": "acknowledged writes per second through the service's address, medians of windows of 2 s",
            "compared_with": "the same service with replication: async, in turns",
            "rows": results,
        }),
    );
    true
}

fn of_pair(platform: &Platform, (kind, without, with): &(&'static str, &'static str, &'static str)) -> Vec<Value> {
    let stages = [without, with].map(|replication| {
        let row = Row { kind, replication, targets: Targets::default(), may_lose: None };
        Stage::set(platform, &row).unwrap()
    });
    let results = CLIENTS.map(|clients| of_clients(kind, &stages, clients));
    stages.into_iter().for_each(Stage::leave);
    results.into()
}

fn of_clients(kind: &str, stages: &[Stage<'_>; 2], clients: usize) -> Value {
    let mut rates = [Series::default(), Series::default()];
    for round in 0..rounds(5) {
        for (rates, stage) in rates.iter_mut().zip(stages) {
            rates.push(rate(stage, &format!("rate_{clients}_{round}"), clients));
        }
    }
    let windows = rates[0].len();
    let [without, with] = rates.map(|rates| rates.median());
    let ratio = with / without;
    println!("{kind:<12}{clients:>9}{windows:>9}{without:>14.0}{with:>13.0}{ratio:>8.2}");
    json!({
        "kind": kind, "clients": clients, "windows": windows, "asynchronous_per_second": without,
        "synchronous_per_second": with, "ratio": ratio,
    })
}

/// Acknowledged writes per second of that many clients.
fn rate(stage: &Stage<'_>, key: &str, clients: usize) -> f64 {
    let clients: Vec<_> = (0..clients).map(|client| warm(&stage.new_ledger(format!("{key}_{client}")))).collect();
    let count = || clients.iter().map(Writer::acknowledged).sum::<usize>();
    let (began, before) = (Instant::now(), count());
    pause(WINDOW);
    let rate = (count() - before) as f64 / began.elapsed().as_secs_f64();
    clients.into_iter().for_each(|client| drop(client.stop()));
    rate
}
