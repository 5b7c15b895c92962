//! How soon a new database answers: a member of `dotcloud up`, which begins with the data
//! directory that its image brings along, beside the same image's server that makes its data
//! directory first, as the usual images do, in turns. `ROUNDS=n` sets how many, 20 by default; words after `--`
//! choose databases.
//!
//! Nothing is removed before the end: ext4 looks at every inode that was deleted within the last
//! minutes before it takes one, so that 1,264 new files take a second longer where as many have just
//! been removed. For the same reason what ran before should be five minutes ago.

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
    let (engine, mut kept) = (Engine::connect(), Vec::new());
    let kinds = chosen(&KINDS, &words(), |kind| kind.name.to_owned());
    let results: Vec<Value> =
        kinds.into_iter().map(|kind| Stage { platform: &platform, engine: &engine, kind }.measure(&mut kept)).collect();
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
    drop(kept);
    drop(platform);
    assert!(results.iter().all(|result| result["met"] == true), "slower than the target");
}

/// Where one database is started again and again.
struct Stage<'a> {
    platform: &'a Platform,
    engine: &'a Engine,
    kind: &'a Kind,
}

// === impl Stage ===

impl<'a> Stage<'a> {
    /// The servers that are started without us are kept, as the volumes of ours are.
    fn measure(&self, kept: &mut Vec<Plain<'a>>) -> Value {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("dotcloud.yml"), format!("db:\n  type: {}\n", self.kind.name)).unwrap();
        let (home, image) = self.prepare(folder.path());
        let mut starts = Starts::default();
        for round in 0..rounds(20) {
            // Whoever comes second finds warmer caches, so they take turns at it.
            for first in [round % 2 == 0, round % 2 != 0] {
                if first {
                    self.ours(folder.path(), round, &home, &mut starts);
                } else {
                    let plain = Plain::start(self.engine, self.kind, &image);
                    starts.plain.push(plain.answered());
                    plain.end();
                    kept.push(plain);
                }
            }
        }
        starts.told(self.kind)
    }

    /// The first one may make the image; returns that, and the home's name.
    fn prepare(&self, folder: &Path) -> (String, String) {
        let app = format!("{}-image", self.kind.name);
        self.platform.up(folder, &app);
        let container = self.platform.containers(&app).swap_remove(0);
        let image = self.engine.inspect(&container).config.unwrap().image.unwrap();
        let home = self.engine.home_of(&container);
        self.platform.run(&["-A", &app, "down"]);
        (home, image)
    }

    /// One new application with this database.
    fn ours(&self, folder: &Path, round: usize, home: &str, starts: &mut Starts) {
        let app = format!("{}-{round}", self.kind.name);
        let (pod, answered) = std::thread::scope(|scope| {
            let watching = scope.spawn(|| {
                let engine = Engine::connect();
                let pod = support::often("a pod is there", || engine.pods(home).pop());
                let answered = self.kind.answered(&engine, &pod);
                (pod, answered)
            });
            self.platform.up(folder, &app);
            watching.join().unwrap()
        });
        starts.pod.push(since_creation(self.engine, &pod, answered));
        starts.server.push(since_creation(self.engine, &self.platform.containers(&app)[0], answered));
        self.platform.run(&["-A", &app, "down"]);
    }
}

// === impl Starts ===

impl Starts {
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
