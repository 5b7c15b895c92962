//! Notes of data that is being replaced, for the successor of a daemon that ends in the middle.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::{AppName, ServiceName};

use super::super::inner::Inner;

/// One note, on disk.
pub struct Note(String);

impl Note {
    /// Of a service whose contents are replaced.
    pub fn of_service(app: &AppName, service: &ServiceName) -> Self {
        Self(format!("restoring/{app}/{service}"))
    }

    /// Of an application that a snapshot is put into.
    pub fn of_app(app: &AppName) -> Self {
        Self(format!("restoring/{app}"))
    }

    /// Says what goes on.
    pub async fn write(&self, inner: &Inner, what: &impl Serialize) {
        self.keep(inner, &serde_json::to_string(what).unwrap_or_default()).await;
    }

    pub async fn erase(&self, inner: &Inner) {
        self.keep(inner, "").await;
    }

    /// What the last daemon did not see end; `None` also for what another version wrote.
    pub async fn read<T: DeserializeOwned>(&self, inner: &Inner) -> Option<T> {
        let text = inner.store.setting(&self.0).await.ok().flatten().filter(|text| !text.is_empty())?;
        let read = serde_json::from_str(&text);
        read.inspect_err(|error| tracing::warn!(%error, "{} says {text:?}, which is passed over", self.0)).ok()
    }

    async fn keep(&self, inner: &Inner, text: &str) {
        // Without the note a killed daemon's successor does not go on with it, nothing worse.
        if let Err(error) = inner.store.set_setting(&self.0, text).await {
            tracing::warn!(%error, "{} is not noted", self.0);
        }
    }
}
