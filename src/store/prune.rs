//! What keeps history from growing for as long as the platform is used.

use rusqlite::Transaction;

use crate::model::AppName;

use super::{DeploymentRecord, Result, Store, from_json};

/// As [`super::DeploymentPhase::is_over`] says it.
const IS_OVER: &str = "json_extract(doc, '$.phase') IN ('Succeeded', 'Failed')";

impl Store {
    /// Deployments that a killed daemon left to be finished; oldest first.
    pub async fn unfinished_deployments(&self, app: &AppName) -> Result<Vec<DeploymentRecord>> {
        let app = app.to_string();
        let documents: Vec<String> = self
            .writer
            .call("list unfinished deployments", move |db| {
                let sql = format!("SELECT doc FROM deployment WHERE app = ?1 AND NOT {IS_OVER} ORDER BY seq");
                let mut query = db.prepare_cached(&sql)?;
                query.query_map([app], |row| row.get(0))?.collect()
            })
            .await?;
        documents.iter().map(|doc| from_json("deployment", doc)).collect()
    }

    /// Forgets the oldest of an application's history, all or nothing: what exceeds
    /// `keep_deployments` finished deployments (with their logs; unfinished ones stay and do not
    /// count), `keep_activity` activities, and `keep_receipts` receipts of each data service.
    pub async fn prune_history(
        &self,
        app: &AppName,
        keep_deployments: usize,
        keep_activity: usize,
        keep_receipts: usize,
    ) -> Result<()> {
        let app = app.to_string();
        let [deployments, activity, receipts] =
            [keep_deployments, keep_activity, keep_receipts].map(|keep| i64::try_from(keep).unwrap_or(i64::MAX));
        self.writer
            .call("forget old history", move |db| {
                let transaction = db.transaction()?;
                prune_deployments(&transaction, &app, deployments)?;
                prune_activity(&transaction, &app, activity)?;
                prune_receipts(&transaction, &app, receipts)?;
                transaction.commit()
            })
            .await
    }
}

fn prune_deployments(transaction: &Transaction<'_>, app: &str, keep: i64) -> rusqlite::Result<()> {
    let old = format!("SELECT id FROM deployment WHERE app = ?1 AND {IS_OVER} ORDER BY seq DESC LIMIT -1 OFFSET ?2");
    // The lines first: which they are is known by the deployments.
    for (table, key) in [("deploy_line", "deployment"), ("deployment", "id")] {
        transaction.execute(&format!("DELETE FROM {table} WHERE {key} IN ({old})"), (app, keep))?;
    }
    Ok(())
}

fn prune_activity(transaction: &Transaction<'_>, app: &str, keep: i64) -> rusqlite::Result<()> {
    let old = "SELECT id FROM activity WHERE app = ?1 ORDER BY id DESC LIMIT -1 OFFSET ?2";
    transaction.execute(&format!("DELETE FROM activity WHERE id IN ({old})"), (app, keep)).map(drop)
}

/// With the counts that belong to the forgotten ones, and no others.
fn prune_receipts(transaction: &Transaction<'_>, app: &str, keep: i64) -> rusqlite::Result<()> {
    let aged = "SELECT rowid AS id, service, epoch, ROW_NUMBER() OVER (PARTITION BY service ORDER BY epoch DESC) AS age
        FROM receipt WHERE app = ?1";
    let newest = format!("SELECT MAX(epoch) FROM ({aged}) AS aged WHERE age > ?2 AND aged.service = counted.service");
    transaction.execute(&format!("DELETE FROM counted WHERE app = ?1 AND epoch <= ({newest})"), (app, keep))?;
    let sql = format!("DELETE FROM receipt WHERE rowid IN (SELECT id FROM ({aged}) WHERE age > ?2)");
    transaction.execute(&sql, (app, keep)).map(drop)
}
