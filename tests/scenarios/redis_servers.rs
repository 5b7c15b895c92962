//! The driver on real Redis servers: deaths, hangs, restarts, switchovers under writes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dotcloud_local::engine::driver::{GroupHandle, Tuning};
use dotcloud_local::engine::group::GroupContext;
use dotcloud_local::model::{GroupStatus, SyncState};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::processes::{PASSWORD, Servers, TestFront, TestLedger, Told, present};

/// A group with its driver and a client that writes all the time.
struct Stage {
    servers: Arc<Servers>,
    ledger: Arc<TestLedger>,
    front: watch::Sender<Told>,
    driver: GroupHandle,
    writes: Arc<Mutex<Writes>>,
    client: JoinHandle<()>,
}

/// What the client was told.
#[derive(Default)]
struct Writes {
    /// When each master acknowledged its first one since `forget`.
    first_by: HashMap<SocketAddr, Instant>,
    acknowledged: Vec<u64>,
    /// Those of them that a slave had confirmed (`WAIT 1`).
    secured: Vec<u64>,
}

impl Stage {
    async fn new(count: usize) -> Self {
        // RUST_LOG=info shows every change of phase.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let servers = Servers::new(count);
        (0..count).for_each(|index| servers.start(index));
        let ledger = Arc::new(TestLedger::default());
        let front = watch::Sender::new(Told::Nothing);
        let driver = spawn(&servers, &ledger, &front);
        let writes = Arc::new(Mutex::new(Writes::default()));
        let client = tokio::spawn(write(front.subscribe(), writes.clone()));
        let stage = Self { servers, ledger, front, driver, writes, client };
        stage.observe();
        stage.settled(count).await;
        stage
    }

    fn observe(&self) {
        self.driver.observe(self.servers.look());
    }

    /// Waits for the status to be so.
    async fn until(&self, what: &str, holds: impl FnMut(&GroupStatus) -> bool) -> GroupStatus {
        let mut status = self.driver.status();
        let waited = tokio::time::timeout(Duration::from_secs(20), status.wait_for(holds)).await;
        match waited {
            Ok(Ok(status)) => status.clone(),
            _ => panic!("waited in vain until {what}: {:#?}", self.driver.status().borrow()),
        }
    }

    /// Waits until a master is open and `count` members are in step.
    async fn settled(&self, count: usize) -> u32 {
        let in_step = |s: &GroupStatus| s.members.iter().filter(|m| m.sync == SyncState::Synchronized).count();
        let status = self.until("settled", |s| s.settled && in_step(s) == count).await;
        status.epoch.unwrap().master
    }

    /// Waits for a write that this member acknowledged; returns when the first one was.
    async fn write_by(&self, index: u32) -> Instant {
        let addr = self.servers.addr(index as usize);
        let found = async {
            loop {
                if let Some(at) = self.writes.lock().unwrap().first_by.get(&addr) {
                    return *at;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), found).await;
        waited.unwrap_or_else(|_| panic!("no write: {:#?}", self.driver.status().borrow()))
    }

    /// Members that say they accept writes.
    async fn masters(&self) -> usize {
        let mut count = 0;
        for member in self.servers.look() {
            if let Ok(mut client) = Client::connect(member.addr).await {
                count += usize::from(client.ask("ROLE\r\n").await.is_ok_and(|reply| reply.contains("master")));
            }
        }
        count
    }

    /// Which of these writes are not on the present master.
    async fn lost(&self, numbers: &[u64]) -> usize {
        let Told::Open(master, _) = self.front.borrow().clone() else { panic!("no master is open") };
        let mut client = Client::connect(master).await.unwrap();
        let mut lost = 0;
        for number in numbers {
            lost += usize::from(client.ask(&format!("EXISTS w:{number}\r\n")).await.unwrap() != ":1\r\n");
        }
        lost
    }

    /// Forgets the writes so far.
    fn forget(&self) {
        *self.writes.lock().unwrap() = Writes::default();
    }

    /// Ends the client; returns what a slave had confirmed to it.
    fn stop_writing(&self) -> Vec<u64> {
        self.client.abort();
        std::mem::take(&mut self.writes.lock().unwrap().secured)
    }

    /// Ends the client; returns everything that was acknowledged to it.
    fn stop_writing_all(&self) -> Vec<u64> {
        self.client.abort();
        std::mem::take(&mut self.writes.lock().unwrap().acknowledged)
    }

    async fn driver_stopped(&mut self) {
        let next = spawn(&self.servers, &self.ledger, &watch::Sender::new(Told::Nothing));
        std::mem::replace(&mut self.driver, next).stop().await;
        self.front.send_replace(Told::Gated);
    }

    /// Another driver, as after a restart of the daemon.
    async fn replace_driver(&mut self) {
        let next = spawn(&self.servers, &self.ledger, &self.front);
        std::mem::replace(&mut self.driver, next).stop().await;
        self.observe();
    }

    /// Fails the master in some way, waits for the next write, brings the member back.
    async fn round(&self, signal: Signal, members: usize) -> Duration {
        let master = self.settled(members).await;
        self.forget();
        self.write_by(master).await;
        let failed = Instant::now();
        self.servers.signal(master as usize, signal);
        let status = self.until("another master", |s| s.epoch.is_some_and(|e| e.master != master)).await;
        let took = self.write_by(status.epoch.unwrap().master).await - failed;
        self.servers.start(master as usize);
        self.observe();
        self.settled(members).await;
        took
    }
}

fn spawn(servers: &Arc<Servers>, ledger: &Arc<TestLedger>, front: &watch::Sender<Told>) -> GroupHandle {
    let context = GroupContext {
        app: "test".parse().unwrap(),
        service: "db".parse().unwrap(),
        type_name: "redis".to_owned(),
        password: PASSWORD.to_owned(),
        runtime: servers.clone(),
        front: Arc::new(TestFront(front.clone())),
        ledger: ledger.clone(),
    };
    GroupHandle::spawn_with(context, Tuning { verify_processes: false, ..Tuning::new("db") })
}

struct Client(TcpStream);

impl Client {
    async fn connect(addr: std::net::SocketAddr) -> std::io::Result<Self> {
        let mut client = Self(TcpStream::connect(addr).await?);
        client.0.set_nodelay(true)?;
        client.ask(&format!("AUTH {PASSWORD}\r\n")).await?;
        Ok(client)
    }

    /// One request in Redis' inline form; the reply as it comes, in one piece for these.
    async fn ask(&mut self, request: &str) -> std::io::Result<String> {
        self.0.write_all(request.as_bytes()).await?;
        let mut buffer = [0; 4096];
        let read = self.0.read(&mut buffer).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&buffer[..read]).into_owned())
    }
}

/// Writes through the front without a pause: a session ends when the front is moved.
async fn write(mut front: watch::Receiver<Told>, writes: Arc<Mutex<Writes>>) {
    let mut number = 0;
    loop {
        let told = front.borrow_and_update().clone();
        let Told::Open(master, _) = told else {
            if front.changed().await.is_err() {
                return;
            }
            continue;
        };
        tokio::select! {
            () = session(master, &mut number, &writes) => {}
            moved = front.changed() => if moved.is_err() { return },
        }
    }
}

async fn session(master: std::net::SocketAddr, number: &mut u64, writes: &Mutex<Writes>) {
    let Ok(mut client) = Client::connect(master).await else { return };
    loop {
        *number += 1;
        if !client.ask(&format!("SET w:{number} 1\r\n")).await.is_ok_and(|reply| reply == "+OK\r\n") {
            return;
        }
        {
            let mut writes = writes.lock().unwrap();
            writes.acknowledged.push(*number);
            writes.first_by.entry(master).or_insert_with(Instant::now);
        }
        let Ok(confirmed) = client.ask("WAIT 1 50\r\n").await else { return };
        if confirmed != ":0\r\n" {
            writes.lock().unwrap().secured.push(*number);
        }
    }
}

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
    stage.driver.plan_restart(before.master).await;
    assert_eq!(*stage.front.borrow(), Told::Gated, "the restart begins with the front gated");
    stage.servers.signal(before.master as usize, Signal::TERM);
    stage.until("it is down", |s| !s.settled && s.members[0].sync == SyncState::Down).await;
    stage.servers.start(before.master as usize);
    stage.observe();
    stage.settled(2).await;
    assert_eq!(*stage.ledger.epoch.lock().unwrap(), Some(before));
    assert!(stage.ledger.receipts.lock().unwrap().is_empty(), "it was no failure");
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
