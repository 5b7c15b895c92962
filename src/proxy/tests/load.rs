//! Load while instances come, go and die: nothing fails that need not, nothing is sent twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::support::*;
use crate::model::Backend;

/// What the clients saw: by method, answers that were not 200, with their request's number.
#[derive(Default)]
struct Seen {
    sent: u64,
    failed: Vec<(String, u16)>,
}

/// Clients ask until told to stop; every second request is a POST, one in ten is slow.
fn clients(front: &Arc<Front>, count: u64, stop: &Arc<AtomicBool>) -> Vec<tokio::task::JoinHandle<Seen>> {
    let number = Arc::new(AtomicU64::new(0));
    let client = |_| {
        let (front, stop, number) = (front.clone(), stop.clone(), number.clone());
        tokio::spawn(async move {
            let mut seen = Seen::default();
            while !stop.load(Ordering::Relaxed) {
                let number = number.fetch_add(1, Ordering::Relaxed);
                let method = if number.is_multiple_of(2) { "POST" } else { "GET" };
                let path = if number % 10 < 2 && number % 20 < 12 { "/slow/300" } else { "/" };
                let id = format!("{method}-{number}");
                let answer = front.send(method, path, &format!("X-Id: {id}\r\n"), "").await;
                seen.sent += 1;
                if answer.status != 200 {
                    seen.failed.push((id, answer.status));
                }
            }
            seen
        })
    };
    (0..count).map(client).collect()
}

/// How often each request arrived at any instance.
fn arrivals<'a>(instances: impl Iterator<Item = &'a Instance>) -> HashMap<String, u32> {
    let mut arrivals = HashMap::new();
    for hit in instances.flat_map(Instance::hits) {
        *arrivals.entry(hit.headers["x-id"].to_str().unwrap().to_owned()).or_default() += 1;
    }
    arrivals
}

async fn collect(clients: Vec<tokio::task::JoinHandle<Seen>>) -> Seen {
    let mut all = Seen::default();
    for client in clients {
        let seen = client.await.unwrap();
        all.sent += seen.sent;
        all.failed.extend(seen.failed);
    }
    all
}

fn backends(instances: &[Instance]) -> Vec<Backend> {
    instances.iter().map(|instance| instance.backend.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_or_arrives_twice_while_instances_are_replaced_and_drained() {
    let mut config = quick();
    config.request_timeout = Duration::from_secs(20);
    let mut running = vec![Instance::start(0).await];
    let front = Arc::new(Front::start(config, &backends(&running)).await);
    let stop = Arc::new(AtomicBool::new(false));
    let asking = clients(&front, 32, &stop);
    let mut retired = Vec::new();
    for count in [4, 2, 1, 3, 1, 4, 2] {
        let mut next = Vec::new();
        for index in 0..count {
            next.push(Instance::start(index).await);
        }
        front.serve(&backends(&next)).await;
        for mut old in std::mem::replace(&mut running, next) {
            assert_eq!(front.proxy.drained(&old.backend.id, Duration::from_secs(30)).await, 0);
            old.kill().await;
            retired.push(old);
        }
    }
    stop.store(true, Ordering::Relaxed);
    let seen = collect(asking).await;
    let arrivals = arrivals(running.iter().chain(&retired));
    eprintln!("{} requests, {} failed", seen.sent, seen.failed.len());
    assert_eq!(seen.failed, []);
    assert_eq!(arrivals.len() as u64, seen.sent);
    assert!(arrivals.values().all(|times| *times == 1), "a request arrived twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_instances_fails_only_posts_in_flight_on_them() {
    let mut config = quick();
    config.request_timeout = Duration::from_secs(20);
    let mut running = Vec::new();
    for index in 0..4 {
        running.push(Instance::start(index).await);
    }
    let front = Arc::new(Front::start(config, &backends(&running)).await);
    let stop = Arc::new(AtomicBool::new(false));
    let asking = clients(&front, 32, &stop);
    let mut killed = Vec::new();
    for round in 0..8 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut victim = std::mem::replace(&mut running[round % 4], Instance::start(9).await);
        victim.kill().await;
        killed.push(victim);
        tokio::time::sleep(Duration::from_millis(20)).await;
        front.serve(&backends(&running)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let seen = collect(asking).await;
    let arrivals = arrivals(running.iter().chain(&killed));
    eprintln!("{} requests, {} failed", seen.sent, seen.failed.len());
    let victims = super::load::arrivals(killed.iter());
    for (id, status) in &seen.failed {
        assert!(id.starts_with("POST") && *status == 502, "{id}: {status}");
        assert!(victims.contains_key(id) || !arrivals.contains_key(id), "{id} failed elsewhere");
    }
    let twice = arrivals.iter().filter(|(id, times)| id.starts_with("POST") && **times > 1).count();
    assert_eq!(twice, 0);
}
