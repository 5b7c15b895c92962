//! A group on real servers, and what a test does to it and waits for.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dotcloud_local::engine::backup::Busy;
use dotcloud_local::engine::driver::{GroupHandle, Tuning};
use dotcloud_local::engine::group::{CopyCommands, GroupContext};
use dotcloud_local::model::{GroupStatus, SyncState};
use rustix::process::Signal;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::client::{Client, Writes, write};
use crate::processes::{PASSWORD, Servers, TestFront, TestLedger, Told};

/// A group with its driver and a client that writes all the time.
pub struct Stage {
    pub servers: Arc<Servers>,
    pub ledger: Arc<TestLedger>,
    pub front: watch::Sender<Told>,
    pub driver: GroupHandle,
    pub writes: Arc<Mutex<Writes>>,
    client: JoinHandle<()>,
}

impl Stage {
    pub async fn new(count: usize) -> Self {
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

    pub fn observe(&self) {
        self.driver.observe(self.servers.look());
    }

    /// Waits for the status to be so.
    pub async fn until(&self, what: &str, holds: impl FnMut(&GroupStatus) -> bool) -> GroupStatus {
        let mut status = self.driver.status();
        let waited = tokio::time::timeout(Duration::from_secs(20), status.wait_for(holds)).await;
        match waited {
            Ok(Ok(status)) => status.clone(),
            _ => panic!("waited in vain until {what}: {:#?}", self.driver.status().borrow()),
        }
    }

    /// Waits until a master is open and `count` members are in step.
    pub async fn settled(&self, count: usize) -> u32 {
        let in_step = |s: &GroupStatus| s.members.iter().filter(|m| m.sync == SyncState::Synchronized).count();
        let status = self.until("settled", |s| s.settled && in_step(s) == count).await;
        status.epoch.unwrap().master
    }

    /// Waits for a write that this member acknowledged; returns when the first one was.
    pub async fn write_by(&self, index: u32) -> Instant {
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
    pub async fn masters(&self) -> usize {
        let mut count = 0;
        for addr in self.servers.look().into_iter().filter_map(|member| member.addr) {
            if let Ok(mut client) = Client::connect(addr).await {
                count += usize::from(client.ask("ROLE\r\n").await.is_ok_and(|reply| reply.contains("master")));
            }
        }
        count
    }

    /// Which of these writes are not on the present master.
    pub async fn lost(&self, numbers: &[u64]) -> usize {
        let Told::Open(master, _) = self.front.borrow().clone() else { panic!("no master is open") };
        let mut client = Client::connect(master).await.unwrap();
        let mut lost = 0;
        for number in numbers {
            lost += usize::from(client.ask(&format!("EXISTS w:{number}\r\n")).await.unwrap() != ":1\r\n");
        }
        lost
    }

    /// Forgets the writes so far.
    pub fn forget(&self) {
        *self.writes.lock().unwrap() = Writes::default();
    }

    /// Ends the client; returns what a slave had confirmed to it.
    pub fn stop_writing(&self) -> Vec<u64> {
        self.client.abort();
        std::mem::take(&mut self.writes.lock().unwrap().secured)
    }

    /// Ends the client; returns everything that was acknowledged to it.
    pub fn stop_writing_all(&self) -> Vec<u64> {
        self.client.abort();
        std::mem::take(&mut self.writes.lock().unwrap().acknowledged)
    }

    pub async fn driver_stopped(&mut self) {
        let next = spawn(&self.servers, &self.ledger, &watch::Sender::new(Told::Nothing));
        std::mem::replace(&mut self.driver, next).stop().await;
        self.front.send_replace(Told::Gated);
    }

    /// Another driver, as after a restart of the daemon.
    pub async fn replace_driver(&mut self) {
        let next = spawn(&self.servers, &self.ledger, &self.front);
        std::mem::replace(&mut self.driver, next).stop().await;
        self.observe();
    }

    /// Fails the master in some way, waits for the next write, brings the member back.
    pub async fn round(&self, signal: Signal, members: usize) -> Duration {
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
        replication: "redis".to_owned(),
        password: PASSWORD.to_owned(),
        copying: CopyCommands::default(),
        synchronous: true,
        runtime: servers.clone(),
        front: Arc::new(TestFront(front.clone())),
        ledger: ledger.clone(),
        labour: Busy::default().labour(&"db".parse().unwrap()),
    };
    GroupHandle::spawn_with(context, Tuning { verify_processes: false, ..Tuning::new("db") })
}
