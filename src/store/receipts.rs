//! Receipts of failovers, and what ledgers counted over them.
//!
//! Counts are known when a ledger is read, which may be before or after its failover's receipt is
//! complete. So they are kept beside the receipts, and put in when these are read.

use std::collections::BTreeMap;

use crate::model::{AppName, CountedWrites, Receipt, ServiceName};

use super::{Result, Store, from_json, to_json};

impl Store {
    /// Stores or, for the same epoch, replaces a receipt. What was counted stays.
    pub async fn save_receipt(&self, app: &AppName, receipt: &Receipt) -> Result<()> {
        let (app, service, doc) = (app.to_string(), receipt.service.clone(), to_json(receipt));
        let epoch = receipt.epoch.cast_signed();
        self.writer
            .call("save a receipt", move |db| {
                let sql = "INSERT OR REPLACE INTO receipt (app, service, epoch, doc) VALUES (?1, ?2, ?3, ?4)";
                db.execute(sql, (app, service, epoch, doc)).map(drop)
            })
            .await
    }

    /// Stores what a ledger counted among the writes before the change to this epoch: all of
    /// them or none, in place of earlier counts.
    pub async fn save_counts(
        &self,
        app: &AppName,
        service: &ServiceName,
        counts: &BTreeMap<u64, CountedWrites>,
    ) -> Result<()> {
        let (app, service, counts) = (app.to_string(), service.to_string(), counts.clone());
        self.writer
            .call("save what a ledger counted", move |db| {
                let transaction = db.transaction()?;
                let sql = "INSERT OR REPLACE INTO counted (app, service, epoch, acknowledged, lost)
                    VALUES (?1, ?2, ?3, ?4, ?5)";
                for (epoch, CountedWrites { acknowledged, lost }) in counts {
                    let [epoch, acknowledged, lost] = [epoch, acknowledged, lost].map(u64::cast_signed);
                    transaction.execute(sql, (&app, &service, epoch, acknowledged, lost))?;
                }
                transaction.commit()
            })
            .await
    }

    /// Oldest first.
    pub async fn receipts(&self, app: &AppName, service: &ServiceName) -> Result<Vec<Receipt>> {
        let keys = [app.to_string(), service.to_string()];
        let (documents, counts): (Vec<String>, BTreeMap<u64, CountedWrites>) = self
            .writer
            .call("list receipts", move |db| {
                let sql = "SELECT doc FROM receipt WHERE app = ?1 AND service = ?2 ORDER BY epoch";
                let mut query = db.prepare_cached(sql)?;
                let documents = query.query_map(keys.each_ref(), |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
                let sql = "SELECT epoch, acknowledged, lost FROM counted WHERE app = ?1 AND service = ?2";
                let mut query = db.prepare_cached(sql)?;
                let number = |row: &rusqlite::Row<'_>, at| row.get::<_, i64>(at).map(i64::cast_unsigned);
                let counts = query.query_map(keys.each_ref(), |row| {
                    Ok((number(row, 0)?, CountedWrites { acknowledged: number(row, 1)?, lost: number(row, 2)? }))
                })?;
                Ok((documents, counts.collect::<rusqlite::Result<_>>()?))
            })
            .await?;
        let mut receipts: Vec<Receipt> =
            documents.iter().map(|doc| from_json("receipt", doc)).collect::<Result<_>>()?;
        put_in(&mut receipts, &counts);
        Ok(receipts)
    }
}

/// A receipt has the counts of every epoch since the receipt before it: there are changes of
/// epoch without a receipt, when a person named the master.
fn put_in(receipts: &mut [Receipt], counts: &BTreeMap<u64, CountedWrites>) {
    let mut before = 0;
    for receipt in receipts {
        let since = counts.range(before + 1..=receipt.epoch.max(before + 1)).map(|(_, counted)| *counted);
        receipt.writes =
            since.reduce(|a, b| CountedWrites { acknowledged: a.acknowledged + b.acknowledged, lost: a.lost + b.lost });
        before = receipt.epoch;
    }
}
