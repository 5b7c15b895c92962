//! Masters that hand over while they live.

use std::time::Instant;

use super::stage::Stage;
use crate::processes::present;

#[tokio::test(flavor = "multi_thread")]
async fn a_switchover_loses_nothing_and_is_quick() {
    if !present() {
        return;
    }
    let stage = Stage::new(3).await;
    stage.write_by(0).await;
    let began = Instant::now();
    assert_eq!(stage.driver.switchover(Some(2)).await, Ok(2));
    println!("switchover: {:?}", began.elapsed());
    stage.write_by(2).await;
    let acknowledged = stage.stop_writing_all();
    assert_eq!(stage.lost(&acknowledged).await, 0);
    assert_eq!(stage.masters().await, 1);
    stage.settled(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_is_scaled_away_hands_over_first() {
    if !present() {
        return;
    }
    let stage = Stage::new(2).await;
    stage.write_by(0).await;
    stage.servers.leave(0);
    stage.observe();
    stage.until("handed over", |s| s.settled && s.epoch.is_some_and(|e| e.master == 1)).await;
    let acknowledged = stage.stop_writing_all();
    assert_eq!(stage.lost(&acknowledged).await, 0);
}
