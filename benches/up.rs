//! Warm `dotcloud up -d --wait` of 4 www + 1 redis beside `docker compose up -d --wait --scale
//! www=4` of the same images, in turns; and what the start of an instance consists of, alone
//! and four at once. `ROUNDS=n` sets how many; 10 by default.

#[path = "up/compose.rs"]
mod compose;
#[path = "up/phases.rs"]
mod phases;
#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;

use compose::Compose;
use phases::Phases;
use serde_json::json;
use support::docker::Engine;
use support::platform::{Platform, copy_of, sample, text};
use support::statistics::{Series, rounds, save};

/// The highest accepted ratio of the medians.
const TARGET: f64 = 0.7;

fn main() {
    let platform = Platform::new();
    platform.up(&sample("samples/counter"), "counter");
    platform.scale("counter", &["www=4"]);
    let compose = Compose::new(platform.home(), &same_images(&platform));
    platform.run(&["-A", "counter", "down"]);

    let (mut ours, mut theirs) = (Series::default(), Series::default());
    let (engine, mut together) = (Engine::connect(), Phases::default());
    for round in 0..rounds(10) {
        // Whoever comes second finds warmer caches, so they take turns at it.
        for first in [round % 2 == 0, round % 2 != 0] {
            if first {
                ours.push(timed(|| platform.up(&sample("samples/counter"), "counter")));
                assert_eq!(platform.containers("counter").len(), 5);
                together.add(&platform, &engine, "counter", None);
                platform.run(&["-A", "counter", "down"]);
            } else {
                theirs.push(timed(|| compose.up()));
                compose.down();
            }
        }
    }
    let ratio = ours.median() / theirs.median();
    println!("{:<44}{:>7}{:>11}{:>9}{:>9}", "4 www + 1 redis, warm", "rounds", "median ms", "p95", "max");
    for (name, series) in [("dotcloud up -d --wait", &ours), (compose.version.as_str(), &theirs)] {
        println!(
            "{name:<44}{:>7}{:>11.0}{:>9.0}{:>9.0}",
            series.len(),
            series.median(),
            series.quantile(0.95),
            series.max()
        );
    }
    println!("ratio of the medians {ratio:.2} (at most {TARGET})");
    let alone = starts_alone(&platform, &engine);
    alone.print("a python instance alone, since its creation");
    println!("first 200 after {:.0} ms (at most {})", alone.first_200(), phases::TARGET);
    together.print("each of 4, with redis");
    let met = ratio <= TARGET && alone.first_200() <= phases::TARGET;
    save(
        "up",
        &json!({
            "what": "warm start of 4 www + 1 redis until everything answers",
            "compared_with": format!("{} up -d --wait --scale www=4, health checks every 0.5 s, same images", compose.version),
            "ours": ours.json(), "compose": theirs.json(), "ratio": ratio, "target_ratio": TARGET, "met": met,
            "phases_alone": alone.json(), "phases_of_4": together.json(),
            "first_200_ms": alone.first_200(), "target_first_200_ms": phases::TARGET,
        }),
    );
    assert!(met, "slower than the target");
}

/// Instances that start while nothing else does, beside one that is idle: a push each.
fn starts_alone(platform: &Platform, engine: &Engine) -> Phases {
    let (code, mut alone) = (copy_of("samples/counter"), Phases::default());
    platform.up(code.path(), "counter");
    platform.scale("counter", &["www=1"]);
    let home = engine.home_of(&platform.containers("counter")[0]);
    for round in 0..rounds(10) {
        std::fs::write(code.path().join("version"), round.to_string()).unwrap();
        platform.settle("counter");
        let known = engine.instances(&home);
        let first = std::thread::scope(|scope| {
            let watching = scope.spawn(|| phases::first_200_of_newcomer(&home, &known, "/who"));
            platform.run(&["-A", "counter", "push", code.path().to_str().unwrap()]);
            watching.join().unwrap()
        });
        alone.add(platform, engine, "counter", Some(first));
    }
    alone
}

fn timed(action: impl FnOnce()) -> f64 {
    let started = Instant::now();
    action();
    started.elapsed().as_secs_f64() * 1000.0
}

/// A Compose file (JSON is YAML) of what our own containers are made of.
fn same_images(platform: &Platform) -> serde_json::Value {
    let engine = Engine::connect();
    let container = |service: &str| {
        let id = text(&platform.service("counter", service)["instances"][0]["container_id"]);
        engine.inspect(&id).config.unwrap()
    };
    let (www, db) = (container("www"), container("db"));
    // Compose takes `$` in a value for a variable.
    let command: Vec<String> = www.cmd.unwrap_or_default().iter().map(|part| part.replace('$', "$$")).collect();
    let check = |test: &[&str]| json!({ "test": test, "interval": "0.5s", "timeout": "5s", "retries": 60 });
    json!({ "services": {
        "www": {
            "image": www.image, "command": command, "depends_on": ["db"],
            "healthcheck": check(&["CMD", "curl", "-fs", "http://127.0.0.1/who"]),
        },
        "db": {
            "image": db.image, "command": ["redis-server", "--appendonly", "yes", "--dir", "/var/lib/redis"],
            "healthcheck": check(&["CMD", "redis-cli", "ping"]),
        },
    }})
}
