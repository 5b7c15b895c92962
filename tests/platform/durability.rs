//! What a data service holds survives whatever a user does to it and whatever dies: compared by
//! digests of the content on every member, and by asking for every acknowledged write.

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tempfile::TempDir;

use crate::support::docker::Engine;
use crate::support::kept::KINDS;
use crate::support::ledger::Writer;
use crate::support::platform::Platform;
use crate::support::wait_for;
use crate::turn;

pub const APP: &str = "kept";
const SEED: u64 = 20;
const KILLS: usize = 20;
/// Enough that a copy of it takes longer than a look.
const PORTIONS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(60);

/// What happens, in words and in deed.
type Event = (&'static str, fn(&Kept));

#[test]
fn content_and_acknowledged_writes_survive_users_and_fate() {
    let _turn = turn();
    let kept = Kept::start();
    let events: [Event; 8] = [
        ("push", pushed),
        ("memory", given_memory),
        ("scale 1 -> 2 -> 3 -> 1 -> 2", scaled),
        ("two scale at once", two_scale_at_once),
        ("restart", restarted),
        ("kill -9 of the daemon", daemon_killed),
        ("20 random kills", struck),
        ("down and up", taken_down),
    ];
    for (name, happens) in events {
        let began = Instant::now();
        kept.wait_for_writes(name);
        happens(&kept);
        kept.is_complete(name);
        println!("{name}: {} ms", began.elapsed().as_millis());
    }
    kept.holds_what_was_acknowledged();
}

/// An application with a service of each type, its content known, under light load.
pub struct Kept {
    pub platform: Platform,
    code: TempDir,
    writers: Vec<Writer>,
    digests: BTreeMap<&'static str, String>,
}

impl Kept {
    pub fn start() -> Self {
        let (platform, code) = (Platform::new(), tempfile::tempdir().unwrap());
        let services = KINDS.iter().map(|kind| format!("{0}:\n  type: {0}\n", kind.name));
        let file = "www:\n  type: static\n".to_owned() + &services.collect::<String>();
        fs::write(code.path().join("dotcloud.yml"), file).unwrap();
        fs::write(code.path().join("index.html"), "<p>first</p>").unwrap();
        platform.up(code.path(), APP);
        platform.settle(APP);
        let mut kept = Self { platform, code, writers: Vec::new(), digests: BTreeMap::new() };
        for kind in KINDS {
            kind.fill(&kept.platform, APP);
            kept.digests.insert(kind.name, kind.digests(&kept.platform, APP)[&0].clone());
            let ledger = kind.ledger(&kept.platform, APP);
            ledger.create();
            kept.writers.push(Writer::start(ledger));
        }
        kept
    }

    fn run(&self, words: &[&str]) {
        self.platform.run(&[&["-A", APP], words].concat());
    }

    /// One wish for each type: `redis=2 mysql=2`.
    pub fn scale(&self, wish: &str) {
        let wishes: Vec<String> = KINDS.iter().map(|kind| format!("{}{wish}", kind.name)).collect();
        self.platform.scale(APP, &wishes.iter().map(String::as_str).collect::<Vec<_>>());
    }

    pub fn wait_for_writes(&self, when: &str) {
        for (kind, writer) in KINDS.iter().zip(&self.writers) {
            let before = writer.acknowledged();
            wait_for(&format!("{}: writes are acknowledged ({when})", kind.name), PATIENCE, || {
                (writer.acknowledged() >= before + 20).then_some(())
            });
        }
    }

    /// Every member has every row and key.
    pub fn is_complete(&self, after: &str) {
        self.platform.settle(APP);
        for kind in KINDS {
            for (number, digest) in kind.digests(&self.platform, APP) {
                assert_eq!(digest, self.digests[kind.name], "{}.{number} after: {after}", kind.name);
            }
        }
    }

    pub fn holds_what_was_acknowledged(self) {
        for (kind, writer) in KINDS.iter().zip(self.writers) {
            let acknowledged = writer.stop();
            let lost = kind.ledger(&self.platform, APP).lost(&acknowledged);
            let receipts = self.platform.service(APP, kind.name)["receipts"].as_array().map_or(0, Vec::len);
            println!("{}: {lost} lost of {}, {receipts} failovers", kind.name, acknowledged.len());
            assert!(lost <= kind.most_lost * receipts, "{}: {lost} of {} are lost", kind.name, acknowledged.len());
        }
    }
}

fn pushed(kept: &Kept) {
    fs::write(kept.code.path().join("index.html"), "<p>second</p>").unwrap();
    kept.run(&["push", kept.code.path().to_str().unwrap()]);
}

fn given_memory(kept: &Kept) {
    kept.scale(":memory=384M");
}

/// New members are copied from running ones, which `info` shows.
fn scaled(kept: &Kept) {
    KINDS.iter().for_each(|kind| kind.add_ballast(&kept.platform, APP, PORTIONS));
    for (kind, writer) in KINDS.iter().zip(&kept.writers) {
        // So many transactions are not read again by a new member: it becomes a copy.
        wait_for("enough writes", PATIENCE, || (writer.acknowledged() > 5000).then_some(()));
        let mut scale = kept.platform.start(&["-A", APP, "scale", &format!("{}=2", kind.name)]);
        wait_for(&format!("{} shows how far the copy is", kind.name), PATIENCE, || {
            let info = kept.platform.service(APP, kind.name);
            let mut members = info["group"]["members"].as_array()?.iter();
            members.find_map(|member| (member["state"] == "synchronizing").then(|| member["percent"].as_u64())?)
        });
        assert!(scale.wait().unwrap().success());
    }
    kept.is_complete("scale to 2");
    for count in [3, 1, 2] {
        kept.scale(&format!("={count}"));
        kept.wait_for_writes("scaled");
        kept.is_complete(&format!("scale to {count}"));
    }
}

/// The later one is heeded, and the earlier one says so.
fn two_scale_at_once(kept: &Kept) {
    let name = KINDS[0].name;
    let wish = |count: u32| format!("{name}={count}");
    let mut first = kept.platform.command(&["-A", APP, "scale", &wish(3)]);
    let first = first.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the first wish is accepted", PATIENCE, || {
        (kept.platform.service(APP, name)["instance_count"] == 3).then_some(())
    });
    kept.run(&["scale", &wish(2)]);
    let output = first.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("another command changed it") && !said.contains("Successfully"), "{said}");
    kept.is_complete("two scale at once");
    assert_eq!(kept.platform.service(APP, name)["instance_count"], 2);
}

fn restarted(kept: &Kept) {
    KINDS.iter().for_each(|kind| kept.run(&["restart", kind.name]));
}

fn daemon_killed(kept: &Kept) {
    kept.platform.kill_daemon();
}

fn taken_down(kept: &Kept) {
    kept.run(&["down"]);
    assert_eq!(kept.platform.objects().containers, 0);
    kept.platform.up(kept.code.path(), APP);
}

/// Members and pods, masters and slaves, of every service, up to four at once.
fn struck(kept: &Kept) {
    let (engine, mut rng, mut left) = (Engine::connect(), Rng::with_seed(SEED), KILLS);
    let home = engine.home_of(&kept.platform.containers(APP)[0]);
    while left > 0 {
        kept.wait_for_writes(&format!("{left} kills of seed {SEED} are left"));
        for _ in 0..rng.usize(1..=4).min(left) {
            let victims = engine.data_containers(&home);
            let victim = &victims[rng.usize(..victims.len())];
            // It may have been removed since, with the pod that it lived in.
            if engine.strike(victim) {
                left -= 1;
            }
        }
    }
}
