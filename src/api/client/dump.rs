//! The client's end of dumps (frames over an upgraded connection) and of snapshots.

use http::Method;

use super::exec::upgraded;
use super::{Client, ExecClient, Lines, Result, empty, json, json_request, request};
use crate::api::types::{Snapshot, SnapshotRequest};

impl Client {
    /// Begins a dump of a service: `Stdout` frames, [`crate::api::types::DumpNews`] in `Stderr`
    /// frames, and `Exit` only when it is complete.
    pub async fn backup(&self, app: &str, service: &str) -> Result<ExecClient> {
        self.dump(app, service, "backup").await
    }

    /// Begins to replace everything in a service by the dump that is sent in `Stdin` frames, of
    /// which an empty one says that it is complete.
    pub async fn restore(&self, app: &str, service: &str) -> Result<ExecClient> {
        self.dump(app, service, "restore").await
    }

    /// Oldest first; also of an application that is gone.
    pub async fn snapshots(&self, app: &str) -> Result<Vec<Snapshot>> {
        self.list(&format!("/v1/me/applications/{app}/snapshots")).await
    }

    /// [`crate::api::types::SnapshotNews`] until one is final.
    pub async fn save_snapshot(&self, app: &str, name: &str) -> Result<Lines> {
        let path = format!("/v1/me/applications/{app}/snapshots");
        let body = json(&path, &SnapshotRequest { name: name.to_owned() })?;
        self.stream_of(json_request(Method::POST, &path, body)?).await
    }

    /// [`crate::api::types::SnapshotNews`] until one is final.
    pub async fn restore_snapshot(&self, app: &str, name: &str) -> Result<Lines> {
        let path = format!("/v1/me/applications/{app}/snapshots/{name}/restore");
        self.stream_of(request(Method::POST, &path, empty())?).await
    }

    pub async fn delete_snapshot(&self, app: &str, name: &str) -> Result<()> {
        let path = format!("/v1/me/applications/{app}/snapshots/{name}");
        self.order(Method::DELETE, &path, None::<&()>).await
    }

    async fn dump(&self, app: &str, service: &str, verb: &str) -> Result<ExecClient> {
        let path = format!("/v1/me/applications/{app}/services/{service}/{verb}");
        upgraded(self, request(Method::POST, &path, empty())?).await
    }
}
