//! Real `redis-server` processes in the place of containers, and the driver's surroundings.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dotcloud_local::engine::group::{Front, Ledger, LedgerError, ObservedMember};
use dotcloud_local::engine::runtime::*;
use dotcloud_local::model::{AppName, Epoch, Memory, Receipt, Vouched};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::{broadcast, mpsc, watch};

pub const PASSWORD: &str = "secret";

/// The members of one group; a process stands for a container.
pub struct Servers {
    members: Mutex<Vec<Member>>,
    events: broadcast::Sender<RuntimeEvent>,
}

struct Member {
    addr: SocketAddr,
    folder: tempfile::TempDir,
    child: Option<Child>,
    leaving: bool,
}

/// Whether this machine has what these scenarios need.
pub fn present() -> bool {
    Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

impl Servers {
    pub fn new(count: usize) -> Arc<Self> {
        let member = || {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            Member { addr: port, folder: tempfile::tempdir().unwrap(), child: None, leaving: false }
        };
        let members = (0..count).map(|_| member()).collect();
        Arc::new(Self { members: Mutex::new(members), events: broadcast::channel(16).0 })
    }

    /// Starts a member as its container would: safe, a slave of nobody.
    pub fn start(&self, index: usize) {
        let member = &mut self.members.lock().unwrap()[index];
        if let Some(mut dead) = member.child.take() {
            dead.wait().unwrap();
        }
        let options = "--appendonly yes --appendfsync no --repl-diskless-sync no --repl-backlog-size 64mb \
                       --bind 127.0.0.1 --replicaof 127.0.0.1 1 --save";
        let child = Command::new("redis-server")
            .args(options.split_whitespace())
            .args(["", "--requirepass", PASSWORD, "--masterauth", PASSWORD])
            .args(["--port", &member.addr.port().to_string()])
            .args(["--dir", &member.folder.path().display().to_string()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        member.child = Some(child);
    }

    pub fn pid(&self, index: usize) -> u32 {
        self.members.lock().unwrap()[index].child.as_ref().unwrap().id()
    }

    pub fn signal(&self, index: usize, signal: Signal) {
        let pid = Pid::from_raw(self.pid(index).cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    pub fn leave(&self, index: usize) {
        self.members.lock().unwrap()[index].leaving = true;
    }

    pub fn addr(&self, index: usize) -> SocketAddr {
        self.members.lock().unwrap()[index].addr
    }

    /// A look, as the reconciler takes it.
    pub fn look(&self) -> Vec<ObservedMember> {
        let mut members = self.members.lock().unwrap();
        let observed = members.iter_mut().enumerate().map(|(index, member)| {
            let running = member.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none());
            let pid = member.child.as_ref().filter(|_| running).map(Child::id);
            ObservedMember {
                index: index as u32,
                container: Some(format!("container-{index}")),
                pid,
                running,
                paused: false,
                leaving: member.leaving,
                addr: Some(member.addr),
                memory: None,
            }
        });
        observed.collect()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for member in self.members.lock().unwrap().iter_mut() {
            if let Some(child) = &mut member.child {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

/// What a test front was told last.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    Nothing,
    Gated,
    Open(SocketAddr, u64),
    Refused(String),
}

pub struct TestFront(pub watch::Sender<Told>);

#[async_trait]
impl Front for TestFront {
    async fn gate(&self) {
        self.0.send_replace(Told::Gated);
    }

    async fn open(&self, master: SocketAddr, epoch: u64, _acks: Option<u32>) {
        self.0.send_replace(Told::Open(master, epoch));
    }

    async fn refuse(&self, why: String) {
        self.0.send_replace(Told::Refused(why));
    }
}

/// A ledger that outlives the drivers of a test.
#[derive(Default)]
pub struct TestLedger {
    pub epoch: Mutex<Option<Epoch>>,
    pub vouched: Mutex<Option<Vouched>>,
    pub receipts: Mutex<Vec<Receipt>>,
}

#[async_trait]
impl Ledger for TestLedger {
    async fn epoch(&self) -> std::result::Result<Option<Epoch>, LedgerError> {
        Ok(*self.epoch.lock().unwrap())
    }

    async fn commit(&self, epoch: Epoch) -> std::result::Result<(), LedgerError> {
        *self.epoch.lock().unwrap() = Some(epoch);
        Ok(())
    }

    async fn vouched(&self) -> std::result::Result<Option<Vouched>, LedgerError> {
        Ok(*self.vouched.lock().unwrap())
    }

    async fn vouch(&self, word: Option<Vouched>) -> std::result::Result<(), LedgerError> {
        *self.vouched.lock().unwrap() = word;
        Ok(())
    }

    async fn receipt(&self, receipt: Receipt) {
        let mut receipts = self.receipts.lock().unwrap();
        receipts.retain(|other| other.epoch != receipt.epoch);
        receipts.push(receipt);
    }
}

fn none<T>() -> Result<T> {
    Err(RuntimeError::Missing { what: "container engine in this test".to_owned() })
}

/// Only what a driver uses: `kill` and `events`.
#[async_trait]
impl Runtime for Servers {
    async fn diagnose(&self) -> Vec<dotcloud_local::engine::view::Finding> {
        Vec::new()
    }

    async fn kill(&self, container: &str) -> Result<()> {
        let index = container.trim_start_matches("container-").parse().unwrap();
        self.signal(index, Signal::KILL);
        Ok(())
    }

    fn events(&self) -> broadcast::Receiver<RuntimeEvent> {
        self.events.subscribe()
    }

    async fn info(&self) -> Result<EngineInfo> {
        none()
    }
    async fn observe(&self, _: &AppName) -> Result<ObservedApp> {
        none()
    }
    async fn apps(&self) -> Result<Vec<AppName>> {
        none()
    }
    async fn memory_used(&self, _: &str) -> Result<u64> {
        none()
    }
    async fn ensure_network(&self, _: &AppName, _: Option<&str>) -> Result<ObservedNetwork> {
        none()
    }
    async fn remove_network(&self, _: &AppName) -> Result<()> {
        none()
    }
    async fn ensure_volume(&self, _: &AppName, _: &str) -> Result<()> {
        none()
    }
    async fn remove_volume(&self, _: &str) -> Result<()> {
        none()
    }
    async fn start(&self, _: &ContainerSpec) -> Result<String> {
        none()
    }
    async fn restart(&self, _: &str) -> Result<()> {
        none()
    }
    async fn stop(&self, _: &str, _: u32) -> Result<()> {
        none()
    }
    async fn pause(&self, _: &str) -> Result<()> {
        none()
    }
    async fn unpause(&self, _: &str) -> Result<()> {
        none()
    }
    async fn remove(&self, _: &str) -> Result<()> {
        none()
    }
    async fn set_memory(&self, _: &str, _: Memory) -> Result<()> {
        none()
    }
    async fn ensure_type(&self, _: &str, _: Progress) -> Result<TypeImages> {
        none()
    }
    async fn build(&self, _: &BuildSpec, _: Progress) -> Result<BuiltImage> {
        none()
    }
    async fn image_exists(&self, _: &str) -> Result<bool> {
        none()
    }
    async fn remove_image(&self, _: &str) -> Result<()> {
        none()
    }
    async fn app_images(&self, _: &AppName) -> Result<Vec<String>> {
        none()
    }
    async fn exec(&self, _: &str, _: &ExecSpec) -> Result<ExecSession> {
        none()
    }
    async fn exec_beside(&self, _: &AppName, _: &str, _: &str, _: &ExecSpec) -> Result<ExecSession> {
        none()
    }
    async fn logs(&self, _: &str, _: LogPart, _: bool) -> Result<mpsc::Receiver<LogLine>> {
        none()
    }
}
