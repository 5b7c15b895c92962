//! What happened: deployments and their logs, activity, revisions.

use std::path::{Path, PathBuf};

use crate::model::AppName;

use super::{ActivityRecord, DeploymentRecord, Result, Store, from_json, optional, to_json};

/// A line of a deployment's log, as JSON, with its place.
pub type StoredLine = (u64, String);

impl Store {
    // --- deployments

    pub async fn save_deployment(&self, record: &DeploymentRecord) -> Result<()> {
        let (id, app, seq, doc) =
            (record.id.clone(), record.app.to_string(), record.generation.cast_signed(), to_json(record));
        self.writer
            .call("save a deployment", move |db| {
                let sql = "INSERT OR REPLACE INTO deployment (id, app, seq, doc) VALUES (?1, ?2, ?3, ?4)";
                db.execute(sql, (id, app, seq, doc)).map(drop)
            })
            .await
    }

    /// Oldest first.
    pub async fn deployments(&self, app: &AppName) -> Result<Vec<DeploymentRecord>> {
        let documents =
            self.documents("list deployments", "SELECT doc FROM deployment WHERE app = ?1 ORDER BY seq", app).await?;
        documents.iter().map(|doc| from_json("deployment", doc)).collect()
    }

    /// `seq` grows by one a line.
    pub async fn append_line(&self, app: &AppName, deployment: &str, seq: u64, doc: String) -> Result<()> {
        let (app, deployment) = (app.to_string(), deployment.to_owned());
        self.writer
            .call("append to a deployment's log", move |db| {
                let sql = "INSERT OR REPLACE INTO deploy_line (deployment, seq, app, doc) VALUES (?1, ?2, ?3, ?4)";
                db.execute(sql, (deployment, seq.cast_signed(), app, doc)).map(drop)
            })
            .await
    }

    /// Lines of a deployment's log from place `from` on.
    pub async fn lines(&self, deployment: &str, from: u64) -> Result<Vec<StoredLine>> {
        let deployment = deployment.to_owned();
        self.writer
            .call("read a deployment's log", move |db| {
                let sql = "SELECT seq, doc FROM deploy_line WHERE deployment = ?1 AND seq >= ?2 ORDER BY seq";
                let mut query = db.prepare_cached(sql)?;
                let rows = query.query_map((deployment, from.cast_signed()), |row| {
                    Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?))
                })?;
                rows.collect()
            })
            .await
    }

    // --- revisions

    pub async fn add_revision(&self, app: &AppName, name: &str, file: &Path) -> Result<()> {
        let (app, name, file) = (app.to_string(), name.to_owned(), file.display().to_string());
        self.writer
            .call("record a revision", move |db| {
                let sql = "INSERT OR REPLACE INTO revision (app, name, seq, file) VALUES
                    (?1, ?2, (SELECT COALESCE(MAX(seq), 0) + 1 FROM revision WHERE app = ?1), ?3)";
                db.execute(sql, (app, name, file)).map(drop)
            })
            .await
    }

    /// Names, oldest first.
    pub async fn revisions(&self, app: &AppName) -> Result<Vec<String>> {
        self.documents("list revisions", "SELECT name FROM revision WHERE app = ?1 ORDER BY seq", app).await
    }

    /// The uploaded tree (a tar file) of a revision.
    pub async fn revision_file(&self, app: &AppName, name: &str) -> Result<Option<PathBuf>> {
        let keys = [app.to_string(), name.to_owned()];
        let file: Option<String> = self
            .writer
            .call("find a revision", move |db| {
                optional(db.query_row("SELECT file FROM revision WHERE app = ?1 AND name = ?2", keys, |row| row.get(0)))
            })
            .await?;
        Ok(file.map(PathBuf::from))
    }

    pub async fn remove_revision(&self, app: &AppName, name: &str) -> Result<()> {
        let keys = [app.to_string(), name.to_owned()];
        self.writer
            .call("remove a revision", move |db| {
                db.execute("DELETE FROM revision WHERE app = ?1 AND name = ?2", keys).map(drop)
            })
            .await
    }

    // --- activity

    pub async fn add_activity(&self, record: &ActivityRecord) -> Result<()> {
        let (app, doc) = (record.app.to_string(), to_json(record));
        self.writer
            .call("record an activity", move |db| {
                db.execute("INSERT INTO activity (app, doc) VALUES (?1, ?2)", [app, doc]).map(drop)
            })
            .await
    }

    /// Oldest first; of all applications without `app`.
    pub async fn activity(&self, app: Option<&AppName>) -> Result<Vec<ActivityRecord>> {
        let app = app.map_or_else(|| "%".to_owned(), |app| app.to_string().replace('_', "\\_"));
        let documents: Vec<String> = self
            .writer
            .call("list activity", move |db| {
                let mut query =
                    db.prepare_cached("SELECT doc FROM activity WHERE app LIKE ?1 ESCAPE '\\' ORDER BY id")?;
                query.query_map([app], |row| row.get(0))?.collect()
            })
            .await?;
        documents.iter().map(|doc| from_json("activity", doc)).collect()
    }

    async fn documents(&self, attempt: &'static str, sql: &'static str, app: &AppName) -> Result<Vec<String>> {
        let app = app.to_string();
        self.writer
            .call(attempt, move |db| {
                let mut query = db.prepare_cached(sql)?;
                query.query_map([app], |row| row.get(0))?.collect()
            })
            .await
    }
}
