//! Answers to `activity`: what happened, failovers with their receipts.

use std::collections::BTreeMap;

use crate::model::{AppName, Receipt, ServiceName};
use crate::store::ActivityRecord;

use super::handle::{Engine, Result};
use super::inner::Inner;
use super::view::ActivityView;

impl Engine {
    /// Oldest first; of all applications without `app`.
    pub async fn activity(&self, app: Option<&AppName>) -> Result<Vec<ActivityView>> {
        let records = self.inner().store.activity(app).await?;
        let mut receipts = Receipts::default();
        let mut views = Vec::with_capacity(records.len());
        for ActivityRecord { created_at, app, category, action, mut details } in records {
            let receipt = receipts.of(self.inner(), &app, &details).await?;
            details.insert("application".to_owned(), app.to_string());
            views.push(ActivityView { created_at, category, action, details, receipt });
        }
        Ok(views)
    }
}

/// The receipts of the services that a list of what happened names, each read once.
#[derive(Default)]
struct Receipts(BTreeMap<(AppName, ServiceName), Vec<Receipt>>);

impl Receipts {
    /// The one that a failover's entry names by its epoch.
    async fn of(
        &mut self,
        inner: &Inner,
        app: &AppName,
        details: &BTreeMap<String, String>,
    ) -> Result<Option<Receipt>> {
        let named = (details.get("service"), details.get("epoch").and_then(|epoch| epoch.parse::<u64>().ok()));
        let (Some(service), Some(epoch)) = named else { return Ok(None) };
        let Ok(service) = service.parse::<ServiceName>() else { return Ok(None) };
        let key = (app.clone(), service);
        if !self.0.contains_key(&key) {
            let receipts = inner.store.receipts(app, &key.1).await?;
            self.0.insert(key.clone(), receipts);
        }
        Ok(self.0[&key].iter().find(|receipt| receipt.epoch == epoch).cloned())
    }
}
