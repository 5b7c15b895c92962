//! How soon a new database answers: a member of `dotcloud up`, which begins with the data
//! directory that its image brings along, beside the same image's server that makes its data
//! directory first, as the usual images do, in turns. `ROUNDS=n` sets how many, 20 by default; words after `--`
//! choose databases.

#[path = "start/kinds.rs"]
mod kinds;
#[path = "start/plain.rs"]
mod plain;
#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;

use kinds::{KINDS, Kind, since_creation};
use plain::Plain;
use serde_json::{Value, json};
use support::choice::{chosen, words};
use support::docker::Engine;
use support::platform::Platform;
use support::statistics::{Series, rounds, save};

const APP: &str = "start";

/// Milliseconds until a login is answered.
#[derive(Default)]
struct Starts {
    /// Since the creation of the pod, which has the address: the whole start.
    pod: Series,
    /// Since the creation of the server's container.
    server: Series,
    /// Of the server without us, since the creation of its container.
    plain: Series,
}

fn main() {
    let platform = Platform::new();
    println!(
        "{:<12}{:>7}{:>13}{:>7}{:>9}{:>7}{:>20}{:>7}{:>7}  target (server)",
        "answers, ms", "rounds", "since server", "p95", "pod", "p95", "data made at start", "p95", "ratio"
    );
    let kinds = chosen(&KINDS, &words(), |kind| kind.name.to_owned());
    let results: Vec<Value> = kinds.into_iter().map(|kind| of_kind(&platform, kind)).collect();
    save(
        "start",
        &json!({
            "what": "a new database with a new volume, until it answers a login: since the creation of the server's \
                     container, and since that of its pod",
            "compared_with": "the same image on Docker's bridge, data directory made at the start within the \
                              container; ratio: ours since the pod's creation",
            "kinds": results,
        }),
    );
    drop(platform);
    assert!(results.iter().all(|result| result["met"] == true), "slower than the target");
}

fn of_kind(platform: &Platform, kind: &Kind) -> Value {
    let (engine, folder) = (Engine::connect(), tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("dotcloud.yml"), format!("db:\n  type: {}\n", kind.name)).unwrap();
    // The first one may make the image.
    platform.up(folder.path(), APP);
    let container = platform.containers(APP).swap_remove(0);
    let (home, image) = (engine.home_of(&container), engine.inspect(&container).config.unwrap().image.unwrap());
    platform.run(&["-A", APP, "destroy", "--assume-yes"]);

    let mut starts = Starts::default();
    for round in 0..rounds(20) {
        // Whoever comes second finds warmer caches, so they take turns at it.
        for first in [round % 2 == 0, round % 2 != 0] {
            if first {
                starts.ours(platform, &engine, folder.path(), kind, &home);
            } else {
                starts.plain.push(Plain::start(&engine, kind, &image).answered());
            }
        }
    }
    starts.told(kind)
}

// === impl Starts ===

impl Starts {
    /// One new application with this database.
    fn ours(&mut self, platform: &Platform, engine: &Engine, folder: &Path, kind: &Kind, home: &str) {
        let (pod, answered) = std::thread::scope(|scope| {
            let watching = scope.spawn(|| {
                let engine = Engine::connect();
                let pod = support::often("a pod is there", || engine.pods(home).pop());
                let answered = kind.answered(&engine, &pod);
                (pod, answered)
            });
            platform.up(folder, APP);
            watching.join().unwrap()
        });
        self.pod.push(since_creation(engine, &pod, answered));
        self.server.push(since_creation(engine, &platform.containers(APP)[0], answered));
        platform.run(&["-A", APP, "destroy", "--assume-yes"]);
    }

    /// A line of the table, and what the file keeps.
    fn told(&self, kind: &Kind) -> Value {
        let (ratio, met) = (self.pod.median() / self.plain.median(), self.server.median() <= kind.target);
        let [server, pod, plain] =
            [&self.server, &self.pod, &self.plain].map(|series| (series.median(), series.quantile(0.95)));
        println!(
            "{:<12}{:>7}{:>13.0}{:>7.0}{:>9.0}{:>7.0}{:>20.0}{:>7.0}{ratio:>7.2}  {:.0} {}",
            kind.name,
            self.plain.len(),
            server.0,
            server.1,
            pod.0,
            pod.1,
            plain.0,
            plain.1,
            kind.target,
            if met { "met" } else { "missed" }
        );
        json!({
            "kind": kind.name, "since_server": self.server.json(), "since_pod": self.pod.json(),
            "data_made_at_start": self.plain.json(), "ratio": ratio, "target_median_ms": kind.target, "met": met,
        })
    }
}
