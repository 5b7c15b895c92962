//! A Redis pair that a web application counts in. The story that it shares with the other databases
//! is in `pairs`.

use std::time::Duration;

use http::Method;

use super::pairs::REDIS;
use super::race::{ask, value};
use crate::support::platform::{Platform, sample};
use crate::support::wait_for;
use crate::turn;

const APP: &str = REDIS.app;

#[test]
fn an_application_goes_on_whatever_happens_to_the_master_that_it_counts_in() {
    let _turn = turn();
    let platform = Platform::new();
    platform.up(&sample("samples/counter"), APP);
    platform.scale(APP, &["db=2"]);
    the_application_writes_again_after_a_kill(&platform);
    REDIS.survives(&platform);
}

/// Through connections that were cut, to an unchanged address.
fn the_application_writes_again_after_a_kill(platform: &Platform) {
    let web = platform.web(APP, "www");
    let (address, old) = (platform.data(APP, "db"), platform.member(APP, "db", "master"));
    let counted = ask(&web, Method::POST, "/atomic").1;
    platform.run(&["-A", APP, "kill", "db.master"]);
    wait_for("a write through the application", Duration::from_secs(10), || {
        let answer = platform.json(&["-A", APP, "race", "www", "/atomic", "--reads", "/value", "--requests", "1"]);
        (answer["acknowledged"] == 1).then_some(())
    });
    assert!(Some(value(&web)) > counted, "what was acknowledged is still there");
    platform.settle(APP);
    assert_eq!(platform.data(APP, "db"), address, "address and password stay");
    assert_ne!(platform.member(APP, "db", "master").number, old.number);
}
