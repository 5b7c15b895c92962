//! Masters that die, hang or are none.

use std::time::Duration;

use dotcloud_local::model::SyncState;
use rustix::process::Signal;

use super::client::Client;
use super::stage::Stage;
use crate::processes::present;

/// Prints what was measured.
fn report(what: &str, mut took: Vec<Duration>) -> Duration {
    took.sort();
    let median = took[took.len() / 2];
    println!("{what}: median {median:?}, worst {:?}, {} rounds", took[took.len() - 1], took.len());
    median
}

/// How many failures a test makes; more when measuring.
fn rounds() -> usize {
    std::env::var("FAILOVER_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

async fn fail_often(signal: Signal, what: &str) {
    if !present() {
        println!("skipped: there is no redis-server");
        return;
    }
    let stage = Stage::new(2).await;
    let mut took = Vec::new();
    for _ in 0..rounds() {
        took.push(stage.round(signal, 2).await);
        let secured = std::mem::take(&mut stage.writes.lock().unwrap().secured);
        assert_eq!(stage.lost(&secured).await, 0, "a write that a slave had confirmed is lost");
        assert_eq!(stage.masters().await, 1);
    }
    for receipt in stage.ledger.receipts.lock().unwrap().iter() {
        println!("{receipt:?}");
    }
    assert!(took.iter().all(|took| *took < Duration::from_secs(2)), "{took:?}");
    report(what, took);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_master_is_replaced_and_comes_back_as_a_slave() {
    fail_often(Signal::KILL, "kill to first write").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_master_is_ended_and_replaced() {
    fail_often(Signal::STOP, "hang to first write").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_master_that_dies_is_promoted_again_with_its_data() {
    if !present() {
        return;
    }
    let stage = Stage::new(1).await;
    stage.write_by(0).await;
    let acknowledged = stage.stop_writing_all();
    stage.servers.signal(0, Signal::KILL);
    let status = stage.until("it waits", |s| s.phase == "gathering").await;
    assert!(status.reason.unwrap().contains("db.0"));
    stage.servers.start(0);
    stage.observe();
    stage.settled(1).await;
    assert_eq!(stage.lost(&acknowledged).await, 0);
    assert_eq!(stage.ledger.epoch.lock().unwrap().unwrap().number, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_made_itself_master_is_ended() {
    if !present() {
        return;
    }
    let stage = Stage::new(2).await;
    let mut client = Client::connect(stage.servers.addr(1)).await.unwrap();
    client.ask("REPLICAOF NO ONE\r\n").await.unwrap();
    stage.until("it is ended", |s| s.members[1].sync == SyncState::Down).await;
    stage.servers.start(1);
    stage.observe();
    assert_eq!(stage.settled(2).await, 0);
}
