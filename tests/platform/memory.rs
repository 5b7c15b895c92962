//! Memory limits are applied to running processes.

use std::time::Duration;

use crate::support::docker::Engine;
use crate::support::platform::{Platform, sample};
use crate::support::wait_for;
use crate::turn;

const MIB: i64 = 1024 * 1024;

#[test]
fn memory_changes_at_once_and_nothing_restarts() {
    let _turn = turn();
    let platform = Platform::new();
    platform.up(&sample("samples/counter"), "counter");
    platform.scale("counter", &["www=2"]);
    let engine = Engine::connect();
    let containers: Vec<String> = web_containers(&platform);
    let before: Vec<_> = containers.iter().map(|id| engine.processes(id)).collect();

    platform.run(&["-A", "counter", "scale", "www:memory=500M"]);
    for (container, processes) in containers.iter().zip(&before) {
        let host = engine.inspect(container).host_config.unwrap();
        assert_eq!(host.memory, Some(512 * MIB), "rounded to steps of 32M");
        assert_eq!(host.memory_swap, host.memory, "swap is bounded together with memory");
        assert_eq!(engine.processes(container), *processes, "no process was started or ended");
    }
    for number in ["www.0", "www.1"] {
        assert_eq!(limit_inside(&platform, number), 512 * MIB);
    }
    limits_out_of_range_are_refused_with_the_reason(&platform);
    assert_eq!(limit_inside(&platform, "www.0"), 512 * MIB, "a refusal changes nothing");
}

fn limits_out_of_range_are_refused_with_the_reason(platform: &Platform) {
    let refuse = |wish: &str| platform.refused(&["-A", "counter", "scale", wish]);
    assert!(refuse("www:memory=65G").contains("64G"));
    assert!(refuse("www:memory=16M").contains("32M"));
    assert!(refuse("www:memory=5G").contains("4G"));
}

fn web_containers(platform: &Platform) -> Vec<String> {
    let info = platform.service("counter", "www");
    let instances = info["instances"].as_array().unwrap();
    instances.iter().map(|instance| instance["container_id"].as_str().unwrap().to_owned()).collect()
}

/// What the kernel says within the instance, on either version of cgroups.
fn limit_inside(platform: &Platform, instance: &str) -> i64 {
    let files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let output = platform.try_run(&["-A", "counter", "run", instance, "--", "cat", files[0], files[1]]);
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    text.parse().unwrap_or_else(|_| panic!("no limit in {text:?}"))
}

#[test]
fn redis_uses_the_memory_it_is_given_and_keeps_what_it_holds() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("dotcloud.yml"), "db:\n  type: redis\n").unwrap();
    let platform = Platform::new();
    platform.up(folder.path(), "cache");
    for (wish, megabytes) in [("db:memory=512M", 384), ("db:memory=256M", 192)] {
        platform.run(&["-A", "cache", "scale", wish]);
        wait_for("the server says so itself", Duration::from_secs(10), || {
            let said = redis(&platform, &["config", "get", "maxmemory"]);
            said.contains(&(megabytes * MIB).to_string()).then_some(())
        });
    }
    let fill = "for i=1,60 do redis.call('set','k'..i,string.rep('x',1048576)) end";
    redis(&platform, &["eval", fill, "0"]);
    let refusal = platform.refused(&["-A", "cache", "scale", "db:memory=64M"]);
    assert!(refusal.contains("db.0") && refusal.contains("64M"), "{refusal}");
    let said = redis(&platform, &["config", "get", "maxmemory"]);
    assert!(said.contains(&(192 * MIB).to_string()), "a refusal changes nothing: {said}");
}

fn redis(platform: &Platform, words: &[&str]) -> String {
    platform.run(&[&["-A", "cache", "run", "db", "--", "redis-cli"], words].concat())
}
