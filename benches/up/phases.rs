//! The phases of a python instance's start, read afterwards from where each left its time:
//! Docker's own times, and the files that servers make when they begin to listen. The first
//! answer is seen by asking, every few milliseconds.

use std::io::{Read, Write};
use std::net::TcpStream;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::docker::Engine;
use crate::support::often;
use crate::support::platform::{Platform, text};
use crate::support::statistics::Series;

/// For the first 200 of an instance, in milliseconds after its container's creation.
pub const TARGET: f64 = 900.0;

/// Phases in their order, and where their ends are read.
const PHASES: [(&str, &str); 5] = [
    ("container started", "Docker's StartedAt"),
    ("supervisor up", "time of supervisord.pid"),
    ("uWSGI listens", "time of its socket"),
    ("nginx listens", "time of nginx.pid, written after its sockets"),
    ("first 200", "a client that asks every 3 ms"),
];
const FILES: [&str; 3] = ["/var/dotcloud/supervisord.pid", "/var/dotcloud/uwsgi.sock", "/var/dotcloud/nginx.pid"];

/// Milliseconds from the creation of a container to the end of each phase.
#[derive(Default)]
pub struct Phases {
    ends: [Series; 5],
}

impl Phases {
    /// Adds what the running instances of `www` tell of their start, and when the one that was
    /// watched gave its first answer.
    pub fn add(&mut self, platform: &Platform, engine: &Engine, app: &str, first: Option<Timestamp>) {
        let info = platform.service(app, "www");
        for instance in info["instances"].as_array().unwrap() {
            let found = engine.inspect(&text(&instance["container_id"]));
            let created = time(&found.created.unwrap());
            let started = time(&found.state.unwrap().started_at.unwrap());
            let [supervisor, uwsgi, nginx] = file_times(platform, app, &format!("www.{}", instance["instance_id"]));
            let ends = [Some(started), Some(supervisor), Some(uwsgi), Some(nginx), first];
            for (series, at) in self.ends.iter_mut().zip(ends) {
                at.into_iter().for_each(|at| series.push(at.duration_since(created).as_secs_f64() * 1000.0));
            }
        }
    }

    pub fn print(&self, head: &str) {
        println!("\n{head:<44}{:>7}{:>11}{:>9}{:>9}", "starts", "median ms", "p95", "max");
        for (phase, _, series) in self.measured() {
            let (median, p95) = (series.median(), series.quantile(0.95));
            println!("{phase:<44}{:>7}{median:>11.0}{p95:>9.0}{:>9.0}", series.len(), series.max());
        }
    }

    pub fn first_200(&self) -> f64 {
        self.ends[PHASES.len() - 1].median()
    }

    pub fn json(&self) -> Value {
        let phases = self.measured();
        phases
            .map(|(name, from, ends)| json!({ "phase": name, "read_from": from, "since_creation": ends.json() }))
            .collect()
    }

    fn measured(&self) -> impl Iterator<Item = (&str, &str, &Series)> {
        let all = PHASES.iter().zip(&self.ends).map(|((name, from), series)| (*name, *from, series));
        all.filter(|(_, _, series)| series.len() > 0)
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// When the files were made: asked within the instance, so that the engine may be anywhere.
fn file_times(platform: &Platform, app: &str, instance: &str) -> [Timestamp; 3] {
    let command = [&["-A", app, "run", instance, "--", "stat", "-c", "%.9Y"][..], &FILES].concat();
    let said = platform.run(&command);
    let nanoseconds = said.lines().map(|line| line.trim().replace('.', "").parse::<i128>().unwrap());
    let times: Vec<_> = nanoseconds.map(|at| Timestamp::from_nanosecond(at).unwrap()).collect();
    times.try_into().unwrap_or_else(|times| panic!("{instance}: {times:?}"))
}

/// When the next instance of the home answers `path` with 200.
pub fn first_200_of_newcomer(home: &str, known: &[String], path: &str) -> Timestamp {
    let engine = Engine::connect();
    let ip = often("a new instance runs", || engine.newcomer(home, known));
    often("it answers", || is_200(&ip, path).then(Timestamp::now))
}

fn is_200(ip: &str, path: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect((ip, 80))?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(head.ends_with(b"200"))
    };
    ask().unwrap_or(false)
}
