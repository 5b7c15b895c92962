//! A load while the application is pushed, scaled or bled, and what the load says afterwards.

use std::path::Path;
use std::time::{Duration, Instant};

use dotcloud_local::cli::race::connection::{Connection, Target};
use http::Method;
use serde_json::Value;

use super::load::{Load, Mix, Sample};
use super::platform::{Platform, Web, text, texts};
use super::{pause, wait_for};

/// Between two kills.
const EVERY: Duration = Duration::from_secs(3);

/// What happened to a load.
#[derive(Debug)]
pub struct Report {
    pub samples: Vec<Sample>,
    /// Ids that reached the application more than once, by its own count.
    pub twice: Vec<String>,
    /// How many ids reached it.
    pub arrived: u64,
    /// Who was killed, from just before the call to just after it.
    pub kills: Vec<(String, Instant, Instant)>,
}

impl Report {
    fn failed(&self, write: bool) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| sample.write == write && sample.result.is_err())
    }

    pub fn failed_reads(&self) -> Vec<String> {
        self.failed(false).map(describe).collect()
    }

    pub fn failed_writes(&self) -> Vec<String> {
        self.failed(true).map(describe).collect()
    }

    /// Failed writes that were not under way when an instance was killed.
    pub fn writes_failed_without_a_kill(&self) -> Vec<String> {
        let under_way = |sample: &&Sample| {
            self.kills.iter().any(|(_, before, after)| sample.started <= *after && sample.ended >= *before)
        };
        self.failed(true).filter(|sample| !under_way(sample)).map(describe).collect()
    }
}

fn describe(sample: &Sample) -> String {
    format!("{}: {}", sample.id, sample.result.as_ref().err().map_or("", String::as_str))
}

/// The load runs for `at_least` and through a push of changed code and `scale 1 -> 4 -> 2`.
pub fn during_changes(platform: &Platform, code: &Path, app: &str, mix: Mix, at_least: Duration) -> Report {
    let (web, started) = (platform.web(app, "www"), Instant::now());
    let load = warmed_up(&web, mix);
    std::fs::write(code.join("version"), format!("{started:?}")).unwrap();
    platform.run(&["-A", app, "push", code.to_str().unwrap()]);
    platform.scale(app, &["www=4"]);
    platform.scale(app, &["www=2"]);
    wait_for("the load ran long enough", at_least * 2, || (started.elapsed() >= at_least).then_some(()));
    report(&web, load.stop(), Vec::new())
}

/// The load runs for `time` while one of the instances is killed every 3 s.
pub fn during_kills(platform: &Platform, app: &str, mix: Mix, time: Duration) -> Report {
    let (web, started) = (platform.web(app, "www"), Instant::now());
    let load = warmed_up(&web, mix);
    let mut kills = Vec::new();
    for round in 0.. {
        pause(EVERY);
        if started.elapsed() >= time {
            break;
        }
        if let Some(victim) = running(platform, app, round) {
            let before = Instant::now();
            platform.run(&["-A", app, "kill", &victim]);
            kills.push((victim, before, Instant::now()));
        }
    }
    report(&web, load.stop(), kills)
}

/// Starts a load and returns when it is answered.
fn warmed_up(web: &Web, mix: Mix) -> Load {
    ask(web, Method::POST, "/reset");
    let load = Load::start(web, mix);
    wait_for("the load is answered", Duration::from_secs(30), || (load.done() >= 50).then_some(()));
    load
}

/// The next victim among the instances that run.
fn running(platform: &Platform, app: &str, round: usize) -> Option<String> {
    let info = platform.service(app, "www");
    let up = info["instances"].as_array()?.iter().filter(|instance| instance["state"] == "up");
    let numbers: Vec<_> = up.filter_map(|instance| instance["instance_id"].as_u64()).collect();
    // The last one is spared: with nobody left, 503 is the right answer.
    (numbers.len() > 1).then(|| format!("www.{}", numbers[round % numbers.len()]))
}

fn report(web: &Web, samples: Vec<Sample>, kills: Vec<(String, Instant, Instant)>) -> Report {
    let arrivals = ask(web, Method::GET, "/arrivals");
    let arrived = arrivals["requests"].as_u64().unwrap_or_else(|| panic!("{}", text(&arrivals)));
    Report { samples, twice: texts(&arrivals["twice"]), arrived, kills }
}

fn ask(web: &Web, method: Method, path: &str) -> Value {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let target = Target { addr: web.addr, host: web.host.clone() };
    let answer = runtime.block_on(async { Connection::new(&target).send(method, path, "").await });
    let answer = answer.unwrap_or_else(|failure| panic!("{path}: {failure:?}"));
    serde_json::from_slice(&answer.body).unwrap_or_default()
}
