//! The thread that owns the connection: calls are closures, run one after the other.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{Result, StoreError};

/// The store's format; an older binary refuses a newer store.
const FORMAT: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS setting (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS app (name TEXT PRIMARY KEY, doc TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS epoch (
    app TEXT NOT NULL, service TEXT NOT NULL, number INTEGER NOT NULL, master INTEGER NOT NULL,
    PRIMARY KEY (app, service));
CREATE TABLE IF NOT EXISTS vouch (
    app TEXT NOT NULL, service TEXT NOT NULL, epoch INTEGER NOT NULL, upstream TEXT,
    PRIMARY KEY (app, service));
CREATE TABLE IF NOT EXISTS receipt (
    app TEXT NOT NULL, service TEXT NOT NULL, epoch INTEGER NOT NULL, doc TEXT NOT NULL,
    PRIMARY KEY (app, service, epoch));
CREATE TABLE IF NOT EXISTS counted (
    app TEXT NOT NULL, service TEXT NOT NULL, epoch INTEGER NOT NULL,
    acknowledged INTEGER NOT NULL, lost INTEGER NOT NULL,
    PRIMARY KEY (app, service, epoch));
CREATE TABLE IF NOT EXISTS deployment (
    id TEXT PRIMARY KEY, app TEXT NOT NULL, seq INTEGER NOT NULL, doc TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS deployment_app ON deployment (app, seq);
CREATE TABLE IF NOT EXISTS deploy_line (
    deployment TEXT NOT NULL, seq INTEGER NOT NULL, app TEXT NOT NULL, doc TEXT NOT NULL,
    PRIMARY KEY (deployment, seq));
CREATE TABLE IF NOT EXISTS activity (id INTEGER PRIMARY KEY, app TEXT NOT NULL, doc TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS activity_app ON activity (app, id);
CREATE TABLE IF NOT EXISTS revision (
    app TEXT NOT NULL, name TEXT NOT NULL, seq INTEGER NOT NULL, file TEXT NOT NULL,
    PRIMARY KEY (app, name));
";

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

#[derive(Clone)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    pub fn open(path: &Path) -> Result<Self> {
        let mut connection = connect(path)?;
        let (jobs, queue) = mpsc::channel::<Job>();
        thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || queue.into_iter().for_each(|job| job(&mut connection)))
            .map_err(|_| StoreError::Closed)?;
        Ok(Self { jobs })
    }

    /// Runs `query` on the store's thread.
    pub async fn call<T, F>(&self, attempt: &'static str, query: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // The asker may be gone; what it asked for is done all the same.
            let _ = answer.send(query(connection));
        });
        self.jobs.send(job).map_err(|_| StoreError::Closed)?;
        let result = answered.await.map_err(|_| StoreError::Closed)?;
        result.map_err(|source| StoreError::Query { attempt, source })
    }
}

fn connect(path: &Path) -> Result<Connection> {
    let shown = path.display().to_string();
    let failed = |source| StoreError::Open { path: shown.clone(), source };
    create_private(path).map_err(|source| StoreError::Create { path: shown.clone(), source })?;
    let connection = Connection::open(path).map_err(failed)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    if found > FORMAT {
        return Err(StoreError::Newer { path: shown, found, known: FORMAT });
    }
    connection.execute_batch(SCHEMA).map_err(failed)?;
    add_columns(&connection).map_err(failed)?;
    connection.pragma_update(None, "user_version", FORMAT).map_err(failed)?;
    Ok(connection)
}

/// What tables of an older version lack. A binary of that version leaves it empty and can go on.
fn add_columns(connection: &Connection) -> rusqlite::Result<()> {
    if connection.column_exists(None, "vouch", "upstream")? {
        return Ok(());
    }
    connection.execute_batch("ALTER TABLE vouch ADD COLUMN upstream TEXT")
}

/// It holds passwords. SQLite gives the files beside it (-wal, -shm) the same mode.
fn create_private(path: &Path) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}
