//! PostgreSQL 17: streaming replication, synchronous while the machine says so.
//!
//! Servers boot as standbys of nobody and with commits that wait for a slave: a new master
//! acknowledges nothing alone before it is told that it may. Every promotion begins a timeline;
//! only a server at or before the place where the master's timeline left its own can follow.
//! A master cannot become a standby while it runs: told to follow, it shuts down, which sends the
//! slaves all it wrote first. Verified on transcripts of real servers.

use std::net::SocketAddr;

use crate::model::Refusal;

use super::fields::Fields;
use super::{
    Branch, Dialect, Election, Follower, LedgerStep, Lineage, MemberReport, Protocol, ReadError, Reply, RoleChange,
    ServerCommand,
};

/// A young log is quicker read from its beginning than copied. Within what `wal_keep_size` keeps.
const COPY_BEYOND: u64 = 64 * MIB;
const MIB: u64 = 1024 * 1024;
/// What a client sends before its login to ask for TLS, and for GSSAPI.
const ENCRYPTION: [[u8; 8]; 2] = [[0, 0, 0, 8, 4, 210, 22, 47], [0, 0, 0, 8, 4, 210, 22, 48]];
/// Timelines before these many are so old that nobody still belongs to them.
const BRANCHES: usize = 32;

pub struct PostgreSql;

impl Dialect for PostgreSql {
    fn election(&self) -> Election {
        Election::ByUs
    }

    /// Not the applications' database: whoever is connected to `template1` keeps others from
    /// making databases from it.
    fn protocol(&self) -> Protocol {
        Protocol::Postgres { user: "dotcloud", database: "dotcloud" }
    }

    /// What the controller does must not wait for a slave, nor for a lock behind our back.
    fn login(&self, _password: &str) -> Vec<ServerCommand> {
        statements(&["SET synchronous_commit = local", "SET lock_timeout = '1s'"])
    }

    fn ping(&self) -> ServerCommand {
        statement("SELECT 1")
    }

    fn probe(&self) -> Vec<ServerCommand> {
        statements(&[SERVER, FOLLOWERS])
    }

    fn read(&self, output: &[Reply]) -> Result<MemberReport, ReadError> {
        if let Some(Reply::Error(error)) = output.iter().find(|reply| matches!(reply, Reply::Error(_))) {
            return Err(ReadError::Refused(error.clone()));
        }
        let [.., Reply::List(server), Reply::List(followers)] = output else {
            return Err(ReadError::Incomplete("rows"));
        };
        let server = Fields::of(server.first()).ok_or(ReadError::Incomplete("settings"))?;
        let followers = followers.iter().filter_map(|row| follower(&Fields::of(Some(row))?)).collect();
        Ok(MemberReport { followers, ..report(&server)? })
    }

    fn commands(&self, change: RoleChange, _password: &str) -> Vec<ServerCommand> {
        match change {
            RoleChange::Promote => statements(&[PROMOTE, RESUME, RELOAD]),
            RoleChange::Follow(master) => follow(master),
            RoleChange::PauseWrites => {
                statements(&["ALTER SYSTEM SET default_transaction_read_only = on", RELOAD, DISCONNECT])
            }
            RoleChange::ResumeWrites => statements(&[RESUME, RELOAD]),
            RoleChange::Guard(true) => statements(&["ALTER SYSTEM RESET synchronous_standby_names", RELOAD]),
            RoleChange::Guard(false) => statements(&["ALTER SYSTEM SET synchronous_standby_names = ''", RELOAD]),
            // Not done by words: the driver copies the files.
            RoleChange::CopyFrom(_) => Vec::new(),
        }
    }

    fn patience(&self) -> u32 {
        10
    }

    fn demotes_live(&self) -> bool {
        false
    }

    fn copy_beyond(&self) -> Option<u64> {
        Some(COPY_BEYOND)
    }

    /// An error with which a server ends a connection, for a client that has sent its first message.
    /// One that asks for encryption before that is told no first: as an answer to the question it
    /// takes an error for a failure and does not show the reason.
    fn refusal(&self, why: &str) -> Refusal {
        let mut fields = Vec::new();
        for (field, text) in [('S', "FATAL"), ('V', "FATAL"), ('C', "57P03"), ('M', why)] {
            fields.push(field as u8);
            fields.extend(text.bytes().filter(|byte| *byte != 0));
            fields.push(0);
        }
        fields.push(0);
        let length = u32::try_from(fields.len() + 4).unwrap_or_default();
        let words = [&b"E"[..], &length.to_be_bytes(), &fields].concat();
        Refusal { questions: ENCRYPTION.map(|question| (question.to_vec(), b"N".to_vec())).into(), words }
    }

    fn ledger(&self, name: &str, step: LedgerStep) -> Vec<ServerCommand> {
        vec![statement(&match step {
            LedgerStep::Create => format!("CREATE TABLE dotcloud_{name} (number BIGINT PRIMARY KEY)"),
            LedgerStep::Write(number) => format!("INSERT INTO dotcloud_{name} VALUES ({number})"),
            LedgerStep::Read => format!("SELECT number FROM dotcloud_{name}"),
            LedgerStep::Remove => format!("DROP TABLE IF EXISTS dotcloud_{name}"),
        })]
    }

    /// A file of its own: what users set themselves (`ALTER SYSTEM`) counts for more. Buffers,
    /// which cannot be changed while the server runs, follow at its next start.
    fn tune(&self, memory: u64) -> Vec<ServerCommand> {
        let megabytes = |part: u64, least: u64, most: u64| (part / MIB).clamp(least, most);
        let settings = [
            ("effective_cache_size", megabytes(memory / 8 * 5, 8, 65_536)),
            ("work_mem", megabytes(memory / 64, 1, 64)),
            ("maintenance_work_mem", megabytes(memory / 16, 4, 1_024)),
        ];
        let lines = settings.map(|(name, value)| format!("('{name} = {value}MB')")).join(", ");
        statements(&[&format!("COPY (VALUES {lines}) TO '/var/lib/postgresql/memory.conf'"), RELOAD])
    }
}

const RELOAD: &str = "SELECT pg_reload_conf()";
const RESUME: &str = "ALTER SYSTEM RESET default_transaction_read_only";

/// Ends every session but the controller's; the front lets no new one in meanwhile.
const DISCONNECT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
     WHERE backend_type = 'client backend' AND usename <> 'dotcloud'";

/// What was received is applied first. Whoever is not done in time is asked again.
const PROMOTE: &str = "DO $$ BEGIN \
     IF pg_is_in_recovery() THEN \
     PERFORM pg_promote(false); \
     FOR i IN 1..200 LOOP EXIT WHEN NOT pg_is_in_recovery(); PERFORM pg_sleep(0.002); END LOOP; \
     END IF; END $$";

/// As `pg_ctl stop --mode=fast` does, from the server's own folder.
const SHUT_DOWN: &str = "DO $$ BEGIN \
     IF NOT pg_is_in_recovery() THEN \
     COPY (SELECT 1) TO PROGRAM 'kill -INT $(head -n 1 postmaster.pid)'; \
     PERFORM pg_sleep(2); \
     RAISE 'does not shut down'; \
     END IF; END $$";

/// The password is in a file of the member's.
fn follow(master: SocketAddr) -> Vec<ServerCommand> {
    let upstream = format!(
        "ALTER SYSTEM SET primary_conninfo = 'host={} port={} user=dotcloud application_name=dotcloud sslmode=disable \
         connect_timeout=2 passfile=/var/lib/postgresql/.pgpass'",
        master.ip(),
        master.port()
    );
    statements(&[SHUT_DOWN, &upstream, RELOAD])
}

/// Files of the log are named after timeline and place: the highest timeline that has one is what
/// a standby has got to, linked or not.
const SERVER: &str = "SELECT pg_is_in_recovery() AS recovering, \
     current_setting('default_transaction_read_only') AS paused, \
     current_setting('synchronous_standby_names') AS waits_for, \
     current_setting('primary_conninfo') AS upstream, \
     current_setting('server_version') AS version, \
     pg_size_bytes(current_setting('wal_segment_size')) AS segment, \
     (SELECT system_identifier FROM pg_control_system()) AS origin, \
     pg_snapshot_xmax(pg_current_snapshot()) AS writes, \
     link.status AS link, \
     CASE WHEN pg_is_in_recovery() THEN coalesce(lpad(upper(to_hex(link.received_tli)), 8, '0'), log.timeline) \
       ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END AS timeline, \
     CASE WHEN pg_is_in_recovery() THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) \
       ELSE pg_current_wal_flush_lsn() END - '0/0' AS position, \
     pg_last_wal_receive_lsn() - '0/0' AS received, \
     log.oldest AS oldest, \
     CASE WHEN NOT pg_is_in_recovery() THEN \
       pg_read_file('pg_wal/' || left(pg_walfile_name(pg_current_wal_lsn()), 8) || '.history', true) END AS branches, \
     CASE WHEN NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() IS NULL THEN NULL \
       WHEN pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn() THEN 0 \
       ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END AS lag \
     FROM (SELECT max(left(name, 8)) AS timeline, min(right(name, 16)) AS oldest FROM pg_ls_waldir() \
       WHERE name ~ '^[0-9A-F]{24}$') AS log \
     LEFT JOIN pg_stat_wal_receiver AS link ON true";

const FOLLOWERS: &str = "SELECT host(client_addr) AS host, flush_lsn - '0/0' AS position, \
     coalesce(extract(epoch FROM replay_lag), 0) AS lag \
     FROM pg_stat_replication WHERE application_name = 'dotcloud'";

fn statement(text: &str) -> ServerCommand {
    ServerCommand(vec![text.to_owned()])
}

fn statements(texts: &[&str]) -> Vec<ServerCommand> {
    texts.iter().map(|text| statement(text)).collect()
}

fn report(server: &Fields<'_>) -> Result<MemberReport, ReadError> {
    let recovering = server.text("recovering").ok_or(ReadError::Incomplete("recovering"))? == "t";
    let origin = server.text("origin").ok_or(ReadError::Incomplete("system identifier"))?;
    let timeline = server.text("timeline").and_then(hexadecimal).ok_or(ReadError::Incomplete("timeline"))?;
    // Every master is beyond the timeline that the image's data is on, and so is all it sent.
    let blank = timeline == 1;
    Ok(MemberReport {
        writable: !recovering && server.text("paused") == Some("off"),
        upstream: server.text("upstream").filter(|_| recovering).and_then(upstream),
        link_up: server.text("link") == Some("streaming"),
        was_linked: recovering && server.was_linked(),
        guarded: Some(server.text("waits_for").is_some_and(|names| !names.is_empty())),
        lag_seconds: server.text("lag").and_then(|lag| lag.parse().ok()),
        history: line(origin, timeline),
        position: server.number("position").ok_or(ReadError::Incomplete("position"))?,
        writes: server.number("writes").unwrap_or(0),
        empty: blank,
        blank,
        lineage: Some(Box::new(Lineage {
            origin: origin.to_owned(),
            branches: server.branches(origin),
            oldest: server.oldest().unwrap_or(0),
        })),
        version: server.text("version").map(|text| text.split(' ').next().unwrap_or(text).to_owned()),
        ..MemberReport::default()
    })
}

fn line(origin: &str, timeline: u64) -> String {
    format!("{origin}/{timeline}")
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

/// `host=172.18.0.2 port=5432 user=…`
fn upstream(settings: &str) -> Option<SocketAddr> {
    let value = |name: &str| settings.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    Some(SocketAddr::new(value("host")?.parse().ok()?, value("port")?.parse().ok()?))
}

/// The port of a connection is not the one that its server listens on.
fn follower(row: &Fields<'_>) -> Option<Follower> {
    let addr = SocketAddr::new(row.text("host")?.parse().ok()?, 5432);
    Some(Follower { addr, position: row.number("position")?, lag_seconds: row.text("lag")?.parse().ok()? })
}

/// What only this server's rows have.
impl Fields<'_> {
    /// Before anything has come over a link, the place to read from is the beginning of a file.
    fn was_linked(&self) -> bool {
        let segment = self.number("segment").filter(|segment| *segment > 0);
        segment.zip(self.number("received")).is_some_and(|(segment, received)| received % segment != 0)
    }

    /// Where the oldest file of the log begins: `0000000A00000003` is file 3 after 10 times 4 GiB.
    fn oldest(&self) -> Option<u64> {
        let (gigabytes, file) = self.text("oldest")?.split_at_checked(8)?;
        Some((hexadecimal(gigabytes)? << 32) + hexadecimal(file)? * self.number("segment")?)
    }

    /// Lines of a timeline's history file: number, place and reason, parted by tabs.
    fn branches(&self, origin: &str) -> Vec<Branch> {
        let lines = self.text("branches").unwrap_or_default().lines().rev();
        lines.filter_map(|text| branch(origin, text)).take(BRANCHES).collect()
    }
}

fn branch(origin: &str, text: &str) -> Option<Branch> {
    let mut words = text.split_whitespace();
    let timeline = words.next()?.parse().ok()?;
    let (high, low) = words.next()?.split_once('/')?;
    Some(Branch { history: line(origin, timeline), position: (hexadecimal(high)? << 32) + hexadecimal(low)? })
}

#[cfg(test)]
mod tests;
