//! Mails that a service has caught.

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;

use super::{Client, ClientError, Result, empty, request};
use crate::api::types::{Cleared, Mail, Relay, RelayPermission, ShownMail};

fn at(app: &str, service: &str, rest: &str) -> String {
    format!("/v1/me/applications/{app}/services/{service}/mail{rest}")
}

impl Client {
    /// The oldest first.
    pub async fn mails(&self, app: &str, service: &str) -> Result<Vec<Mail>> {
        self.list(&at(app, service, "")).await
    }

    pub async fn mail(&self, app: &str, service: &str, number: u64) -> Result<ShownMail> {
        self.ask(Method::GET, &at(app, service, &format!("/{number}"))).await
    }

    /// As it was received.
    pub async fn raw_mail(&self, app: &str, service: &str, number: u64) -> Result<Bytes> {
        let request = request(Method::GET, &at(app, service, &format!("/{number}/raw")), empty())?;
        Ok(self.send(request).await?.into_body().collect().await.map_err(ClientError::lost)?.to_bytes())
    }

    /// Removes all; how many.
    pub async fn clear_mails(&self, app: &str, service: &str) -> Result<u64> {
        let cleared: Cleared = self.ask(Method::DELETE, &at(app, service, "")).await?;
        Ok(cleared.removed)
    }

    pub async fn relay(&self, app: &str, service: &str) -> Result<Relay> {
        self.ask(Method::GET, &at(app, service, "/relay")).await
    }

    /// Whether mails that are received from now on are handed on.
    pub async fn allow_relay(&self, app: &str, service: &str, allowed: bool) -> Result<Relay> {
        self.tell(Method::PUT, &at(app, service, "/relay"), &RelayPermission { allowed }).await
    }
}
