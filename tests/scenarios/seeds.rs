//! Many seeds, and the proof that they would notice.

use std::collections::{BTreeMap, BTreeSet};

use dotcloud_local::failover::edges::{EDGES, Edge};

use crate::servers::Model;
use crate::simulator::{Outcome, Promise, Sabotage, Simulator};
use crate::stories;

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

/// The edges of one run.
type Edges = BTreeSet<(String, String)>;

/// Every seed keeps every promise; returns the edges that were taken.
fn all_keep_their_promises(model: Model) -> Edges {
    let mut edges = Edges::new();
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

/// With servers of every kind; and every edge of the table is taken by a seed or by one of the
/// two stories that seldom happen by chance.
#[test]
fn every_seed_keeps_its_promises_and_no_edge_is_there_for_nothing() {
    let mut taken: Edges = [Model::Copying, Model::Logged, Model::Guarded, Model::Fronted]
        .into_iter()
        .flat_map(all_keep_their_promises)
        .collect();
    taken.extend(stories::lost_store().outcome.edges);
    taken.extend(stories::death_while_opened_again().outcome.edges);
    let is_taken = |edge: &&Edge| taken.contains(&(edge.from.name().to_owned(), edge.to.name().to_owned()));
    let never: Vec<_> = EDGES.iter().filter(|edge| !is_taken(edge)).collect();
    assert!(never.is_empty(), "never taken: {never:#?}");
}

/// Takes something out of the surroundings and returns which promises that breaks, with the first
/// seed of the 200 that shows it.
fn broken_by(model: Model, sabotage: Sabotage) -> BTreeMap<Promise, u64> {
    let mut broken = BTreeMap::new();
    for (seed, outcome) in run(200, model, sabotage) {
        if let Some(one) = outcome.broken {
            let first = broken.entry(one.promise).or_insert(seed);
            *first = seed.min(*first);
        }
    }
    println!("{sabotage:?} with {model:?}: first seeds {broken:?}");
    broken
}

#[test]
fn with_the_fence_taken_out_some_seed_has_two_masters() {
    let broken = broken_by(Model::Logged, Sabotage { no_fence: true, ..Sabotage::default() });
    assert!(broken.contains_key(&Promise::OneMaster), "{broken:?}");
}

#[test]
fn with_the_drain_taken_out_some_seed_promotes_a_slave_that_has_not_read_everything() {
    let broken = broken_by(Model::Copying, Sabotage { no_drain: true, ..Sabotage::default() });
    assert!(broken.contains_key(&Promise::Drained), "{broken:?}");
}

#[test]
fn with_the_durable_epoch_taken_out_some_seed_goes_back_to_an_older_master() {
    let broken = broken_by(Model::Logged, Sabotage { no_disk: true, ..Sabotage::default() });
    let backwards = [Promise::Epochs, Promise::OldMaster, Promise::Acknowledged];
    assert!(backwards.iter().any(|promise| broken.contains_key(promise)), "{broken:?}");
}

#[test]
fn with_the_durable_doubt_taken_out_some_seed_loses_acknowledged_writes() {
    for model in [Model::Guarded, Model::Fronted] {
        let broken = broken_by(model, Sabotage { no_doubt: true, ..Sabotage::default() });
        assert!(broken.contains_key(&Promise::Acknowledged), "{model:?}: {broken:?}");
    }
}
