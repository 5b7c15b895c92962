//! Changed files go live in running instances.

mod news;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::model::AppName;

use super::handle::{Engine, Result};

pub use news::{How, News, Ready};

/// Bytes of a change; more is pushed.
pub const LONGEST: usize = 64 << 20;

impl Engine {
    /// Holds the application's instances ready for changes until the receiver is dropped.
    pub async fn live(&self, app: &AppName) -> Result<mpsc::Receiver<Ready>> {
        self.seen_app(app).await?;
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let _ = sender.send(Ready::default()).await;
            sender.closed().await;
        });
        Ok(receiver)
    }

    /// Brings a change (a tar of files) into the instances.
    pub async fn live_apply(&self, app: &AppName, _tar: Bytes) -> Result<mpsc::Receiver<News>> {
        self.seen_app(app).await?;
        let (sender, receiver) = mpsc::channel(1);
        let reason = "changes go live with a push".to_owned();
        let _ = sender.send(News::Build { reason }).await;
        Ok(receiver)
    }
}
