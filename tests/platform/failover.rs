//! The Redis master dies or hangs: the address stays, a slave takes over, the old one comes back.

use std::net::SocketAddr;
use std::time::Duration;

use http::Method;
use serde_json::Value;

use super::race::{ask, value};
use crate::support::docker::Engine;
use crate::support::platform::{Member, Platform, sample};
use crate::support::redis::{Redis, Reply};
use crate::support::wait_for;
use crate::turn;

const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn killed_master_is_replaced_at_an_unchanged_address() {
    let _turn = turn();
    let platform = replicated();
    let web = platform.web("counter", "www");
    let before = (platform.data("counter", "db"), platform.member("counter", "db", "master"));
    let counted = ask(&web, Method::POST, "/atomic").1;
    platform.run(&["-A", "counter", "kill", "db.master"]);

    // The application itself writes again, through connections that were cut.
    wait_for("a write through the application", Duration::from_secs(10), || {
        let answer =
            platform.json(&["-A", "counter", "race", "www", "/atomic", "--reads", "/value", "--requests", "1"]);
        (answer["acknowledged"] == 1).then_some(())
    });
    assert!(Some(value(&web)) > counted, "what was acknowledged is still there");
    platform.settle("counter");
    assert_eq!(platform.data("counter", "db"), before.0, "address and password stay");
    the_old_master_is_a_slave(&platform, &before.1);
    the_receipt_is_complete(&platform.service("counter", "db"), &before.1);
}

#[test]
fn hung_master_is_fenced_and_never_writes_again() {
    let _turn = turn();
    let platform = replicated();
    let (engine, old) = (Engine::connect(), platform.member("counter", "db", "master"));
    let (address, password) = platform.data("counter", "db");
    // Two ways to the old master: a session through the front, and one behind its back.
    let mut session = Redis::connect(address, &password, PATIENCE).unwrap();
    let own: SocketAddr = format!("{}:6379", old.ip).parse().unwrap();
    let mut behind = Redis::connect(own, &password, PATIENCE).unwrap();
    engine.pause(&old.container);

    wait_for("a write is accepted again", Duration::from_secs(10), || {
        let mut fresh = Redis::connect(address, &password, PATIENCE).ok()?;
        matches!(fresh.call(&["SET", "after", "1"]), Ok(Reply::Text(_))).then_some(())
    });
    engine.unpause(&old.container);
    assert!(!matches!(behind.call(&["SET", "stray", "1"]), Ok(Reply::Text(_))), "the old master accepted a write");
    assert!(session.call(&["SET", "stray", "1"]).is_err(), "the session of before is cut");
    platform.settle("counter");
    the_old_master_is_a_slave(&platform, &old);
    let mut redis = Redis::connect(address, &password, PATIENCE).unwrap();
    assert_eq!(redis.call(&["EXISTS", "stray"]).unwrap(), Reply::Text("0".to_owned()));
}

#[test]
fn restarted_master_keeps_its_role() {
    let _turn = turn();
    let platform = replicated();
    let master = platform.member("counter", "db", "master").number;
    platform.run(&["-A", "counter", "restart", &format!("db.{master}")]);
    platform.settle("counter");
    assert_eq!(platform.member("counter", "db", "master").number, master);
}

fn replicated() -> Platform {
    let platform = Platform::new();
    platform.up(&sample("samples/counter"), "counter");
    platform.scale("counter", &["db=2"]);
    platform
}

fn the_old_master_is_a_slave(platform: &Platform, old: &Member) {
    let master = platform.member("counter", "db", "master");
    let slave = platform.member("counter", "db", "slave");
    assert_ne!(master.number, old.number);
    assert_eq!((slave.number, &slave.ip), (old.number, &old.ip), "it kept its number and address");
    let own: SocketAddr = format!("{}:6379", slave.ip).parse().unwrap();
    let (_, password) = platform.data("counter", "db");
    let refused = Redis::connect(own, &password, PATIENCE).unwrap().call(&["SET", "stray", "1"]).unwrap();
    assert!(matches!(&refused, Reply::Error(why) if why.starts_with("READONLY")), "{refused:?}");
}

fn the_receipt_is_complete(service: &Value, old: &Member) {
    let receipt = service["receipts"].as_array().and_then(|receipts| receipts.last()).unwrap().clone();
    assert_eq!(receipt["old_master"], old.number, "{receipt}");
    let at = |step: &str| receipt[step].as_f64().unwrap_or_else(|| panic!("no {step} in {receipt}"));
    let steps = [0.0, at("fenced_ms"), at("promoted_ms"), at("opened_ms"), at("first_write_ms")];
    assert!(steps.is_sorted(), "steps follow each other: {receipt}");
    assert!(at("resynchronised_ms") > at("promoted_ms"), "{receipt}");
}
