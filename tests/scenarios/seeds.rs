//! Many seeds, and the proof that they would notice.

use std::collections::{BTreeMap, BTreeSet};

use dotcloud_local::failover::edges::EDGES;

use crate::servers::Model;
use crate::simulator::{Outcome, Promise, Sabotage, Simulator};

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Runs the seeds on all processors. More with `SEEDS`, from `FIRST_SEED` on.
fn run(count: u64, model: Model, sabotage: Sabotage) -> Vec<(u64, Outcome)> {
    let first = number("FIRST_SEED", 0);
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    std::thread::scope(|scope| {
        let worker = |nth: u64| {
            let seeds = (first..first + count).filter(move |seed| seed % workers == nth);
            scope.spawn(move || seeds.map(|seed| (seed, Simulator::run(seed, model, sabotage))).collect::<Vec<_>>())
        };
        let running: Vec<_> = (0..workers).map(worker).collect();
        running.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

/// Every seed keeps every promise; returns the edges that were taken.
fn all_keep_their_promises(model: Model) -> BTreeSet<(String, String)> {
    let mut edges = BTreeSet::new();
    let (mut failovers, mut writes, mut broken) = (0, 0, BTreeMap::new());
    let mut story = None;
    for (seed, outcome) in run(number("SEEDS", 200), model, Sabotage::default()) {
        if let Some(one) = outcome.broken {
            story.get_or_insert(format!("seed {seed}: {}\n{}", one.how, outcome.story.join("\n")));
            broken.insert(seed, one.promise);
        }
        edges.extend(outcome.edges);
        failovers += outcome.failovers;
        writes += outcome.writes;
    }
    println!("{model:?}: {failovers} failovers, {writes} writes");
    assert!(broken.is_empty(), "{}\n{broken:?}", story.unwrap_or_default());
    edges
}

#[test]
fn every_seed_keeps_its_promises_where_slaves_copy_first() {
    all_keep_their_promises(Model::Copying);
}

#[test]
fn every_seed_keeps_its_promises_where_nobody_waits_for_slaves() {
    all_keep_their_promises(Model::Logged);
}

#[test]
fn every_seed_keeps_its_promises_where_writes_wait_for_a_slave() {
    all_keep_their_promises(Model::Guarded);
}
