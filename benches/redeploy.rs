//! From saving a file to the new answer of all of 3 instances, under a constant load through the
//! proxy: `dotcloud watch` for every type, and for python `docker compose watch` beside it.
//!
//! An instance counts from the first of ten new answers in a row at its own address. The load
//! counts its failed requests. Compose has no proxy: its load asks the replicas in turns.
//! `ROUNDS=n` sets how many edits; 20 by default, and 5 for Compose.

#[path = "redeploy/compose.rs"]
mod compose;
#[path = "redeploy/kinds.rs"]
mod kinds;
#[path = "redeploy/load.rs"]
mod load;
#[path = "redeploy/ours.rs"]
mod ours;
#[path = "redeploy/page.rs"]
mod page;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "redeploy/witness.rs"]
mod witness;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use compose::Compose;
use kinds::{KINDS, Kind};
use load::{Addresses, Counted, Load};
use ours::Ours;
use serde_json::{Value, json};
use support::docker::Engine;
use support::platform::Platform;
use support::statistics::{Series, rounds, save};

const INSTANCES: usize = 3;
/// The type that Compose is compared for, and the highest accepted ratio of the medians.
const COMPARED: (&str, f64) = ("python", 0.35);
const COMPOSE_ROUNDS: usize = 5;

/// What one way of redeploying did.
struct Measured {
    times: Series,
    load: Counted,
}

fn main() {
    let platform = Platform::new();
    println!(
        "{:<36}{:>7}{:>11}{:>7}{:>7}{:>9}{:>10}{:>8}",
        "edit -> 3 instances", "rounds", "median ms", "p95", "max", "target", "requests", "failed"
    );
    let known = KINDS.iter().filter(|kind| kind.is_known());
    let results: Vec<Value> = known.map(|kind| measure(&platform, kind)).collect();
    let met = results.iter().all(|result| result["met"] == true);
    save(
        "redeploy",
        &json!({
            "what": "from saving a file to the new answer of all of 3 instances, under load, in ms",
            "compared_with": "targets: php and static 250, python 600, nodejs 900, no failed request; python at most 0.35 of docker compose watch with sync+restart, same image",
            "types": results, "met": met,
        }),
    );
    assert!(met, "a target was missed");
}

fn measure(platform: &Platform, kind: &Kind) -> Value {
    let folder = tempfile::tempdir().unwrap();
    kind.write(folder.path());
    let ours = of_ours(platform, kind, folder.path());
    row(&format!("{}: dotcloud watch", kind.name), &ours, &format!("{:.0}", kind.target_ms));
    let mut result = json!({
        "type": kind.name, "times": ours.times.json(), "target_median_ms": kind.target_ms,
        "requests": ours.load.requests, "failed": ours.load.failed,
    });
    ours.load.failed.iter().take(3).for_each(|why| println!("  failed: {why}"));
    let mut met = ours.times.median() <= kind.target_ms && ours.load.failed.is_empty();
    if kind.name == COMPARED.0 {
        let (version, theirs) = of_compose(platform, kind, folder.path());
        row(&format!("{}: {version} watch", kind.name), &theirs, "-");
        let ratio = ours.times.median() / theirs.times.median();
        println!("{}: ratio of the medians {ratio:.2} (at most {})", kind.name, COMPARED.1);
        met &= ratio <= COMPARED.1;
        result["compose"] = json!({
            "version": version, "times": theirs.times.json(), "requests": theirs.load.requests,
            "failed": theirs.load.failed.len(), "ratio": ratio, "target_ratio": COMPARED.1,
        });
    }
    platform.run(&["destroy", "-A", kind.name, "--assume-yes"]);
    result["met"] = met.into();
    result
}

fn of_ours(platform: &Platform, kind: &Kind, folder: &Path) -> Measured {
    let ours = Ours::start(platform, kind.name, folder, INSTANCES, kind.port);
    let (front, host) = ours.front();
    let instances = ours.instances.clone();
    let address = |instance: usize| instances[instance];
    edits(kind, folder, rounds(20), (&front, &host), &address, |_| drop(ours.settled()))
}

/// Our own instances are down meanwhile.
fn of_compose(platform: &Platform, kind: &Kind, folder: &Path) -> (String, Measured) {
    let container = platform.containers(kind.name).swap_remove(0);
    let config = Engine::connect().inspect(&container).config.unwrap();
    platform.run(&["-A", kind.name, "down"]);
    let compose = Compose::start(platform.home(), config, folder, INSTANCES, kind.port);
    let address = |instance| compose.address(instance);
    let count = rounds(COMPOSE_ROUNDS).min(COMPOSE_ROUNDS);
    let measured = edits(kind, folder, count, (&compose.addresses(), "replica"), &address, |round| {
        compose.settled(round + 1);
    });
    (compose.version.clone(), measured)
}

/// Edits, one after the other; `settled` waits until nothing of the last one is under way.
fn edits(
    kind: &Kind,
    folder: &Path,
    rounds: usize,
    (front, host): (&Addresses, &str),
    address: &(dyn Fn(usize) -> SocketAddr + Sync),
    settled: impl Fn(usize),
) -> Measured {
    let load = Load::start(front, host);
    let mut times = Series::default();
    for round in 0..rounds {
        let text = format!("edit {round} of {rounds} at {host}");
        let saved = Instant::now();
        kind.edit(folder, &text);
        let served = witness::everywhere(INSTANCES, &text, address);
        times.push((served - saved).as_secs_f64() * 1000.0);
        settled(round);
    }
    Measured { times, load: load.stop() }
}

fn row(name: &str, measured: &Measured, target: &str) {
    let Measured { times, load } = measured;
    println!(
        "{name:<36}{:>7}{:>11.0}{:>7.0}{:>7.0}{target:>9}{:>10}{:>8}",
        times.len(),
        times.median(),
        times.quantile(0.95),
        times.max(),
        load.requests,
        load.failed.len()
    );
}
