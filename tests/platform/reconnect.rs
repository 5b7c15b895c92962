//! The lesson of `samples/failover`: who goes on when the master dies.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use serde_json::Value;

use super::race::answer;
use crate::support::platform::{Platform, sample, text};
use crate::support::wait_for;
use crate::turn;

const APP: &str = "failover";
const PATIENCE: Duration = Duration::from_secs(30);
/// The service that each language's writers run in.
const LANGUAGES: [&str; 3] = ["php", "python", "www"];

#[test]
fn only_writers_that_reconnect_go_on_and_lose_nothing() {
    let _turn = turn();
    let platform = Platform::new();
    platform.up(&sample("samples/failover"), APP);
    platform.settle(APP);
    has_begun(&platform, "naive db", [0; 3]);
    goes_on(&platform, "careful db");
    goes_on(&platform, "careful old");

    platform.run(&["-A", APP, "kill", "db.master"]);
    platform.run(&["-A", APP, "kill", "old.master"]);
    for language in LANGUAGES {
        wait_for("the connection of every naive writer is cut", PATIENCE, || {
            (!account(&platform, language, "naive db")["errors"].as_object()?.is_empty()).then_some(())
        });
    }
    goes_on(&platform, "careful db");
    goes_on(&platform, "careful old");
    stays_broken(&platform, "naive db");
    platform.settle(APP);
    for (writer, account) in accounts(&platform) {
        println!("{account}");
        match text(&account["database"]).as_str() {
            "db" => assert_eq!(account["lost"], 0, "{writer}"),
            // The documented loss: none, or what the slave did not have yet.
            _ => assert!(account["lost"].as_i64() >= Some(0) && account["lost"].as_u64() < Some(50), "{account}"),
        }
        assert!(account["longest_outage_ms"].as_u64() > Some(0), "{account}");
    }
    let broken = LANGUAGES.map(|language| acknowledged(&account(&platform, language, "naive db")).0);
    for service in LANGUAGES {
        platform.run(&["-A", APP, "restart", service]);
    }
    platform.settle(APP);
    has_begun(&platform, "naive db", broken);
}

/// In all three languages another run than these has rows acknowledged.
fn has_begun(platform: &Platform, way: &str, before: [u64; 3]) {
    for (language, before) in LANGUAGES.into_iter().zip(before) {
        wait_for(&format!("{language} {way}: it begins"), PATIENCE, || {
            let (run, rows) = acknowledged(&account(platform, language, way));
            (run != before && rows > 0).then_some(())
        });
    }
}

/// In all three languages rows are acknowledged, from now on.
fn goes_on(platform: &Platform, way: &str) {
    for language in LANGUAGES {
        let before = acknowledged(&account(platform, language, way));
        wait_for(&format!("{language} {way}: rows are acknowledged"), PATIENCE, || {
            (acknowledged(&account(platform, language, way)).1 > before.1 + 10).then_some(())
        });
    }
}

/// In none of the languages one is, however often it is tried.
fn stays_broken(platform: &Platform, way: &str) {
    for language in LANGUAGES {
        let attempts = |account: &Value| account["attempts"].as_u64().unwrap();
        let before = account(platform, language, way);
        wait_for(&format!("{language} {way}: it is tried again"), PATIENCE, || {
            (attempts(&account(platform, language, way)) > attempts(&before) + 10).then_some(())
        });
        let after = account(platform, language, way);
        assert_eq!(acknowledged(&after), acknowledged(&before), "{after}");
    }
}

/// Which run it is, and how many rows were acknowledged in it.
fn acknowledged(account: &Value) -> (u64, u64) {
    let number = |key: &str| account[key].as_u64().unwrap_or(0);
    (number("run"), number("acknowledged"))
}

/// `Null` while the writer has none yet.
fn account(platform: &Platform, language: &str, way: &str) -> Value {
    accounts(platform).remove(&format!("{language}.0 {way}")).unwrap_or_default()
}

fn accounts(platform: &Platform) -> BTreeMap<String, Value> {
    let answer = answer(&platform.web(APP, "www"), Method::GET, "/writers");
    let list: Vec<Value> = serde_json::from_slice(&answer.body).unwrap_or_default();
    list.into_iter().map(|account| (text(&account["writer"]), account)).collect()
}
