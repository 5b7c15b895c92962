//! The client's end of a dump: frames over an upgraded connection.

use http::Method;

use super::exec::upgraded;
use super::{Client, ExecClient, Result, empty, request};

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

    async fn dump(&self, app: &str, service: &str, verb: &str) -> Result<ExecClient> {
        let path = format!("/v1/me/applications/{app}/services/{service}/{verb}");
        upgraded(self, request(Method::POST, &path, empty())?).await
    }
}
