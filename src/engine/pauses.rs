//! Pauses that end by themselves. The promise is in the application's record, so that it is kept
//! by whatever daemon runs when its time has come.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::InstanceName;
use crate::model::observed::{ObservedApp, RunState};
use crate::store::AppRecord;

use super::app::App;
use super::inner::Inner;
use super::reconcile::in_full;
use super::runtime::RuntimeError;

/// Containers whose pause is over.
pub fn over(record: &AppRecord, now: Timestamp) -> BTreeSet<String> {
    let over = record.pauses.iter().filter(|(_, until)| left(until, now).is_none());
    over.map(|(container, _)| container.clone()).collect()
}

/// How long until the next one is over.
pub fn next_end(record: &AppRecord, now: Timestamp) -> Option<Duration> {
    record.pauses.values().filter_map(|until| left(until, now)).min()
}

/// `None` when its time has come. A time that cannot be read has: better early than never.
fn left(until: &str, now: Timestamp) -> Option<Duration> {
    let until: Timestamp = until.parse().ok()?;
    Duration::try_from(until.duration_since(now)).ok().filter(|left| !left.is_zero())
}

/// Ends a pause whose time has come.
pub async fn end(inner: &Inner, app: &Arc<App>, instance: &InstanceName, container: &str) -> Result<(), RuntimeError> {
    inner.runtime.unpause(container).await?;
    let details = [("service", instance.to_string()), ("cause", "its time was over".to_owned())];
    inner.record_activity(&app.name, "fault", "unpause", &details).await;
    forget(inner, app, &[container.to_owned()].into()).await;
    Ok(())
}

/// Lets a container go on if it was seen paused.
pub async fn let_go_on(inner: &Inner, app: &App, container: &str) -> Result<(), RuntimeError> {
    let observed = app.status.borrow().observed.clone();
    let paused = observed.containers.iter().any(|c| c.id == container && c.state == RunState::Paused);
    if paused { inner.runtime.unpause(container).await } else { Ok(()) }
}

/// Promises about containers that no longer are paused, or no longer are.
pub async fn forget_spent(inner: &Inner, app: &Arc<App>, record: &AppRecord, observed: &ObservedApp) {
    let is_paused = |id: &String| observed.containers.iter().any(|c| c.id == *id && c.state == RunState::Paused);
    let spent: BTreeSet<String> = over(record, super::clock::now()).into_iter().filter(|id| !is_paused(id)).collect();
    if !spent.is_empty() {
        forget(inner, app, &spent).await;
    }
}

async fn forget(inner: &Inner, app: &Arc<App>, containers: &BTreeSet<String>) {
    let edit = |record: &mut AppRecord| {
        record.pauses.retain(|container, _| !containers.contains(container));
        Ok(())
    };
    // A promise that is kept twice does no harm.
    if let Err(error) = app.change(&inner.store, edit).await {
        tracing::warn!("a pause that ended stays recorded: {}", in_full(&error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_over_at_its_time_and_not_before() {
        let mut record: AppRecord = serde_json::from_value(serde_json::json!({
            "name": "ramen", "flavor": "live", "created_at": "2026-11-22T00:00:00Z", "up": true, "subnet": null,
            "services": [], "environment": {}, "generation": 1,
        }))
        .unwrap();
        record.pauses = [("a", "2026-11-22T00:00:05Z"), ("b", "2026-11-22T00:00:09Z"), ("c", "nonsense")]
            .map(|(container, until)| (container.to_owned(), until.to_owned()))
            .into();
        let now: Timestamp = "2026-11-22T00:00:05Z".parse().unwrap();
        assert_eq!(over(&record, now), ["a".to_owned(), "c".to_owned()].into());
        assert_eq!(next_end(&record, now), Some(Duration::from_secs(4)));
    }
}
