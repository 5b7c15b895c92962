//! Requests while everything below them changes. The benchmarks run the same for 30 s.

use std::time::Duration;

use crate::support::load::{Mix, failures};
use crate::support::platform::{Platform, copy_of};
use crate::support::traffic::{Report, during_changes, during_kills};
use crate::turn;

const MIX: Mix = Mix { connections: 16, slow_every: 10, slow_seconds: 1 };

#[test]
fn no_request_fails_and_none_is_sent_twice_during_push_and_scale() {
    let _turn = turn();
    let platform = Platform::new();
    let code = copy_of("samples/counter");
    platform.up(code.path(), "counter");
    let report = during_changes(&platform, code.path(), "counter", MIX, Duration::from_secs(5));
    assert_sound(&report);
    assert_eq!(failures(&report.samples), Vec::<String>::new());
}

#[test]
fn a_killed_instance_fails_only_writes_that_were_under_way_on_it() {
    let _turn = turn();
    let platform = Platform::new();
    let code = copy_of("samples/counter");
    platform.up(code.path(), "counter");
    platform.scale("counter", &["www=4"]);
    let report = during_kills(&platform, "counter", MIX, Duration::from_secs(9));
    assert_sound(&report);
    assert!(report.kills.len() >= 2);
    assert_eq!(report.failed_reads(), Vec::<String>::new());
    assert_eq!(report.writes_failed_without_a_kill(), Vec::<String>::new());
}

fn assert_sound(report: &Report) {
    assert!(report.samples.len() > 100, "{} requests are no load", report.samples.len());
    assert_eq!(report.twice, Vec::<String>::new(), "sent twice");
    assert!(report.arrived > 0, "the application counted the arrivals");
}
