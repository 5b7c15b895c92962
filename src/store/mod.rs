//! Desired state and history on disk: what must survive a killed daemon.
//!
//! One SQLite file per home, one thread that owns the connection. WAL with
//! `synchronous=FULL`: a committed epoch is on the disk before a promotion starts.
//! The store knows documents, not what they mean for containers.

mod history;
mod prune;
mod receipts;
pub mod record;
mod writer;

use std::path::Path;

use crate::model::{AppName, Epoch, ServiceName, Vouched};

pub use history::StoredLine;
pub use record::{ActivityRecord, AppRecord, DeploymentPhase, DeploymentRecord, LIVE, Overlay, ServiceRecord, Version};
use writer::Writer;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot create the store {path}")]
    Create {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot open the store {path}")]
    Open {
        path: String,
        #[source]
        source: rusqlite::Error,
    },
    #[error("the store {path} was written by a newer version of dotcloud (format {found}, this one knows {known})")]
    Newer { path: String, found: i64, known: i64 },
    #[error("cannot {attempt} in the store")]
    Query {
        attempt: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    #[error("a record of the store cannot be read: {what}")]
    Record {
        what: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("the store is closed")]
    Closed,
}

pub type Result<T> = std::result::Result<T, StoreError>;

/// Cheap to clone; every clone speaks to the same thread.
#[derive(Clone)]
pub struct Store {
    writer: Writer,
}

impl Store {
    /// Opens or creates the store.
    ///
    /// # Errors
    /// When the file cannot be opened, or was written by a newer version.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { writer: Writer::open(path)? })
    }

    // --- settings

    pub async fn setting(&self, key: &str) -> Result<Option<String>> {
        let key = key.to_owned();
        self.writer
            .call("read a setting", move |db| {
                optional(db.query_row("SELECT value FROM setting WHERE key = ?1", [key], |row| row.get(0)))
            })
            .await
    }

    pub async fn set_setting(&self, key: &str, value: &str) -> Result<()> {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.writer
            .call("write a setting", move |db| {
                db.execute("INSERT OR REPLACE INTO setting (key, value) VALUES (?1, ?2)", [key, value]).map(drop)
            })
            .await
    }

    // --- applications

    pub async fn apps(&self) -> Result<Vec<AppRecord>> {
        let documents: Vec<String> = self
            .writer
            .call("list applications", |db| {
                let mut query = db.prepare_cached("SELECT doc FROM app ORDER BY name")?;
                query.query_map([], |row| row.get(0))?.collect()
            })
            .await?;
        documents.iter().map(|doc| from_json("application", doc)).collect()
    }

    pub async fn save_app(&self, record: &AppRecord) -> Result<()> {
        let (name, doc) = (record.name.to_string(), to_json(record));
        self.writer
            .call("save an application", move |db| {
                db.execute("INSERT OR REPLACE INTO app (name, doc) VALUES (?1, ?2)", [name, doc]).map(drop)
            })
            .await
    }

    /// Forgets the application and everything that was recorded for it.
    pub async fn remove_app(&self, app: &AppName) -> Result<()> {
        let name = app.to_string();
        self.writer
            .call("remove an application", move |db| {
                let transaction = db.transaction()?;
                for table in
                    ["epoch", "vouch", "receipt", "counted", "deployment", "deploy_line", "activity", "revision"]
                {
                    transaction.execute(&format!("DELETE FROM {table} WHERE app = ?1"), [&name])?;
                }
                transaction.execute("DELETE FROM app WHERE name = ?1", [&name])?;
                transaction.commit()
            })
            .await
    }

    // --- epochs

    pub async fn epoch(&self, app: &AppName, service: &ServiceName) -> Result<Option<Epoch>> {
        let keys = [app.to_string(), service.to_string()];
        self.writer
            .call("read an epoch", move |db| {
                let sql = "SELECT number, master FROM epoch WHERE app = ?1 AND service = ?2";
                optional(db.query_row(sql, keys, |row| {
                    Ok(Epoch { number: row.get::<_, i64>(0)?.cast_unsigned(), master: row.get(1)? })
                }))
            })
            .await
    }

    /// On disk when it returns.
    pub async fn commit_epoch(&self, app: &AppName, service: &ServiceName, epoch: Epoch) -> Result<()> {
        let (app, service) = (app.to_string(), service.to_string());
        self.writer
            .call("commit an epoch", move |db| {
                let sql = "INSERT OR REPLACE INTO epoch (app, service, number, master) VALUES (?1, ?2, ?3, ?4)";
                db.execute(sql, (app, service, epoch.number.cast_signed(), epoch.master)).map(drop)
            })
            .await
    }

    /// Under which epoch a slave is known to have what the master acknowledges, if any. A
    /// store of an older version says `None`, and so does one whose epoch was written since.
    pub async fn vouched(&self, app: &AppName, service: &ServiceName) -> Result<Option<Vouched>> {
        let keys = [app.to_string(), service.to_string()];
        self.writer
            .call("read whether a slave is in step", move |db| {
                let sql = "SELECT epoch, upstream FROM vouch WHERE app = ?1 AND service = ?2";
                optional(db.query_row(sql, keys, |row| {
                    let upstream = row.get::<_, Option<String>>(1)?.and_then(|upstream| upstream.parse().ok());
                    Ok(Vouched { epoch: row.get::<_, i64>(0)?.cast_unsigned(), upstream })
                }))
            })
            .await
    }

    /// On disk when it returns.
    pub async fn vouch(&self, app: &AppName, service: &ServiceName, word: Option<Vouched>) -> Result<()> {
        let (app, service) = (app.to_string(), service.to_string());
        self.writer
            .call("record whether a slave is in step", move |db| {
                let changed = match word {
                    Some(Vouched { epoch, upstream }) => {
                        let sql =
                            "INSERT OR REPLACE INTO vouch (app, service, epoch, upstream) VALUES (?1, ?2, ?3, ?4)";
                        db.execute(sql, (app, service, epoch.cast_signed(), upstream.map(|one| one.to_string())))
                    }
                    None => db.execute("DELETE FROM vouch WHERE app = ?1 AND service = ?2", [app, service]),
                };
                changed.map(drop)
            })
            .await
    }

    /// Forgets a destroyed data service's epoch and receipts.
    pub async fn remove_group(&self, app: &AppName, service: &ServiceName) -> Result<()> {
        let (app, service) = (app.to_string(), service.to_string());
        self.writer
            .call("remove a group", move |db| {
                let transaction = db.transaction()?;
                for table in ["epoch", "vouch", "receipt", "counted"] {
                    let sql = format!("DELETE FROM {table} WHERE app = ?1 AND service = ?2");
                    transaction.execute(&sql, [&app, &service])?;
                }
                transaction.commit()
            })
            .await
    }
}

/// `None` instead of SQLite's "no rows".
fn optional<T>(result: rusqlite::Result<T>) -> rusqlite::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
        Err(error) => Err(error),
    }
}

fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("records hold only strings, numbers, lists and maps with string keys")
}

fn from_json<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|source| StoreError::Record { what: what.to_owned(), source })
}

#[cfg(test)]
mod tests;
