//! Faults on purpose, by seed: what was acknowledged stays, what was paused goes on.
//!
//! `ROUNDS=4` makes the series 60 s long (`make bench-faults`).

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use dotcloud_local::faults::Schedule;
use http::Method;
use serde_json::Value;

use super::race::{ask, value, who_answers};
use crate::support::load::{Load, Mix, Sample};
use crate::support::platform::{Platform, Web, sample, text};
use crate::support::statistics::rounds;
use crate::support::wait_for;
use crate::turn;

const MIX: Mix = Mix { connections: 8, slow_every: 1_000_000, slow_seconds: 0 };
const EVERY: u64 = 3;
const SEED: u64 = 7;
const SOON: Duration = Duration::from_secs(15);

#[test]
fn no_acknowledged_increment_is_lost_while_instances_and_masters_die() {
    let _turn = turn();
    let platform = Platform::new();
    platform.up(&sample("samples/counter"), "counter");
    platform.scale("counter", &["www=3", "db=2"]);
    let (web, seconds) = (platform.web("counter", "www"), 15 * rounds(1) as u64);
    ask(&web, Method::POST, "/reset");
    let load = Load::start(&web, MIX);
    wait_for("the load is answered", Duration::from_secs(30), || (load.done() >= 50).then_some(()));
    let sum = series(&platform, seconds);
    let samples = load.stop();
    platform.settle("counter");
    nothing_acknowledged_is_lost(&platform, &web, &samples);
    assert_eq!(sum["strokes"], seconds / EVERY, "{sum}");
    the_activity_list_names_every_stroke(&platform, seconds);
}

/// Carries the series out; its sum.
fn series(platform: &Platform, seconds: u64) -> Value {
    let (every, lasts, seed) = (format!("{EVERY}s"), format!("{seconds}s"), SEED.to_string());
    let words = ["kill", "www", "db.master", "--every", &every, "--for", &lasts, "--seed", &seed, "--json"];
    let out = platform.run(&[&["-A", "counter"][..], &words].concat());
    serde_json::from_str(out.lines().last().unwrap()).unwrap()
}

fn nothing_acknowledged_is_lost(platform: &Platform, web: &Web, samples: &[Sample]) {
    let acknowledged = samples.iter().filter(|sample| sample.write && sample.result.is_ok()).count() as i64;
    let mut failed: BTreeMap<(bool, String), u32> = BTreeMap::new();
    for sample in samples {
        if let Err(why) = &sample.result {
            let kind = why.split(':').next().unwrap_or_default().to_owned();
            *failed.entry((sample.write, kind)).or_default() += 1;
        }
    }
    let receipts = platform.service("counter", "db")["receipts"].as_array().cloned().unwrap_or_default();
    let named_lost: u64 = receipts.iter().filter_map(|receipt| receipt["lost_bytes"].as_u64()).sum();
    let (counted, lost) = (value(web), (acknowledged - value(web)).max(0));
    println!(
        "{acknowledged} increments acknowledged, {counted} counted, {lost} lost; {} failovers name {named_lost} lost \
         bytes; of {} requests failed (write?, why): {failed:?}",
        receipts.len(),
        samples.len(),
    );
    assert!(acknowledged > 100, "{acknowledged} increments are no load");
    assert!(!receipts.is_empty(), "no master was replaced");
    assert!(lost == 0 || named_lost > 0, "{lost} acknowledged increments are lost and no receipt says so");
}

fn the_activity_list_names_every_stroke(platform: &Platform, seconds: u64) {
    let aims = ["www", "db.master"].map(|aim| aim.parse().unwrap()).into();
    let every = Duration::from_secs(EVERY);
    let schedule = Schedule { aims, every, lasts: Some(Duration::from_secs(seconds)), seed: SEED };
    let expected: BTreeMap<u64, String> = schedule.strokes().map(|s| (s.number, s.aim.to_string())).collect();
    let out = platform.run(&["-A", "counter", "activity", "--json"]);
    let records = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let kills: Vec<Value> = records.filter(|record| record["category"] == "fault").collect();
    for kill in &kills {
        assert_eq!((&kill["action"], &kill["seed"]), (&"kill".into(), &"7".into()), "{kill}");
        let stroke: u64 = text(&kill["stroke"]).parse().unwrap();
        assert_eq!(expected[&stroke], text(&kill["role"]), "{kill}");
        assert!(text(&kill["service"]).contains('.'), "the instance is named: {kill}");
    }
    // A stroke in the middle of a failover may find no master.
    assert!(kills.len() * 3 >= expected.len() * 2, "{} of {} strokes hit", kills.len(), expected.len());
}

#[test]
fn paused_instances_get_no_requests_and_go_on_when_their_time_is_over() {
    let _turn = turn();
    let platform = Platform::new();
    platform.up(&sample("samples/counter"), "counter");
    platform.scale("counter", &["www=2", "db=2"]);
    a_promise_is_kept_by_another_daemon(&platform);
    a_paused_instance_can_be_restarted_and_scaled_away(&platform);
    a_paused_master_is_replaced_and_comes_back(&platform);
    a_stroke_that_hits_nobody_is_told_and_no_end(&platform);
    an_interrupted_series_says_what_it_did(&platform);
    a_series_ends_with_its_application(&platform);
}

fn a_promise_is_kept_by_another_daemon(platform: &Platform) {
    let web = platform.web("counter", "www");
    platform.run(&["-A", "counter", "pause", "www.1", "--for", "4s"]);
    wait_for("www.1 is out of the routes", SOON, || (state(platform, 1) == "paused").then_some(()));
    assert_eq!(who_answers(&web, 6).into_keys().collect::<Vec<_>>(), ["www.0"], "nobody waits for a paused one");
    let said = platform.refused(&["-A", "counter", "run", "www.1", "true"]);
    assert!(said.contains("www.1 is paused: `dotcloud unpause www.1`"), "{said}");
    platform.kill_daemon();
    wait_for("www.1 goes on", SOON, || (state(platform, 1) == "up").then_some(()));
    let web = platform.web("counter", "www");
    wait_for("www.1 answers", SOON, || who_answers(&web, 4).contains_key("www.1").then_some(()));
    let list = platform.run(&["-A", "counter", "activity"]);
    assert!(list.contains("for=4s") && list.contains("its time was over"), "{list}");
}

fn a_paused_instance_can_be_restarted_and_scaled_away(platform: &Platform) {
    for _ in 0..2 {
        platform.run(&["-A", "counter", "pause", "www.1"]);
    }
    platform.run(&["-A", "counter", "restart", "www.1"]);
    platform.settle("counter");
    platform.run(&["-A", "counter", "pause", "www"]);
    assert!(platform.run(&["-A", "counter", "unpause"]).contains("Unpaused www."));
    platform.run(&["-A", "counter", "unpause", "www.1"]);
    platform.run(&["-A", "counter", "pause", "www.1"]);
    platform.scale("counter", &["www=1"]);
}

fn a_paused_master_is_replaced_and_comes_back(platform: &Platform) {
    let old = platform.member("counter", "db", "master").number;
    platform.run(&["-A", "counter", "pause", "db.master", "--for", "60s"]);
    wait_for("another master", SOON, || {
        let epoch = &platform.service("counter", "db")["group"]["epoch"];
        (epoch["master"].as_u64() != Some(old)).then_some(())
    });
    platform.settle("counter");
    assert_eq!(platform.member("counter", "db", "slave").number, old);
    let receipts = platform.service("counter", "db")["receipts"].clone();
    let receipt = receipts.as_array().unwrap().last().unwrap().clone();
    assert_eq!(receipt["lost_bytes"], 0, "{receipt}");
    assert!(receipt["new_position"].as_u64() >= receipt["old_position"].as_u64(), "{receipt}");
}

fn a_stroke_that_hits_nobody_is_told_and_no_end(platform: &Platform) {
    platform.scale("counter", &["db=1"]);
    let out = platform.run(&["-A", "counter", "kill", "db.slave", "--every", "100ms", "--for", "300ms", "--json"]);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[3]["missed"]), (4, &3.into()), "{out}");
    assert!(text(&lines[0]["missed"]).contains("has no slave"), "{out}");
    for wrong in [&["nobody"][..], &["www.7"], &["www.master"]] {
        let words = [&["-A", "counter", "kill"], wrong, &["--every", "1s"]].concat();
        assert_eq!(platform.try_run(&words).status.code(), Some(2), "{wrong:?} is a slip of the keyboard");
    }
}

fn an_interrupted_series_says_what_it_did(platform: &Platform) {
    let words = ["-A", "counter", "kill", "db.slave", "--every", "1s", "--for", "60s", "--seed", "1"];
    let mut series = platform.command(&words).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = std::io::BufReader::new(series.stdout.take().unwrap());
    let mut first = String::new();
    std::io::BufRead::read_line(&mut out, &mut first).unwrap();
    let pid = rustix::process::Pid::from_child(&series);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let rest = std::io::read_to_string(out).unwrap();
    assert!(rest.contains("strokes in") && rest.contains("--seed 1 repeats them"), "{first}{rest}");
    assert_eq!(series.wait().unwrap().code(), Some(130));
}

fn a_series_ends_with_its_application(platform: &Platform) {
    let words = ["-A", "counter", "kill", "db.slave", "--every", "100ms"];
    let mut series = platform.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = std::io::BufReader::new(series.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut String::new()).unwrap();
    platform.run(&["-A", "counter", "destroy", "-y"]);
    let rest = std::io::read_to_string(out).unwrap();
    let said = std::io::read_to_string(series.stderr.take().unwrap()).unwrap();
    assert!(rest.contains("strokes in") && said.contains("does not exist"), "{rest}{said}");
    assert_eq!(series.wait().unwrap().code(), Some(1));
}

fn state(platform: &Platform, number: u64) -> String {
    let info = platform.service("counter", "www");
    let instances = info["instances"].as_array().cloned().unwrap_or_default();
    let instance = instances.into_iter().find(|instance| instance["instance_id"] == number);
    instance.map(|instance| text(&instance["state"])).unwrap_or_default()
}
