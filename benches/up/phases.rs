//! The phases of a python instance's start, read afterwards from where each left its time:
//! Docker's own times, the files that servers make when they begin to listen, and Docker's time
//! of the first line in the access log that the application answered.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::docker::Engine;
use crate::support::platform::{Platform, text};
use crate::support::statistics::Series;

/// For the first answer of an instance, in milliseconds after its container's creation.
pub const TARGET: f64 = 900.0;

/// Phases in their order, and where their ends are read.
const PHASES: [(&str, &str); 5] = [
    ("container started", "Docker's StartedAt"),
    ("supervisor up", "time of supervisord.pid"),
    ("uWSGI listens", "time of its socket"),
    ("nginx listens", "time of nginx.pid, written after its sockets"),
    ("first answer", "access log, Docker's time of the first line without 502"),
];
const FILES: [&str; 3] = ["/var/dotcloud/supervisord.pid", "/var/dotcloud/uwsgi.sock", "/var/dotcloud/nginx.pid"];

/// Milliseconds from the creation of a container to the end of each phase.
#[derive(Default)]
pub struct Phases {
    ends: [Series; 5],
}

impl Phases {
    /// Adds what the running instances of a python service tell of their start.
    pub fn add(&mut self, platform: &Platform, engine: &Engine, app: &str, service: &str) {
        let info = platform.service(app, service);
        for instance in info["instances"].as_array().unwrap() {
            let id = text(&instance["container_id"]);
            let name = format!("{service}.{}", instance["instance_id"]);
            let found = engine.inspect(&id);
            let created = time(&found.created.unwrap());
            let started = time(&found.state.unwrap().started_at.unwrap());
            let [supervisor, uwsgi, nginx] = file_times(platform, app, &name);
            for (series, at) in self.ends.iter_mut().zip([started, supervisor, uwsgi, nginx, first_answer(engine, &id)])
            {
                series.push(at.duration_since(created).as_secs_f64() * 1000.0);
            }
        }
    }

    pub fn print(&self, head: &str) {
        println!("\n{head:<44}{:>7}{:>11}{:>9}{:>9}", "starts", "median ms", "p95", "max");
        for ((phase, _), series) in PHASES.iter().zip(&self.ends) {
            let (median, p95) = (series.median(), series.quantile(0.95));
            println!("{phase:<44}{:>7}{median:>11.0}{p95:>9.0}{:>9.0}", series.len(), series.max());
        }
    }

    pub fn first_answer(&self) -> f64 {
        self.ends[PHASES.len() - 1].median()
    }

    pub fn json(&self) -> Value {
        let phase = |((name, source), series): (&(&str, &str), &Series)| json!({ "phase": name, "read_from": source, "since_creation": series.json() });
        PHASES.iter().zip(&self.ends).map(phase).collect()
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// When the files were made: within the instance, so that the engine may be anywhere.
fn file_times(platform: &Platform, app: &str, instance: &str) -> [Timestamp; 3] {
    let command = [&["-A", app, "run", instance, "--", "stat", "-c", "%.9Y"][..], &FILES].concat();
    let said = platform.run(&command);
    let nanoseconds = said.lines().map(|line| line.trim().replace('.', "").parse::<i128>().unwrap());
    let times: Vec<_> = nanoseconds.map(|at| Timestamp::from_nanosecond(at).unwrap()).collect();
    times.try_into().unwrap_or_else(|times| panic!("{instance}: {times:?}"))
}

fn first_answer(engine: &Engine, container: &str) -> Timestamp {
    let answered = |line: &&(String, String)| line.1.contains(" HTTP/1.1\" ") && !line.1.contains(" HTTP/1.1\" 502 ");
    let lines = engine.log(container);
    let line = lines.iter().find(answered).unwrap_or_else(|| panic!("no request in {lines:?}"));
    time(&line.0)
}
