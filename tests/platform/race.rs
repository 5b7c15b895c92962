//! The lesson of `samples/counter`, and the four instances that teach it.

use std::collections::BTreeMap;
use std::time::Duration;

use dotcloud_local::cli::race::connection::{Answer, Connection, Target};
use http::Method;

use crate::support::platform::{Platform, Web, sample};
use crate::support::wait_for;
use crate::turn;

#[test]
fn counter_loses_updates_only_where_it_is_naive() {
    let _turn = turn();
    let platform = Platform::new();
    platform.up(&sample("samples/counter"), "counter");
    platform.scale("counter", &["www=4"]);

    let answers = who_answers(&platform.web("counter", "www"), 40);
    assert_eq!(answers.len(), 4, "four instances take turns: {answers:?}");
    assert!(answers.values().all(|count| (5..=15).contains(count)), "none is favoured: {answers:?}");

    let naive = race(&platform, "/naive", &["--requests", "1000", "--concurrency", "20", "--expect", "some"]);
    assert_eq!((naive["sent"].as_u64(), naive["failed"].as_u64()), (Some(1000), Some(0)), "{naive}");
    assert!(naive["lost"].as_u64() > Some(0) && naive["repeated_answers"].as_u64() > Some(0), "{naive}");
    assert_eq!(naive["instances"].as_object().unwrap().len(), 4, "{naive}");

    let atomic = race(&platform, "/atomic", &["--requests", "1000", "--concurrency", "20", "--expect", "none"]);
    assert_eq!((atomic["lost"].as_u64(), atomic["applied"].as_u64()), (Some(0), Some(1000)), "{atomic}");

    killing_an_instance_loses_no_acknowledged_increment(&platform);
    an_expectation_that_is_not_met_ends_with_1(&platform);
}

fn killing_an_instance_loses_no_acknowledged_increment(platform: &Platform) {
    let web = platform.web("counter", "www");
    let before = value(&web);
    let arguments = [
        "-A",
        "counter",
        "race",
        "www",
        "/atomic",
        "--reads",
        "/value",
        "--requests",
        "4000",
        "--expect",
        "none",
        "--json",
    ];
    let racing = platform.command(&arguments).stdout(std::process::Stdio::piped()).spawn().unwrap();
    wait_for("the race is under way", Duration::from_secs(30), || (value(&web) > before + 200).then_some(()));
    platform.run(&["-A", "counter", "kill", "www.1"]);
    let output = racing.wait_with_output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{report}");
    assert_eq!(report["lost"].as_u64(), Some(0), "{report}");
    platform.settle("counter");
    assert_eq!(who_answers(&web, 40).len(), 4, "the killed instance is back");
}

fn an_expectation_that_is_not_met_ends_with_1(platform: &Platform) {
    let arguments =
        ["-A", "counter", "race", "www", "/atomic", "--reads", "/value", "--requests", "50", "--expect", "some"];
    let output = platform.try_run(&arguments);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("expected that updates are lost"));
}

/// Races the application called counter; the report.
pub fn race(platform: &Platform, path: &str, more: &[&str]) -> serde_json::Value {
    let mut arguments = vec!["-A", "counter", "race", "www", path, "--reads", "/value"];
    arguments.extend(more);
    platform.json(&arguments)
}

/// How often each instance answered.
pub fn who_answers(web: &Web, requests: u32) -> BTreeMap<String, u32> {
    let mut answers = BTreeMap::new();
    for _ in 0..requests {
        *answers.entry(ask(web, Method::GET, "/who").0).or_default() += 1;
    }
    answers
}

/// The counter.
pub fn value(web: &Web) -> i64 {
    ask(web, Method::GET, "/value").1.expect("a value")
}

/// Who answered one request, and the value in the answer.
pub fn ask(web: &Web, method: Method, path: &str) -> (String, Option<i64>) {
    let answer = answer(web, method, path);
    (answer.answered_by().map(|who| who.instance).unwrap_or_default(), answer.value())
}

/// One request on a connection of its own, which must be answered well.
pub fn answer(web: &Web, method: Method, path: &str) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let target = Target { addr: web.addr, host: web.host.clone() };
    let answer = runtime.block_on(async { Connection::new(&target).send(method, path, "").await });
    let answer = answer.unwrap_or_else(|failure| panic!("{path}: {failure:?}"));
    assert!(answer.status.is_success(), "{path}: {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
    answer
}
