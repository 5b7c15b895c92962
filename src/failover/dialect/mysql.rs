//! MariaDB 11 as MySQL: GTID replication, semi-synchronous while the machine says so.
//!
//! Servers boot read-only and replicate nothing. `root`, whom applications log in as, may not
//! write where read-only is set; only the controller's own login may. Verified on transcripts of
//! real servers.

use std::net::SocketAddr;

use crate::model::Refusal;

use super::fields::Fields;
use super::{Dialect, Election, LedgerStep, MemberReport, Protocol, ReadError, Reply, RoleChange, ServerCommand};

/// Below so many transactions replaying them is quicker than a copy.
const COPY_BEYOND: u64 = 5_000;
/// More than a server has sessions, each of which waits for one acknowledgement at most.
const UNACKNOWLEDGED: u64 = 1_000;
const MIB: u64 = 1024 * 1024;

pub struct MySql;

impl Dialect for MySql {
    fn election(&self) -> Election {
        Election::ByUs
    }

    fn protocol(&self) -> Protocol {
        Protocol::Sql { user: "dotcloud" }
    }

    /// A change of role that cannot have its lock must not wait for it behind our back.
    fn login(&self, _password: &str) -> Vec<ServerCommand> {
        statements(&["SET SESSION lock_wait_timeout = 1"])
    }

    fn ping(&self) -> ServerCommand {
        statement("DO 1")
    }

    fn probe(&self) -> Vec<ServerCommand> {
        statements(&[
            "SELECT @@read_only, @@gtid_binlog_pos, @@gtid_current_pos, @@rpl_semi_sync_master_enabled, @@version",
            "SHOW ALL SLAVES STATUS",
        ])
    }

    fn read(&self, output: &[Reply]) -> Result<MemberReport, ReadError> {
        if let Some(Reply::Error(error)) = output.iter().find(|reply| matches!(reply, Reply::Error(_))) {
            return Err(ReadError::Refused(error.clone()));
        }
        let [.., Reply::List(server), Reply::List(links)] = output else {
            return Err(ReadError::Incomplete("rows"));
        };
        let server = Fields::of(server.first()).ok_or(ReadError::Incomplete("variables"))?;
        report(&server, Fields::of(links.first()).as_ref())
    }

    fn commands(&self, change: RoleChange, password: &str) -> Vec<ServerCommand> {
        match change {
            RoleChange::Promote => statements(&[
                APPLY_ALL,
                "STOP SLAVE",
                "RESET SLAVE ALL",
                "SET GLOBAL rpl_semi_sync_master_enabled = OFF",
                &skip_numbers(),
                "SET GLOBAL read_only = OFF",
            ]),
            RoleChange::Follow(master) => follow(master, password),
            RoleChange::PauseWrites => statements(&["SET GLOBAL read_only = ON"]),
            RoleChange::ResumeWrites => statements(&["SET GLOBAL read_only = OFF"]),
            RoleChange::Guard(on) => {
                vec![statement(&format!("SET GLOBAL rpl_semi_sync_master_enabled = {}", if on { "ON" } else { "OFF" }))]
            }
            // Not done by words: the driver copies the files.
            RoleChange::CopyFrom(_) => Vec::new(),
        }
    }

    fn patience(&self) -> u32 {
        10
    }

    fn copy_beyond(&self) -> Option<u64> {
        Some(COPY_BEYOND)
    }

    /// An error in place of the greeting, with the code of a server that shuts down: drivers take
    /// it for a lost connection (08S01), which may be tried again. Before the greeting errors
    /// have no SQL state.
    fn refusal(&self, why: &str) -> Refusal {
        const SERVER_SHUTDOWN: u16 = 1053;
        let text: String = why.chars().take(500).collect();
        let mut packet = vec![0xff];
        packet.extend_from_slice(&SERVER_SHUTDOWN.to_le_bytes());
        packet.extend_from_slice(text.as_bytes());
        // The length in three bytes, then the number of the packet.
        let mut bytes = (packet.len() as u32).to_le_bytes().to_vec();
        bytes.extend(packet);
        Refusal::of(bytes)
    }

    /// Half of what the server's own needs leave.
    fn tune(&self, memory: u64) -> Vec<ServerCommand> {
        let pool = (memory / 2).saturating_sub(64 * MIB).max(16 * MIB) / MIB * MIB;
        vec![statement(&format!("SET GLOBAL innodb_buffer_pool_size = {pool}"))]
    }

    /// A database of its own with one row for each number. They are read as runs: what a number
    /// exceeds its rank by is the same throughout a run.
    fn ledger(&self, name: &str, step: LedgerStep) -> Vec<ServerCommand> {
        let one = |text: String| vec![statement(&text)];
        match step {
            LedgerStep::Create => statements(&[
                &format!("CREATE DATABASE {name}"),
                &format!("CREATE TABLE {name}.entry (number BIGINT PRIMARY KEY) ENGINE = InnoDB"),
            ]),
            LedgerStep::Write(number) => one(format!("INSERT INTO {name}.entry VALUES ({number})")),
            LedgerStep::Read => one(format!(
                "SELECT CONCAT(MIN(number), '-', MAX(number)) FROM (SELECT number, \
                 number - ROW_NUMBER() OVER (ORDER BY number) AS excess FROM {name}.entry) AS ranked GROUP BY excess"
            )),
            LedgerStep::Remove => one(format!("DROP DATABASE IF EXISTS {name}")),
        }
    }
}

/// Fails, to be asked again, while something received is not yet applied: nothing that a client
/// was promised may be dropped with the relay log.
const APPLY_ALL: &str = "BEGIN NOT ATOMIC \
     DECLARE received TEXT DEFAULT (SELECT GROUP_CONCAT(Gtid_IO_Pos) FROM information_schema.SLAVE_STATUS); \
     IF received <> '' AND MASTER_GTID_WAIT(received, 0.5) <> 0 THEN \
     SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'still applies what it has received'; \
     END IF; END";

/// A master that died takes back, when it starts again, what no slave had acknowledged; one that
/// hung may have received it nevertheless. Were those numbers given again, the two would differ for
/// good and nobody would notice. With a gap the slave holds what the master lacks, and says so.
/// Nothing is written where nothing was yet.
fn skip_numbers() -> String {
    // Of the one domain that is written here; zero without it, since a text that is no number is refused.
    let last = |variable| {
        format!(
            "CAST(CONCAT('0', IF(@@{variable} REGEXP '(^|,)0-', \
             REGEXP_REPLACE(@@{variable}, '^(.*,)?0-[0-9]+-([0-9]+).*$', '\\\\2'), '')) AS UNSIGNED)"
        )
    };
    format!(
        "BEGIN NOT ATOMIC DECLARE last BIGINT UNSIGNED DEFAULT GREATEST({}, {}); \
         IF last > 0 THEN SET SESSION gtid_seq_no = last + {UNACKNOWLEDGED}; \
         DROP TABLE IF EXISTS mysql.no_such_table; END IF; END",
        last("gtid_binlog_pos"),
        last("gtid_current_pos")
    )
}

/// A semi-synchronous master that is a slave would stall its own applier for ever. What a former
/// master wrote itself counts as its place in the common history: if others lack it, the new
/// master refuses, and that is how a diverged member is found.
fn follow(master: SocketAddr, password: &str) -> Vec<ServerCommand> {
    let upstream = format!(
        "CHANGE MASTER TO MASTER_HOST = '{}', MASTER_PORT = {}, MASTER_USER = 'dotcloud', MASTER_PASSWORD = '{}', \
         MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1, MASTER_SSL = 0, MASTER_SSL_VERIFY_SERVER_CERT = 0",
        master.ip(),
        master.port(),
        password.replace('\\', "\\\\").replace('\'', "''")
    );
    statements(&[
        "SET GLOBAL read_only = ON",
        "SET GLOBAL rpl_semi_sync_master_enabled = OFF",
        "STOP SLAVE",
        "SET GLOBAL gtid_slave_pos = @@gtid_current_pos",
        &upstream,
        "START SLAVE",
    ])
}

fn statement(text: &str) -> ServerCommand {
    ServerCommand(vec![text.to_owned()])
}

fn statements(texts: &[&str]) -> Vec<ServerCommand> {
    texts.iter().map(|text| statement(text)).collect()
}

fn report(server: &Fields<'_>, link: Option<&Fields<'_>>) -> Result<MemberReport, ReadError> {
    let read_only = server.text("@@read_only").ok_or(ReadError::Incomplete("@@read_only"))?;
    let current = server.text("@@gtid_current_pos").ok_or(ReadError::Incomplete("@@gtid_current_pos"))?;
    let written = position(server.text("@@gtid_binlog_pos").unwrap_or_default());
    // One that was started again remembers its master but does nothing for it.
    let link = link.map(Link).filter(Link::runs);
    let received = link.as_ref().map_or(0, Link::received);
    Ok(MemberReport {
        writable: read_only == "0",
        upstream: link.as_ref().and_then(Link::upstream),
        link_up: link.as_ref().is_some_and(Link::up),
        was_linked: link.as_ref().is_some_and(Link::was_up),
        // Who is started again asks its master anew for what it had not applied.
        applying: received > position(current).max(written),
        broken: link.as_ref().and_then(Link::broken),
        guarded: Some(server.flag("@@rpl_semi_sync_master_enabled")),
        lag_seconds: link.as_ref().and_then(Link::lag),
        // Positions of GTIDs tell by themselves whether they belong together.
        history: "gtid".to_owned(),
        position: received.max(position(current)).max(written),
        writes: written,
        empty: current.is_empty(),
        blank: current.is_empty(),
        version: server.text("@@version").map(|text| text.split('-').next().unwrap_or(text).to_owned()),
        ..MemberReport::default()
    })
}

/// `0-1-120,5-2-7` -> the number of transactions, 127: grows with each of any domain.
fn position(gtids: &str) -> u64 {
    let number = |gtid: &str| gtid.trim().rsplit('-').next()?.parse::<u64>().ok();
    gtids.split(',').filter_map(number).sum()
}

/// The row of `SHOW ALL SLAVES STATUS`.
struct Link<'a, 'b>(&'b Fields<'a>);

impl Link<'_, '_> {
    fn is(&self, name: &str, value: &str) -> bool {
        self.0.text(name) == Some(value)
    }

    fn runs(&self) -> bool {
        !self.is("Slave_IO_Running", "No") || !self.is("Slave_SQL_Running", "No") || self.broken().is_some()
    }

    fn up(&self) -> bool {
        self.is("Slave_IO_Running", "Yes")
    }

    /// The name of the master's log is told first thing over a link.
    fn was_up(&self) -> bool {
        self.0.text("Master_Log_File").is_some_and(|name| !name.is_empty())
    }

    fn received(&self) -> u64 {
        position(self.0.text("Gtid_IO_Pos").unwrap_or_default())
    }

    fn upstream(&self) -> Option<SocketAddr> {
        let (host, port) = (self.0.text("Master_Host")?, self.0.text("Master_Port")?);
        Some(SocketAddr::new(host.parse().ok()?, port.parse().ok()?))
    }

    /// The master no longer has, or never had, what this one holds (1236); or a transaction
    /// cannot be applied.
    fn broken(&self) -> Option<String> {
        let stopped = |thread: &str, error: &str| {
            let errno = self.0.text(&format!("Last_{error}_Errno")).filter(|errno| *errno != "0")?;
            self.is(thread, "No").then_some((errno, self.0.text(&format!("Last_{error}_Error")).unwrap_or_default()))
        };
        let refused = stopped("Slave_IO_Running", "IO").filter(|(errno, _)| *errno == "1236");
        let (errno, error) = stopped("Slave_SQL_Running", "SQL").or(refused)?;
        Some(format!("error {errno}: {error}"))
    }

    fn lag(&self) -> Option<f64> {
        self.0.text("Seconds_Behind_Master")?.parse().ok()
    }
}

#[cfg(test)]
mod tests;
