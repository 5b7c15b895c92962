//! Two platforms on one machine.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use http::Method;

use super::race::{ask, value};
use crate::support::platform::{Platform, sample, texts};
use crate::support::redis::Redis;
use crate::support::wait_for;
use crate::turn;

#[test]
fn two_homes_run_side_by_side_without_noticing() {
    let _turn = turn();
    let (first, second) = (Platform::new(), Platform::new());
    first.up(&sample("samples/counter"), "counter");
    let web = first.web("counter", "www");
    ask(&web, Method::POST, "/atomic");
    let before = first.objects();

    second.up(&sample("samples/counter"), "counter");
    let other = second.web("counter", "www");
    assert_ne!(web.addr, other.addr);
    assert_eq!((value(&web), value(&other)), (1, 0), "same name, different database");
    assert_eq!((first.apps().len(), second.apps().len()), (1, 1));

    second.run(&["destroy", "-A", "counter", "--assume-yes"]);
    wait_for("the second home is empty", Duration::from_secs(60), || {
        (second.objects() == Default::default()).then_some(())
    });
    assert_eq!((first.objects(), value(&web)), (before, 1), "the first one did not notice");
}

/// What another program took while no daemon ran keeps one address closed, and nothing else.
#[test]
fn a_port_that_is_taken_keeps_one_address_closed_until_it_is_free() {
    const SOON: Duration = Duration::from_secs(20);
    let _turn = turn();
    let mut platform = Platform::new();
    let code = tempfile::tempdir().unwrap();
    std::fs::write(code.path().join("dotcloud.yml"), "one: {type: redis}\nother: {type: redis}\n").unwrap();
    platform.up(code.path(), "pair");
    let ((taken, password), (free, other)) = (platform.data("pair", "one"), platform.data("pair", "other"));
    platform.kill_daemon();
    let thief = TcpListener::bind(taken).unwrap();
    let began = Instant::now();
    assert_eq!(platform.apps(), ["pair"]);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let told = format!("one cannot be reached at {taken}: another program has the port: end it");
    wait_for("the closed address is told", SOON, || {
        texts(&platform.json(&["-A", "pair", "info"])["holds"]).iter().any(|hold| hold.contains(&told)).then_some(())
    });
    Redis::connect(free, &other, SOON).unwrap().call(&["PING"]).unwrap();
    assert_eq!(platform.run(&["-A", "pair", "activity"]).matches("unreachable").count(), 1, "said once");
    drop(thief);
    wait_for("the address is open", SOON, || Redis::connect(taken, &password, SOON).ok()?.call(&["PING"]).ok());
    platform.settle("pair");
    without_its_web_port_no_daemon_starts(&mut platform);
}

fn without_its_web_port_no_daemon_starts(platform: &mut Platform) {
    platform.kill_daemon();
    let thief = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = thief.local_addr().unwrap().port().to_string();
    platform.set("DOTCLOUD_HTTP_PORT", &port);
    let began = Instant::now();
    let said = platform.refused(&["list"]);
    assert!(said.contains(&format!("port {port} of this home is in use: end what uses it")), "{said}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}
