//! Many seeds, and the proof that they would notice.

use std::collections::HashSet;

use dotcloud_local::failover::Phase;

use crate::simulator::{Outcome, Sabotage, Simulator};

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Runs the seeds on all processors. More with `FAILOVER_SEEDS`, from `FAILOVER_SEED` on.
fn run(count: u64, sabotage: Sabotage) -> Vec<(u64, Outcome)> {
    let first = number("FAILOVER_SEED", 0);
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    std::thread::scope(|scope| {
        let worker = |nth: u64| {
            let seeds = (first..first + count).filter(move |seed| seed % workers == nth);
            scope.spawn(move || seeds.map(|seed| (seed, Simulator::run(seed, sabotage))).collect::<Vec<_>>())
        };
        let running: Vec<_> = (0..workers).map(worker).collect();
        running.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

#[test]
fn every_seed_keeps_one_master_and_loses_nothing_a_slave_had() {
    let mut phases: HashSet<Phase> = HashSet::new();
    let (mut failovers, mut writes) = (0, 0);
    for (seed, outcome) in run(number("FAILOVER_SEEDS", 200), Sabotage::default()) {
        if let Some(broken) = outcome.broken {
            panic!("seed {seed}: {broken}\n{}", outcome.story.join("\n"));
        }
        phases.extend(outcome.phases);
        failovers += outcome.failovers;
        writes += outcome.writes;
    }
    println!("{failovers} failovers, {writes} writes");
    assert_eq!(phases.len(), 10, "some phase was never reached: {phases:?}");
}

/// How many of the first seeds notice.
fn noticed(sabotage: Sabotage) -> usize {
    let noticed = run(40, sabotage).into_iter().filter(|(_, outcome)| outcome.broken.is_some()).count();
    println!("{sabotage:?}: noticed by {noticed} of 40 seeds");
    noticed
}

#[test]
fn without_the_fence_seeds_fail() {
    assert!(noticed(Sabotage { no_fence: true, ..Sabotage::default() }) > 0);
}

#[test]
fn without_the_drain_seeds_fail() {
    assert!(noticed(Sabotage { no_drain: true, ..Sabotage::default() }) > 0);
}

#[test]
fn without_the_epoch_on_disk_seeds_fail() {
    assert!(noticed(Sabotage { no_disk: true, ..Sabotage::default() }) > 0);
}
