//! MongoDB: replica sets that elect by themselves. What needs the official image runs where that
//! is, and says so where it is not.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::mongo::{Mongo, Writer};
use crate::support::platform::{Platform, sample, text};
use crate::support::wait_for;
use crate::turn;

const APP: &str = "set";
const IMAGE: &str = "mongo:7";
const PATIENCE: Duration = Duration::from_secs(60);
const KILLS: u32 = 20;

fn stack(instances: u32) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let idle = "config: {mongodb_oplog_size: 256, mongodb_smallfiles: true}";
    let text = format!("www:\n  type: static\ndb:\n  type: mongodb\n  instances: {instances}\n  {idle}\n");
    fs::write(folder.path().join("dotcloud.yml"), text).unwrap();
    folder
}

fn image_is_here() -> bool {
    let found = Command::new("docker").args(["image", "inspect", IMAGE]).output();
    found.is_ok_and(|output| output.status.success())
}

#[test]
fn numbers_that_are_no_majority_better_are_said_before_anything_runs() {
    let platform = Platform::new();
    let two = stack(2);
    let output = platform.try_run(&["validate", two.path().to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("2 instances are ignored: it begins with 1"), "{said}");
    assert!(said.contains("A service of type mongodb has 1, 3 or 5 instances"), "{said}");
    let seven = stack(7);
    let refused = platform.refused(&["validate", seven.path().to_str().unwrap()]);
    assert!(refused.contains("7 instances are too many"), "{refused}");
    let refused = platform.refused(&["-A", APP, "up", "-d", seven.path().to_str().unwrap()]);
    assert!(
        refused.contains("cannot have 7 instances: a service of type mongodb has 1, 3 or 5 instances"),
        "{refused}"
    );
}

/// The type with a server that says nothing, so that its rules can be tried everywhere.
fn without_server(platform: &Platform) {
    let folder = platform.home().join("templates/mongodb");
    fs::create_dir_all(&folder).unwrap();
    let text = include_str!("../../templates/mongodb/service.toml");
    let from_base = text.replace(&format!("pull = \"{IMAGE}\""), "from = \"base\"");
    assert_ne!(from_base, text);
    let dockerfile =
        "ARG PARENT\nFROM ${PARENT}\nCOPY member pod /usr/lib/dotcloud/\nRUN chmod 755 /usr/lib/dotcloud/*\n";
    let member = "#!/bin/sh\nexec sleep infinity\n";
    for (name, text) in [("service.toml", from_base.as_str()), ("Dockerfile", dockerfile), ("member", member)] {
        fs::write(folder.join(name), text).unwrap();
    }
}

#[test]
fn a_set_is_described_and_scaled_by_its_rules() {
    let _turn = turn();
    let platform = Platform::new();
    without_server(&platform);
    let folder = stack(2);
    let output = platform.try_run(&["-A", APP, "up", "-d", folder.path().to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", platform.log_tail());
    assert!(said.contains("\"instances: 2\" is ignored, it begins with 1"), "{said}");
    assert!(said.contains("mongodb_smallfiles has no effect"), "{said}");
    assert_eq!(platform.service(APP, "db")["instance_count"], 1);

    let output = platform.try_run(&["-A", APP, "scale", "--no-wait", "db=2"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("db=2 is ignored, it stays at 1: a service of type"), "{said}");
    assert!(!said.contains("Successfully") && !said.contains("another command"), "{said}");
    assert_eq!(platform.service(APP, "db")["instance_count"], 1);
    let refused = platform.refused(&["-A", APP, "scale", "db=7"]);
    assert!(refused.contains("cannot be scaled to 7: a service of type mongodb has 1, 3 or 5 instances"), "{refused}");
    platform.run(&["-A", APP, "scale", "--no-wait", "db=3"]);
    the_addresses_are_open_and_in_the_environment(&platform);
}

fn the_addresses_are_open_and_in_the_environment(platform: &Platform) {
    let url = text(&platform.service(APP, "db")["address"]);
    let members = members(&url);
    assert_eq!(members.len(), 3, "{url}");
    for member in &members {
        let loopback = SocketAddr::from(([127, 0, 0, 1], member.port()));
        for addr in [*member, loopback] {
            wait_for("the member's address is open", PATIENCE, || {
                TcpStream::connect_timeout(&addr, Duration::from_secs(1)).ok()
            });
        }
    }
    let environment = platform.run(&["-A", APP, "run", "www", "--", "cat", "/home/dotcloud/environment.json"]);
    let environment: Value = serde_json::from_str(&environment).unwrap();
    let variable = |kind: &str| text(&environment[format!("DOTCLOUD_DB_MONGODB_{kind}")]);
    assert_eq!((&*variable("LOGIN"), &*variable("HOST")), ("root", "db.set.dc.internal"));
    assert!(variable("PORT").parse::<u16>().is_ok_and(|port| port != members[0].port()), "the front's own");
    let first = format!("mongodb://root:{}@{}/?replicaSet=dotcloud", variable("PASSWORD"), members[0]);
    assert_eq!(variable("URL"), first, "as it was when www was started");
}

/// The addresses of a connection string.
fn members(url: &str) -> Vec<SocketAddr> {
    let hosts = url.strip_suffix("/?replicaSet=dotcloud").and_then(|url| url.rsplit_once('@')).unwrap().1;
    hosts.split(',').map(|host| host.parse().unwrap()).collect()
}

#[test]
fn members_elect_and_nothing_that_a_majority_has_is_lost() {
    let _turn = turn();
    if !image_is_here() {
        eprintln!("skipped: image absent ({IMAGE}): no server elected anybody in this run");
        return;
    }
    let platform = Platform::new();
    platform.up(&sample("samples/replicas"), APP);
    platform.settle(APP);
    let greeting = platform.run(&["-A", APP, "run", "db", "--", "mongosh", "--eval", "db.runCommand({ping: 1}).ok"]);
    assert!(greeting.trim().ends_with('1'), "{greeting}");
    platform.scale(APP, &["db=1"]);
    let url = text(&platform.service(APP, "db")["address"]);

    let writer = Writer::start(&url);
    for count in ["db=3", "db=5", "db=3"] {
        platform.scale(APP, &[count]);
    }
    let client = Mongo::connect(&text(&platform.service(APP, "db")["address"]));
    for _ in 0..KILLS {
        primary_is_replaced(&platform);
    }
    platform.settle(APP);
    platform.scale(APP, &["db=1"]);
    let acknowledged = writer.stop();
    assert!(acknowledged > 0);
    let there = client.read();
    let lost: Vec<i64> = (1..=acknowledged).filter(|number| !there.contains(number)).collect();
    assert!(lost.is_empty(), "{} of {acknowledged}: {lost:?}", lost.len());

    platform.scale(APP, &["db=3"]);
    let client = Mongo::connect(&text(&platform.service(APP, "db")["address"]));
    wait_for("a secondary answers with everything", PATIENCE, || {
        let there = client.read_secondary();
        (1..=acknowledged).all(|number| there.contains(&number)).then_some(())
    });
}

fn primary_is_replaced(platform: &Platform) {
    let old = platform.member(APP, "db", "master");
    platform.run(&["-A", APP, "kill", "db.master"]);
    wait_for("another primary", PATIENCE, || {
        let info = platform.service(APP, "db");
        let members = info["group"]["members"].as_array()?.clone();
        let settled = info["group"]["settled"] == true;
        let primary = members.iter().find(|member| member["role"] == "master")?["instance_id"].as_u64()?;
        (settled && primary != old.number).then_some(())
    });
    platform.settle(APP);
}
