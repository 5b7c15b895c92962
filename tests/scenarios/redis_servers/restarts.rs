//! Daemons and servers that come back.

use dotcloud_local::model::SyncState;
use rustix::process::Signal;

use super::stage::Stage;
use crate::processes::{Told, present};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_driver_opens_the_recorded_master_again() {
    if !present() {
        return;
    }
    let mut stage = Stage::new(2).await;
    let before = stage.ledger.epoch.lock().unwrap().unwrap();
    stage.replace_driver().await;
    stage.settled(2).await;
    assert_eq!(*stage.ledger.epoch.lock().unwrap(), Some(before));

    // The same when every server was stopped and started meanwhile: they boot safe.
    let confirmed = stage.stop_writing();
    stage.driver_stopped().await;
    for index in 0..2 {
        stage.servers.signal(index, Signal::KILL);
        stage.servers.start(index);
    }
    stage.replace_driver().await;
    assert_eq!(stage.settled(2).await, before.master);
    assert_eq!(*stage.ledger.epoch.lock().unwrap(), Some(before));
    assert_eq!(stage.lost(&confirmed).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_driver_replaces_a_master_that_died_meanwhile() {
    if !present() {
        return;
    }
    let mut stage = Stage::new(3).await;
    let confirmed = stage.stop_writing();
    stage.driver_stopped().await;
    stage.servers.signal(0, Signal::KILL);
    stage.replace_driver().await;
    assert_ne!(stage.settled(2).await, 0);
    assert_eq!(stage.lost(&confirmed).await, 0);
    assert_eq!(stage.masters().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_restart_of_the_master_changes_no_epoch() {
    if !present() {
        return;
    }
    let stage = Stage::new(2).await;
    let before = stage.ledger.epoch.lock().unwrap().unwrap();
    let plan = stage.driver.plan_restart(before.master).await;
    assert_eq!(*stage.front.borrow(), Told::Gated, "the restart begins with the front gated");
    stage.servers.signal(before.master as usize, Signal::TERM);
    stage.until("it is down", |s| !s.settled && s.members[0].sync == SyncState::Down).await;
    stage.servers.start(before.master as usize);
    plan.carried_out();
    stage.observe();
    stage.settled(2).await;
    assert_eq!(*stage.ledger.epoch.lock().unwrap(), Some(before));
    assert!(stage.ledger.receipts.lock().unwrap().is_empty(), "it was no failure");
}

/// The restart was allowed to begin, and then the master could not be stopped, or not be started.
#[tokio::test(flavor = "multi_thread")]
async fn a_planned_restart_that_failed_reopens_the_group_at_once() {
    if !present() {
        return;
    }
    let stage = Stage::new(2).await;
    let before = stage.ledger.epoch.lock().unwrap().unwrap();
    let plan = stage.driver.plan_restart(before.master).await;
    assert_eq!(*stage.front.borrow(), Told::Gated);
    drop(plan);
    stage.settled(2).await;
    assert_eq!(*stage.ledger.epoch.lock().unwrap(), Some(before), "it is the same master");

    let plan = stage.driver.plan_restart(before.master).await;
    stage.servers.signal(before.master as usize, Signal::KILL);
    stage.until("it is down", |s| !s.settled && s.members[0].sync == SyncState::Down).await;
    drop(plan);
    assert_ne!(stage.settled(1).await, before.master, "its slave succeeds it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_restart_of_a_dead_member_is_answered() {
    if !present() {
        return;
    }
    let stage = Stage::new(2).await;
    stage.servers.signal(1, Signal::KILL);
    stage.until("it is down", |s| s.members[1].sync == SyncState::Down).await;
    let allowed = tokio::time::timeout(std::time::Duration::from_secs(5), stage.driver.plan_restart(1)).await;
    assert!(allowed.is_ok(), "nobody waits for a process that does not run");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_without_an_epoch_stalls_until_a_master_is_named() {
    if !present() {
        return;
    }
    let mut stage = Stage::new(2).await;
    stage.write_by(0).await;
    let confirmed = stage.stop_writing();
    stage.driver_stopped().await;
    *stage.ledger.epoch.lock().unwrap() = None;
    for index in 0..2 {
        stage.servers.signal(index, Signal::KILL);
        stage.servers.start(index);
    }
    stage.replace_driver().await;
    let status = stage.until("stalled", |s| s.phase == "stalled").await;
    assert!(status.reason.unwrap().contains("holds data"));
    assert_eq!(stage.masters().await, 0);
    assert_eq!(stage.driver.switchover(Some(0)).await, Ok(0));
    assert_eq!(stage.settled(2).await, 0);
    assert_eq!(stage.lost(&confirmed).await, 0);
}
