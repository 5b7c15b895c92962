//! One service on its stage: started, written to, hit.

use std::time::{Duration, Instant};

use crate::rows::Row;
use crate::support::docker::Engine;
use crate::support::ledger::{Ledger, Writer};
use crate::support::platform::{Member, Platform};
use crate::support::wait_for;

/// Writes acknowledged before a fault.
const WARM: usize = 500;
const PATIENCE: Duration = Duration::from_secs(15);
/// No writer gets that far.
pub const STRAY: usize = 10_000_000;

/// What is done to the master.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Kill,
    Hang,
    Switchover,
}

/// What a fault did.
pub struct Run {
    /// From just before the Docker call to the first acknowledgement on a connection made after
    /// it. For a switchover: from the last acknowledgement before to the first after.
    pub ms: f64,
    pub acknowledged: usize,
    pub lost: usize,
    /// Writes that the old master acknowledged to somebody who held a connection to it.
    pub stray: usize,
}

pub struct Stage<'a> {
    pub platform: &'a Platform,
    pub engine: Engine,
    pub app: String,
    pub ledger: Ledger,
}

impl<'a> Stage<'a> {
    /// # Errors
    /// Why this row cannot be measured.
    pub fn set(platform: &'a Platform, row: &Row) -> Result<Self, String> {
        let database = row.database().ok_or_else(|| format!("the benchmark has no client for {}", row.kind))?;
        let (folder, app) = (tempfile::tempdir().unwrap(), row.app());
        std::fs::write(folder.path().join("dotcloud.yml"), row.build_file()).unwrap();
        let checked = platform.try_run(&["validate", folder.path().to_str().unwrap()]);
        if !checked.status.success() {
            return Err(String::from_utf8_lossy(&checked.stderr).trim().to_owned());
        }
        platform.up(folder.path(), &app);
        platform.settle(&app);
        let (address, password) = platform.data(&app, "db");
        let ledger = Ledger { database, address, password, key: String::new() };
        Ok(Self { platform, engine: Engine::connect(), app, ledger })
    }

    pub fn leave(self) {
        self.platform.run(&["-A", &self.app, "destroy", "--assume-yes"]);
    }

    /// A ledger of its own for one round.
    pub fn new_ledger(&self, key: String) -> Ledger {
        let ledger = Ledger { key, ..self.ledger.clone() };
        ledger.create();
        ledger
    }

    /// A connection to a member itself, past the front, logged in as applications are.
    pub fn past_the_front(&self, ledger: &Ledger, member: &Member) -> Ledger {
        ledger.at(member.addr(ledger.database.port()))
    }

    pub fn master(&self) -> Member {
        self.platform.member(&self.app, "db", "master")
    }

    pub fn run(&self, fault: Fault, key: String) -> Run {
        let (ledger, old) = (self.new_ledger(key), self.master());
        let mut behind = self.past_the_front(&ledger, &old).session().unwrap();
        let writer = warm(&ledger);
        let before = Instant::now();
        self.hit(fault, &old);
        let first =
            wait_for("a write is acknowledged", Duration::from_secs(30), || writer.first_on_connection_after(before));
        let gap = writer.gap_after(before).unwrap_or_default();
        // Were the old master still there, it would now run on and answer what it was asked.
        self.engine.unpause(&old.container);
        let stray = usize::from(behind.write(STRAY));
        self.platform.settle(&self.app);
        let acknowledged = writer.stop();
        let took = if fault == Fault::Switchover { gap } else { first - before };
        let lost = ledger.lost(&acknowledged);
        Run { ms: took.as_secs_f64() * 1000.0, acknowledged: acknowledged.len(), lost, stray }
    }

    pub fn hit(&self, fault: Fault, master: &Member) {
        match fault {
            Fault::Kill => self.engine.kill(&master.container),
            Fault::Hang => self.engine.pause(&master.container),
            Fault::Switchover => drop(self.platform.run(&["-A", &self.app, "switchover", "db"])),
        }
    }
}

/// A writer that has had its first acknowledgements.
pub fn warm(ledger: &Ledger) -> Writer {
    let writer = Writer::start(ledger.clone());
    wait_for("the writer is warm", PATIENCE, || (writer.acknowledged() >= WARM).then_some(()));
    writer
}
