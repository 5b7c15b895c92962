//! One service on its stage.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::place::Place;
use crate::rows::Row;
use crate::support::docker::Engine;
use crate::support::ledger::Ledger;
use crate::support::platform::{Platform, is_settled};
use crate::support::{pause, wait_for};

const PATIENCE: Duration = Duration::from_secs(30);
/// What is whole for so long has noticed what was done to it.
const LASTING: Duration = Duration::from_millis(500);

pub struct Stage<'a> {
    pub platform: &'a Platform,
    pub engine: Engine,
    pub row: &'static Row,
    pub ledger: Ledger,
    folder: TempDir,
    prefix: String,
}

impl<'a> Stage<'a> {
    pub fn set(platform: &'a Platform, row: &'static Row) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("dotcloud.yml"), row.build_file()).unwrap();
        platform.up(folder.path(), row.name);
        platform.settle(row.name);
        let (address, password) = platform.data(row.name, "db");
        let ledger = Ledger { database: row.database(), address, password, key: String::new() };
        let engine = Engine::connect();
        let home: String = engine.home_of(&platform.containers(row.name)[0]).chars().take(6).collect();
        Self { platform, engine, row, ledger, folder, prefix: format!("dcl-{home}-{}-db", row.name) }
    }

    pub fn leave(self) {
        self.platform.run(&["-A", self.row.name, "destroy", "--assume-yes"]);
    }

    /// Runs a command on this application; what it said when it was refused.
    pub fn tell(&self, words: &[&str]) -> Result<(), String> {
        let output = self.platform.try_run(&[&["-A", self.row.name], words].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        if output.status.success() { Ok(()) } else { Err(format!("dotcloud {}: {}", words.join(" "), said.trim())) }
    }

    pub fn up(&self) -> Result<(), String> {
        self.tell(&["up", "-d", "--wait", self.folder.path().to_str().unwrap()])
    }

    /// `info db`, asked again while the daemon is on its way.
    pub fn info(&self) -> Value {
        wait_for("`dotcloud info db` answers", PATIENCE, || {
            let output = self.platform.try_run(&["-A", self.row.name, "info", "db", "--json"]);
            serde_json::from_slice(&output.stdout).ok().filter(|_| output.status.success())
        })
    }

    pub fn places(&self) -> Vec<Place> {
        Place::all(&self.info(), &self.prefix)
    }

    /// Past the front, logged in as applications are.
    pub fn at(&self, place: &Place, ledger: &Ledger) -> Ledger {
        let own: SocketAddr = format!("{}:{}", place.ip, ledger.database.port()).parse().unwrap();
        ledger.at(own)
    }

    /// How long it took until every member was there and in step, and stayed so; what `info` says
    /// when it is not.
    pub fn whole_within(&self, patience: Duration) -> Result<Duration, Value> {
        let (began, mut since) = (Instant::now(), None::<(Instant, Value)>);
        loop {
            let info = self.info();
            let (whole, epoch) = (is_whole(&info), &info["group"]["epoch"]);
            // What was just done may not have been noticed yet.
            since = since.filter(|(_, before)| whole && before == epoch);
            match &since {
                Some((at, _)) if at.elapsed() > LASTING => return Ok(at.duration_since(began)),
                None if whole => since = Some((Instant::now(), epoch.clone())),
                _ if began.elapsed() > patience => return Err(info),
                _ => {}
            }
            pause(Duration::from_millis(100));
        }
    }
}

fn is_whole(info: &Value) -> bool {
    is_settled(info) && info["holds"].as_array().is_none_or(Vec::is_empty)
}
