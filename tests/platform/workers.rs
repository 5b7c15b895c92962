//! The type python-worker: jobs, and what becomes of those whose worker dies.

use std::fs;
use std::time::Duration;

use http::Method;
use serde_json::Value;

use super::race::answer;
use crate::support::platform::{Platform, Web, sample};
use crate::support::wait_for;
use crate::turn;

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_killed_worker_loses_the_job_it_popped_and_redoes_the_one_it_moved() {
    let _turn = turn();
    let platform = Platform::new();
    platform.up(&sample("samples/worker"), "worker");
    platform.scale("worker", &["worker=2"]);
    let web = platform.web("worker", "www");
    all_wait_for_jobs(&platform);
    for queue in ["careless", "careful"] {
        enqueue(&web, queue, 4);
    }
    wait_for("both workers have a job of each queue in hand", PATIENCE, || {
        let jobs = jobs(&web);
        let held = &jobs["careful"]["held"];
        (held["worker.0"] == 1 && held["worker.1"] == 1 && jobs["careless"]["waiting"] == 2).then_some(())
    });
    platform.run(&["-A", "worker", "kill", "worker.1"]);
    wait_for("all careful jobs are done", PATIENCE, || (jobs(&web)["careful"]["done"] == 4).then_some(()));
    wait_for("the other careless jobs are done", PATIENCE, || (jobs(&web)["careless"]["done"] == 3).then_some(()));
    let jobs = jobs(&web);
    assert_eq!((&jobs["careless"]["waiting"], &jobs["careful"]["held"]), (&Value::from(0), &serde_json::json!({})));
    let log = platform.run(&["-A", "worker", "logs", "--no-follow", "worker.1"]);
    assert!(log.contains("one job was cut off and is queued again"), "{log}");

    a_restart_lets_the_job_in_hand_end(&platform, &web);
    a_worker_has_no_address_and_no_front(&platform);
    a_worker_without_a_process_is_refused(&platform);
    a_worker_that_cannot_be_installed_is_not_deployed(&platform);
}

fn a_restart_lets_the_job_in_hand_end(platform: &Platform, web: &Web) {
    let before = jobs(web)["careless"]["done"].as_u64().unwrap();
    enqueue(web, "careless", 2);
    wait_for("both are in hand", PATIENCE, || (jobs(web)["careless"]["waiting"] == 0).then_some(()));
    platform.run(&["-A", "worker", "restart", "worker"]);
    wait_for("both are done", PATIENCE, || (jobs(web)["careless"]["done"] == before + 2).then_some(()));
}

fn a_worker_has_no_address_and_no_front(platform: &Platform) {
    assert_eq!(platform.service("worker", "worker")["urls"].as_array().map(Vec::len), Some(0));
    let programs = platform.run(&["-A", "worker", "run", "worker", "--", "supervisorctl", "status"]);
    let names: Vec<_> = programs.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["careful", "careless"]);
}

fn a_worker_without_a_process_is_refused(platform: &Platform) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dotcloud.yml");
    fs::write(&file, "worker:\n  type: python-worker\n").unwrap();
    let said = platform.refused(&["-A", "worker", "push", folder.path().to_str().unwrap()]);
    assert!(said.contains("There is nothing to start") && said.contains("process: <command>"), "{said}");

    // One that only registers a crontab has none either, and is right.
    fs::write(&file, "worker:\n  type: python-worker\n  postinstall: echo '* * * * * true' | crontab\n").unwrap();
    platform.run(&["-A", "worker", "push", folder.path().to_str().unwrap()]);
    let table = platform.run(&["-A", "worker", "run", "worker.0", "--", "crontab", "-l"]);
    assert!(table.contains("* * * * * true"), "{table}");
}

/// Without a port to ask, it is known to run when its programs were started.
fn a_worker_that_cannot_be_installed_is_not_deployed(platform: &Platform) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dotcloud.yml");
    let push = || platform.try_run(&["-A", "worker", "push", folder.path().to_str().unwrap()]);
    let worker = |hook: &str| format!("worker:\n  type: python-worker\n  process: sleep 1000\n  postinstall: {hook}\n");
    fs::write(&file, worker("sleep 1; exit 3")).unwrap();
    let failed = push();
    assert_eq!(failed.status.code(), Some(5), "{failed:?}");

    fs::write(&file, worker("test ! -e ~/data/kept")).unwrap();
    assert!(push().status.success());
    platform.run(&["-A", "worker", "run", "worker.0", "--", "touch", "data/kept"]);
    fs::write(&file, worker("test ! -e ~/data/kept && true")).unwrap();
    let pushed = push();
    let said = String::from_utf8_lossy(&pushed.stdout).into_owned() + &String::from_utf8_lossy(&pushed.stderr);
    assert!(pushed.status.success() && said.contains("~/data is handed over"), "{said}");
    assert!(platform.run(&["-A", "worker", "run", "worker.0", "--", "ls", "data/"]).contains("kept"));
}

/// Else the first worker might do the jobs of both.
fn all_wait_for_jobs(platform: &Platform) {
    for instance in ["worker.0", "worker.1"] {
        wait_for("both processes of the worker wait for jobs", PATIENCE, || {
            let log = platform.run(&["-A", "worker", "logs", "--no-follow", instance]);
            (log.matches("waiting for jobs").count() == 2).then_some(())
        });
    }
}

/// Long enough to be caught in the act.
fn enqueue(web: &Web, queue: &str, jobs: u32) {
    answer(web, Method::POST, &format!("/jobs?queue={queue}&n={jobs}&ms=1500"));
}

fn jobs(web: &Web) -> Value {
    serde_json::from_slice(&answer(web, Method::GET, "/jobs").body).unwrap()
}
