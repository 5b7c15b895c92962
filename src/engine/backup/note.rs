//! Notes of data that is being replaced, for the successor of a daemon that ends in the middle.

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
    pub async fn write(&self, inner: &Inner, text: &str) {
        // Without the note a killed daemon's successor does not tell of it, nothing worse.
        if let Err(error) = inner.store.set_setting(&self.0, text).await {
            tracing::warn!(%error, "{} is not noted", self.0);
        }
    }

    pub async fn erase(&self, inner: &Inner) {
        self.write(inner, "").await;
    }

    /// What the last daemon did not see end. It is told once.
    pub async fn take(&self, inner: &Inner) -> Option<String> {
        let text = inner.store.setting(&self.0).await.ok().flatten().filter(|text| !text.is_empty())?;
        self.erase(inner).await;
        Some(text)
    }
}
