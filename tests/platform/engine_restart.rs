//! The Docker engine itself ends, asked to or not, and starts again: everything returns with its
//! data, by itself. It has an engine of its own (`make test-engine-restart`).

use std::process::Command;
use std::time::{Duration, Instant};

use super::durability::{APP, Kept};
use crate::support::platform::sample;
use crate::support::wait_for;
use crate::turn;

#[test]
#[ignore = "it stops the engine it runs on; make test-engine-restart gives it one of its own"]
fn everything_returns_with_its_data_when_the_engine_does() {
    let _turn = turn();
    assert!(std::env::var_os("SECOND_ENGINE").is_some(), "run make test-engine-restart");
    let kept = Kept::start();
    kept.scale("=2");
    for (how, daemon_dies) in [("stop", false), ("kill", false), ("stop", true)] {
        kept.wait_for_writes(how);
        kept.is_complete(how);
        engine(how);
        the_failure_is_told(&kept);
        if daemon_dies {
            kept.platform.kill_daemon();
        }
        engine("start");
        let began = Instant::now();
        if daemon_dies {
            // Any command starts another one.
            kept.platform.run(&["list"]);
        }
        kept.wait_for_writes(&format!("after {how}, daemon killed: {daemon_dies}"));
        println!("{how}, daemon killed: {daemon_dies}: all writes again after {} ms", began.elapsed().as_millis());
        kept.is_complete(how);
        assert_eq!(kept.platform.service(APP, "www")["instances"][0]["state"], "up");
    }
    kept.holds_what_was_acknowledged();
}

/// Whoever asks is told that the engine is away, not that there is nothing.
fn the_failure_is_told(kept: &Kept) {
    wait_for("info says that the engine does not answer", Duration::from_secs(30), || {
        let holds = kept.platform.json(&["-A", APP, "info"])["holds"].to_string();
        holds.contains("docker.sock").then_some(())
    });
    // What cannot be done is refused at once, and not done later.
    let down = kept.platform.try_run(&["-A", APP, "down"]);
    assert_eq!(down.status.code(), Some(4), "{down:?}");
}

fn engine(command: &str) {
    let status = Command::new(sample("scripts/second-engine.sh")).arg(command).status().unwrap();
    assert!(status.success(), "second-engine.sh {command}: {status}");
}
