//! Numbered writes that can be asked for afterwards: what was acknowledged and is gone is lost.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::mysql::MySql;
use super::pause;
use super::postgresql::PostgreSql;
use super::redis::{Redis, Reply, all_set};

/// A parked connection waits this long before the next is tried.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where nobody listens an attempt fails at once; many in a row would starve what is to listen.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(2);

/// Where and as what the numbers are kept.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub database: Database,
    pub address: SocketAddr,
    pub password: String,
    pub key: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// One bit of a bitmap each.
    Redis,
    /// One row each.
    MySql,
    /// One row each.
    PostgreSql,
}

/// A connection that writes numbers.
pub enum Session {
    Redis(Redis, String),
    MySql(MySql, String),
    PostgreSql(PostgreSql, String),
}

impl Database {
    /// The client for a service type; `None` when there is none yet.
    pub fn of(kind: &str) -> Option<Self> {
        match kind {
            "redis" => Some(Self::Redis),
            "mysql" => Some(Self::MySql),
            "postgresql" => Some(Self::PostgreSql),
            _ => None,
        }
    }

    /// Where a member itself listens.
    pub fn port(self) -> u16 {
        match self {
            Self::Redis => 6379,
            Self::MySql => 3306,
            Self::PostgreSql => 5432,
        }
    }
}

impl Ledger {
    /// Makes room for the numbers.
    pub fn create(&self) {
        self.try_create().unwrap();
    }

    /// The same, as often as one likes; the server's words when it refuses.
    pub fn try_create(&self) -> Result<(), String> {
        let table = |name: &str| format!("CREATE TABLE IF NOT EXISTS {name} (number INT PRIMARY KEY)");
        match self.session()? {
            Session::Redis(..) => Ok(()),
            Session::MySql(mut mysql, key) => {
                mysql.call("CREATE DATABASE IF NOT EXISTS ledgers")?;
                mysql.call(&table(&format!("ledgers.{key}")))
            }
            Session::PostgreSql(mut postgresql, key) => postgresql.call(&table(&key)),
        }
    }

    pub fn at(&self, address: SocketAddr) -> Self {
        Self { address, ..self.clone() }
    }

    pub fn session(&self) -> Result<Session, String> {
        Ok(match self.database {
            Database::Redis => {
                let redis = Redis::connect(self.address, &self.password, PATIENCE).map_err(|e| e.to_string())?;
                Session::Redis(redis, self.key.clone())
            }
            Database::MySql => {
                Session::MySql(MySql::connect(self.address, &self.password, PATIENCE)?, self.key.clone())
            }
            Database::PostgreSql => {
                Session::PostgreSql(PostgreSql::connect(self.address, &self.password, PATIENCE)?, self.key.clone())
            }
        })
    }

    /// The server's words for why it takes no write that is no entry.
    pub fn refusal(&self) -> String {
        match self.session().unwrap() {
            Session::Redis(mut redis, _) => match redis.call(&["SET", "stray", "1"]).unwrap() {
                Reply::Error(why) => why,
                taken => panic!("the write was taken: {taken:?}"),
            },
            Session::MySql(mut mysql, _) => mysql.call("CREATE DATABASE stray").unwrap_err(),
            Session::PostgreSql(mut postgresql, _) => postgresql.call("CREATE TABLE stray ()").unwrap_err(),
        }
    }

    /// How many of these numbers are not there.
    pub fn lost(&self, acknowledged: &[usize]) -> usize {
        let kept = self.numbers().unwrap();
        acknowledged.iter().filter(|number| !kept.contains(number)).count()
    }

    /// All numbers that are there; the server's words when it does not say.
    pub fn numbers(&self) -> Result<HashSet<usize>, String> {
        Ok(match self.session()? {
            Session::Redis(mut redis, key) => match redis.call(&["GET", &key]).map_err(|error| error.to_string())? {
                Reply::Bulk(Some(bitmap)) => all_set(&bitmap).collect(),
                Reply::Bulk(None) => HashSet::new(),
                refused => return Err(format!("GET {key}: {refused:?}")),
            },
            Session::MySql(mut mysql, key) => {
                mysql.rows::<usize>(&format!("SELECT number FROM ledgers.{key}"))?.into_iter().collect()
            }
            Session::PostgreSql(mut postgresql, key) => {
                let rows = postgresql.rows(&format!("SELECT number FROM {key}"))?;
                rows.iter().map(|row| row.parse().unwrap()).collect()
            }
        })
    }
}

impl Session {
    /// Whether the write was acknowledged.
    pub fn write(&mut self, number: usize) -> bool {
        match self {
            Self::Redis(redis, key) => {
                matches!(redis.call(&["SETBIT", key, &number.to_string(), "1"]), Ok(Reply::Text(_)))
            }
            Self::MySql(mysql, key) => mysql.call(&format!("INSERT INTO ledgers.{key} VALUES ({number})")).is_ok(),
            Self::PostgreSql(postgresql, key) => {
                postgresql.call(&format!("INSERT INTO {key} VALUES ({number})")).is_ok()
            }
        }
    }
}

/// One client in a reconnect loop that remembers what it was promised.
pub struct Writer {
    state: Arc<State>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    stop: AtomicBool,
    promises: Mutex<Promises>,
}

#[derive(Default)]
struct Promises {
    acknowledged: Vec<usize>,
    /// Those that had a write acknowledged.
    connections: Vec<Connection>,
}

/// A connection of the writer, by its moments.
#[derive(Debug, Clone, Copy)]
struct Connection {
    asked: Instant,
    /// Acknowledgements.
    first: Instant,
    last: Instant,
}

impl Writer {
    pub fn start(ledger: Ledger) -> Self {
        Self::paced(ledger, Duration::ZERO)
    }

    /// With a pause after each write, acknowledged or not.
    pub fn paced(ledger: Ledger, pace: Duration) -> Self {
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || write(&shared, &ledger, pace));
        Self { state, thread }
    }

    pub fn acknowledged(&self) -> usize {
        self.state.promises.lock().unwrap().acknowledged.len()
    }

    /// When the first write was acknowledged on a connection that was asked for after `moment`.
    pub fn first_on_connection_after(&self, moment: Instant) -> Option<Instant> {
        let promises = self.state.promises.lock().unwrap();
        let later = promises.connections.iter().find(|connection| connection.asked >= moment);
        later.map(|connection| connection.first)
    }

    /// How long nothing was acknowledged before that: since the last acknowledgement over the
    /// connection before.
    pub fn gap_after(&self, moment: Instant) -> Option<Duration> {
        let promises = self.state.promises.lock().unwrap();
        let later = promises.connections.iter().position(|connection| connection.asked >= moment)?;
        let before = promises.connections.get(later.checked_sub(1)?)?;
        Some(promises.connections[later].first - before.last)
    }

    /// Ends the loop; the numbers of all acknowledged writes.
    pub fn stop(self) -> Vec<usize> {
        self.state.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        std::mem::take(&mut self.state.promises.lock().unwrap().acknowledged)
    }
}

fn write(state: &State, ledger: &Ledger, pace: Duration) {
    let mut number = 0;
    while !state.stop.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let Ok(mut session) = ledger.session() else {
            pause(BETWEEN_ATTEMPTS);
            continue;
        };
        let mut first = true;
        while !state.stop.load(Ordering::Relaxed) {
            let acknowledged = session.write(number);
            // A number is never used twice: without an answer nobody knows whether it was written.
            number += 1;
            if !acknowledged {
                pause(pace);
                break;
            }
            let mut promises = state.promises.lock().unwrap();
            promises.acknowledged.push(number - 1);
            let last = Instant::now();
            if std::mem::take(&mut first) {
                promises.connections.push(Connection { asked, first: last, last });
            }
            if let Some(connection) = promises.connections.last_mut() {
                connection.last = last;
            }
            drop(promises);
            pause(pace);
        }
    }
}
