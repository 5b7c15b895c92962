//! `kill -9` for the daemon, in the middle of whatever it does. `ROUNDS=5` repeats each.

use std::time::Duration;

use crate::support::docker::Objects;
use crate::support::platform::{Platform, copy_of, sample};
use crate::support::statistics::rounds;
use crate::support::{pause, wait_for};
use crate::turn;

/// Moments within the work at which the daemon dies, spread over the rounds.
fn moment(round: usize) -> Duration {
    Duration::from_millis([150, 400, 900, 1600, 2600][round % 5])
}

#[test]
fn daemon_killed_within_a_push_converges() {
    let _turn = turn();
    let platform = Platform::new();
    let code = copy_of("samples/counter");
    platform.up(code.path(), "counter");
    for round in 0..rounds(1) {
        std::fs::write(code.path().join("version"), round.to_string()).unwrap();
        let mut push = platform.start(&["-A", "counter", "push", code.path().to_str().unwrap()]);
        pause(moment(round));
        platform.kill_daemon();
        push.wait().unwrap();
        converges(&platform, &["www=1", "db=1"]);
    }
    leaves_nothing(&platform);
}

#[test]
fn daemon_killed_within_a_scale_converges() {
    let _turn = turn();
    let platform = Platform::new();
    platform.up(&sample("samples/counter"), "counter");
    for round in 0..rounds(1) {
        let (www, db) = ([4, 1][round % 2], [2, 1][round % 2]);
        let wishes = [format!("www={www}"), format!("db={db}")];
        let mut scale = platform.start(&["-A", "counter", "scale", &wishes[0], &wishes[1]]);
        wait_for("the wish is stored", Duration::from_secs(10), || {
            (platform.service("counter", "www")["instance_count"] == www).then_some(())
        });
        pause(moment(round) / 4);
        platform.kill_daemon();
        scale.wait().unwrap();
        converges(&platform, &[&wishes[0], &wishes[1]]);
    }
    leaves_nothing(&platform);
}

#[test]
fn daemon_killed_within_a_failover_converges() {
    let _turn = turn();
    let platform = Platform::new();
    platform.up(&sample("samples/counter"), "counter");
    platform.scale("counter", &["db=2"]);
    for round in 0..rounds(1) {
        platform.run(&["-A", "counter", "kill", "db.master"]);
        pause(moment(round) / 20);
        platform.kill_daemon();
        converges(&platform, &["www=1", "db=2"]);
    }
    leaves_nothing(&platform);
}

/// The next command starts a daemon, and it brings about what was asked for: no more, no less.
fn converges(platform: &Platform, asked: &[&str]) {
    platform.settle("counter");
    for wish in asked {
        let (service, count) = wish.split_once('=').unwrap();
        let info = platform.service("counter", service);
        let count: u64 = count.parse().unwrap();
        assert_eq!(info["instance_count"], count);
        assert_eq!(info["instances"].as_array().map_or(0, Vec::len) as u64, count, "{info}");
    }
    let web = platform.web("counter", "www");
    super::race::ask(&web, http::Method::POST, "/atomic");
    no_container_is_superfluous(platform);
}

/// One container for each code instance, two for each member of a data service.
fn no_container_is_superfluous(platform: &Platform) {
    let count = |service: &str| platform.service("counter", service)["instance_count"].as_u64().unwrap() as usize;
    let expected = count("www") + 2 * count("db");
    wait_for("no orphaned container", Duration::from_secs(60), || {
        (platform.objects().containers == expected).then_some(())
    });
    assert_eq!(platform.objects().networks, 1);
}

fn leaves_nothing(platform: &Platform) {
    platform.run(&["destroy", "-A", "counter", "--assume-yes"]);
    wait_for("no orphan", Duration::from_secs(60), || (platform.objects() == Objects::default()).then_some(()));
}
