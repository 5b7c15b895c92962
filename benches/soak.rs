//! Faults for as long as one likes, by seed, on every replicated database under several writers.
//!
//! A round strikes a service with one fault or two that overlap, waits until it is whole again,
//! and then looks at what was promised: one master that takes writes, every other member refuses
//! them, all members hold the same, and nothing that was acknowledged is gone.
//! `SEED=7 MINUTES=5 ONLY=mysql FAULTS=kill,pause`: the same seed deals the same faults; minutes
//! are those of each service. What broke is kept with everything that can be known about it in
//! `target/bench/soak/`.

#[path = "soak/check.rs"]
mod check;
#[path = "soak/fault.rs"]
mod fault;
#[path = "soak/finding.rs"]
mod finding;
#[path = "soak/inflict.rs"]
mod inflict;
#[path = "soak/place.rs"]
mod place;
#[path = "soak/rows.rs"]
mod rows;
#[path = "soak/run.rs"]
mod run;
#[path = "soak/stage.rs"]
mod stage;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "soak/tally.rs"]
mod tally;
#[path = "soak/writers.rs"]
mod writers;

use std::time::Duration;

use rows::Row;
use support::platform::Platform;

/// What the environment asks for.
struct Wish {
    seed: u64,
    lasts: Duration,
    /// Words of rows and of faults; all of them without any.
    only: Vec<String>,
    faults: Vec<String>,
}

fn main() {
    let wish = Wish::from_environment();
    let mut platform = Platform::new();
    // While a daemon is dead another platform on this machine may take the port that both like best.
    platform.set("DOTCLOUD_HTTP_PORT", &(30_000 + std::process::id() % 2000).to_string());
    let mut clean = true;
    let mut results = Vec::new();
    for row in Row::wanted(&wish.only) {
        let result = run::soak(&platform, row, &wish);
        clean &= result.is_clean();
        results.push(result);
    }
    tally::report(wish.seed, &results);
    drop(platform);
    assert!(clean, "something was promised and not kept");
}

// === impl Wish ===

impl Wish {
    fn from_environment() -> Self {
        let number = |name: &str, default: u64| {
            std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
        };
        let words = |name: &str| {
            let text = std::env::var(name).unwrap_or_default();
            text.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        Self {
            seed: number("SEED", 1),
            lasts: Duration::from_secs(60 * number("MINUTES", 5)),
            only: words("ONLY"),
            faults: words("FAULTS"),
        }
    }
}
