//! Redis 5 and later: one `INFO` tells everything, `REPLICAOF` changes everything.
//!
//! Servers boot with `replicaof 127.0.0.1 1`: slaves of nobody, which refuse writes and
//! refuse to feed others. Verified on transcripts of real servers.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use crate::model::Refusal;

use super::{
    Dialect, Election, Follower, LedgerStep, MemberReport, Protocol, ReadError, Reply, RoleChange, ServerCommand,
};

/// The upstream of a server that follows nobody.
const NOBODY: (&str, &str) = ("127.0.0.1", "1");

pub struct Redis;

impl Dialect for Redis {
    fn election(&self) -> Election {
        Election::ByUs
    }

    fn protocol(&self) -> Protocol {
        Protocol::Resp
    }

    fn login(&self, password: &str) -> Vec<ServerCommand> {
        if password.is_empty() {
            return Vec::new();
        }
        vec![ServerCommand(vec!["AUTH".to_owned(), password.to_owned()])]
    }

    fn ping(&self) -> ServerCommand {
        ServerCommand::words("PING")
    }

    fn probe(&self) -> Vec<ServerCommand> {
        vec![ServerCommand::words("INFO")]
    }

    fn read(&self, output: &[Reply]) -> Result<MemberReport, ReadError> {
        match output.last() {
            Some(Reply::Text(info)) => read_info(info),
            Some(Reply::Error(error)) => Err(ReadError::Refused(error.clone())),
            _ => Err(ReadError::Incomplete("text")),
        }
    }

    fn commands(&self, change: RoleChange, _password: &str) -> Vec<ServerCommand> {
        let words = match change {
            RoleChange::Promote => vec!["REPLICAOF NO ONE".to_owned()],
            // A master that hands its role over holds writes back until then.
            RoleChange::Follow(master) => {
                vec![format!("REPLICAOF {} {}", master.ip(), master.port()), "CLIENT UNPAUSE".to_owned()]
            }
            RoleChange::PauseWrites => vec!["CLIENT PAUSE 2000 WRITE".to_owned()],
            RoleChange::ResumeWrites => vec!["CLIENT UNPAUSE".to_owned()],
            // A replica copies by following, and it is the front that waits for one.
            RoleChange::Guard(_) | RoleChange::CopyFrom(_) => Vec::new(),
        };
        words.iter().map(|text| ServerCommand::words(text)).collect()
    }

    /// A client would have to ask with `WAIT` after each write, which plain ones do not.
    fn guards_at_front(&self) -> bool {
        true
    }

    /// Clients take it for the answer to their first command. The code is what Redis itself says
    /// of a slave without a master; clients know it as a reason to come again.
    fn refusal(&self, why: &str) -> Refusal {
        Refusal::of(format!("-MASTERDOWN {}\r\n", why.replace(['\r', '\n'], " ")))
    }

    /// A bitmap: one bit for each number.
    fn ledger(&self, name: &str, step: LedgerStep) -> Vec<ServerCommand> {
        match step {
            // A key begins to be with its first bit.
            LedgerStep::Create => Vec::new(),
            LedgerStep::Write(number) => vec![ServerCommand::words(&format!("SETBIT {name} {number} 1"))],
            LedgerStep::Read => vec![ServerCommand(["EVAL", RUNS, "1", name].map(str::to_owned).into())],
            LedgerStep::Remove => vec![ServerCommand::words(&format!("DEL {name}"))],
        }
    }

    fn tune(&self, memory: u64) -> Vec<ServerCommand> {
        self.tune_holding(memory, 0)
    }

    /// Three quarters: the rest is for buffers of clients and slaves, and for what is written to
    /// while a copy is on its way. Never less than it holds, which would refuse every write.
    fn tune_holding(&self, memory: u64, used: u64) -> Vec<ServerCommand> {
        vec![ServerCommand::words(&format!("CONFIG SET maxmemory {}", (memory / 4 * 3).max(used)))]
    }
}

/// The runs of set bits, found by the server: a bitmap of a million numbers is a line of text then.
const RUNS: &str = "\
    local runs, from = {}, 0
    while true do
      local first = redis.call('BITPOS', KEYS[1], 1, from, -1, 'BIT')
      if first < 0 then break end
      from = redis.call('BITPOS', KEYS[1], 0, first, -1, 'BIT')
      if from < 0 then from = redis.call('STRLEN', KEYS[1]) * 8 end
      runs[#runs + 1] = string.format('%.0f-%.0f', first, from - 1)
    end
    return table.concat(runs, ',')";

fn read_info(info: &str) -> Result<MemberReport, ReadError> {
    let fields = Fields::of(info);
    let role = fields.text("role").ok_or(ReadError::Incomplete("role"))?;
    let master = role == "master";
    let position = fields.number(if master { "master_repl_offset" } else { "slave_repl_offset" });
    let empty = !info.lines().any(|line| line.starts_with("db") && line.contains(":keys="));
    let copying = fields.flag("master_sync_in_progress").then(|| fields.percent("master_sync_perc"));
    Ok(MemberReport {
        writable: master,
        loading: fields.flag("loading").then(|| fields.percent("loading_loaded_perc").unwrap_or(0)),
        upstream: fields.upstream(),
        link_up: fields.text("master_link_status") == Some("up") && copying.is_none(),
        was_linked: fields.was_linked(),
        copying,
        history: fields.text("master_replid").ok_or(ReadError::Incomplete("master_replid"))?.to_owned(),
        position: position.ok_or(ReadError::Incomplete("replication offset"))?,
        writes: fields.number("rdb_changes_since_last_save").unwrap_or(0),
        empty,
        // A file of appended commands exists as soon as something was ever written or copied.
        blank: empty
            && fields.number("aof_current_size").unwrap_or(0) == 0
            && fields.number("master_repl_offset") == Some(0),
        followers: fields.followers(),
        version: fields.text("redis_version").map(str::to_owned),
        used_memory: fields.number("used_memory"),
        ..MemberReport::default()
    })
}

/// The `name:value` lines of `INFO`.
struct Fields<'a>(HashMap<&'a str, &'a str>);

impl<'a> Fields<'a> {
    fn of(info: &'a str) -> Self {
        Self(info.lines().filter_map(|line| line.trim_end().split_once(':')).collect())
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).copied()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    fn flag(&self, name: &str) -> bool {
        self.text(name) == Some("1")
    }

    fn percent(&self, name: &str) -> Option<u8> {
        let percent: f64 = self.text(name)?.parse().ok()?;
        // A copy sent without a file on disk has no known size: Redis then says 0.00 of 0.
        let sized = name != "master_sync_perc" || self.number("master_sync_total_bytes").is_some_and(|total| total > 0);
        (sized && (0.0..=100.0).contains(&percent)).then_some(percent as u8)
    }

    fn upstream(&self) -> Option<SocketAddr> {
        let (host, port) = (self.text("master_host")?, self.text("master_port")?);
        if (host, port) == NOBODY {
            return None;
        }
        Some(SocketAddr::new(host.parse::<IpAddr>().ok()?, port.parse().ok()?))
    }

    /// `master_link_down_since_seconds` is -1 until a link was up once. It is not reset when
    /// the server is pointed elsewhere. Redis before 7 counts from 1970 instead.
    fn was_linked(&self) -> bool {
        const YEAR: u64 = 365 * 24 * 3600;
        self.text("master_link_status") == Some("up")
            || self.number("master_link_down_since_seconds").is_some_and(|seconds| seconds < YEAR)
    }

    fn followers(&self) -> Vec<Follower> {
        let count = self.number("connected_slaves").unwrap_or(0).min(64);
        (0..count).filter_map(|n| follower(self.text(&format!("slave{n}"))?)).collect()
    }
}

/// `ip=172.18.0.3,port=6379,state=online,offset=50,lag=0`
fn follower(text: &str) -> Option<Follower> {
    let parts: HashMap<&str, &str> = text.split(',').filter_map(|part| part.split_once('=')).collect();
    let addr = SocketAddr::new(parts.get("ip")?.parse().ok()?, parts.get("port")?.parse().ok()?);
    Some(Follower { addr, position: parts.get("offset")?.parse().ok()?, lag_seconds: parts.get("lag")?.parse().ok()? })
}

#[cfg(test)]
mod tests;
