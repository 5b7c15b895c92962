//! One method per question. Application and service names are given as text that was checked.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt, Full};

use super::{Client, Lines, RequestBody, Result, object, request};
use crate::api::types::*;

impl Client {
    // --- applications

    pub async fn apps(&self) -> Result<Vec<Application>> {
        self.list("/v1/me/applications").await
    }

    pub async fn app(&self, app: &str) -> Result<Application> {
        self.ask(Method::GET, &at(app, "")).await
    }

    /// `is_conflict` when it exists.
    pub async fn create(&self, app: &str, flavor: &str) -> Result<()> {
        let body = Flavor { name: app.to_owned(), flavor: flavor.to_owned() };
        self.order(Method::POST, "/v1/me/applications", Some(&body)).await
    }

    pub async fn destroy(&self, app: &str) -> Result<()> {
        self.order(Method::DELETE, &at(app, ""), None::<&()>).await
    }

    pub async fn destroy_service(&self, app: &str, service: &str) -> Result<()> {
        self.order(Method::DELETE, &at(app, &format!("/services/{service}")), None::<&()>).await
    }

    pub async fn down(&self, app: &str, volumes: bool) -> Result<()> {
        self.order(Method::POST, &at(app, "/down"), Some(&serde_json::json!({ "volumes": volumes }))).await
    }

    /// Starts a stack that is down again, without a build.
    pub async fn up(&self, app: &str) -> Result<()> {
        self.order(Method::POST, &at(app, "/up"), None::<&()>).await
    }

    /// [`WaitRecord`]s until one is final: of these services, of all without any.
    pub async fn wait(&self, app: &str, services: &[String]) -> Result<Lines> {
        self.stream(&at(app, &format!("/wait?services={}", services.join(",")))).await
    }

    // --- services

    pub async fn services(&self, app: &str) -> Result<Vec<Service>> {
        self.list(&at(app, "/services")).await
    }

    pub async fn service(&self, app: &str, service: &str) -> Result<Service> {
        self.ask(Method::GET, &at(app, &format!("/services/{service}"))).await
    }

    pub async fn status(&self, app: &str, service: &str, instance: u32) -> Result<InstanceStatus> {
        self.ask(Method::GET, &at(app, &format!("/services/{service}/instances/{instance}/status"))).await
    }

    pub async fn restart(&self, app: &str, service: &str, instance: u32) -> Result<()> {
        let body = InstanceStatus { status: "restart".to_owned(), custom: BTreeMap::new() };
        self.order(Method::PUT, &at(app, &format!("/services/{service}/instances/{instance}/status")), Some(&body))
            .await
    }

    /// All wishes or none.
    pub async fn scale(&self, app: &str, wishes: Vec<Wish>) -> Result<Scaled> {
        self.tell(Method::PATCH, &at(app, "/scale"), &ScaleRequest { wishes }).await
    }

    /// Makes `to`, or the most advanced slave, the master; returns the master's number.
    pub async fn switchover(&self, app: &str, service: &str, to: Option<u32>) -> Result<u32> {
        let path = at(app, &format!("/services/{service}/switchover"));
        let master: Master = self.tell(Method::POST, &path, &Switchover { to }).await?;
        Ok(master.instance_id)
    }

    /// [`LedgerEvent`]s until one is final. A ledger ends when the stream is dropped.
    pub async fn ledger(&self, app: &str, service: &str, wish: &LedgerRequest) -> Result<Lines> {
        self.stream_told(Method::POST, &at(app, &format!("/services/{service}/ledger")), wish).await
    }

    /// Lets it end now: its last event comes. `is_not_found` when it has ended.
    pub async fn end_ledger(&self, app: &str, service: &str) -> Result<()> {
        self.order(Method::DELETE, &at(app, &format!("/services/{service}/ledger")), None::<&()>).await
    }

    /// Who is connected to a data service.
    pub async fn connections(&self, app: &str, service: &str) -> Result<Vec<Connection>> {
        self.list(&at(app, &format!("/services/{service}/connections"))).await
    }

    /// SIGKILL to `www.2`, `db.master`, `db.slave`; says which instance it was.
    pub async fn kill(&self, app: &str, strike: &Strike) -> Result<Struck> {
        self.tell(Method::POST, &at(app, "/kill"), strike).await
    }

    /// Stops an instance's processes where they are; says which instance it was.
    pub async fn pause(&self, app: &str, strike: &Strike) -> Result<Struck> {
        self.tell(Method::POST, &at(app, "/pause"), strike).await
    }

    /// Lets paused instances go on, without a role all of them; returns which it were.
    pub async fn unpause(&self, app: &str, role: Option<&str>) -> Result<Vec<String>> {
        let body = Unpause { role: role.map(str::to_owned) };
        let unpaused: Unpaused = self.tell(Method::POST, &at(app, "/unpause"), &body).await?;
        Ok(unpaused.instances)
    }

    /// `www`, `www.1`, `db.master` -> an instance.
    pub async fn resolve(&self, app: &str, role: &str) -> Result<Resolved> {
        self.ask(Method::GET, &at(app, &format!("/resolve?role={role}"))).await
    }

    /// Failovers of every service, oldest first.
    pub async fn receipts(&self, app: &str) -> Result<Vec<Failover>> {
        self.list(&at(app, "/receipts")).await
    }

    // --- code

    /// Sends a tar of the tree; returns its revision.
    pub async fn upload(&self, app: &str, tree: RequestBody) -> Result<String> {
        let mut put = request(Method::PUT, &at(app, "/upload"), tree)?;
        put.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/x-tar"));
        let uploaded: Revision = object(self.send(put).await?).await?;
        Ok(uploaded.revision)
    }

    pub async fn deploy(&self, app: &str, what: &DeployRequest) -> Result<Deployment> {
        self.tell(Method::POST, &at(app, "/deployments"), what).await
    }

    /// Oldest first.
    pub async fn deployments(&self, app: &str) -> Result<Vec<Deployment>> {
        self.list(&at(app, "/deployments")).await
    }

    /// [`LogRecord`]s from the first line on; with `follow` until the deployment's end.
    pub async fn deploy_log(&self, app: &str, id: &str, follow: bool, lines: Option<u32>) -> Result<Lines> {
        self.stream(&at(app, &format!("/deployments/{id}/logs?{}", log_query(follow, lines, &[])))).await
    }

    /// Oldest first.
    pub async fn revisions(&self, app: &str) -> Result<Vec<String>> {
        let revisions: Vec<Revision> = self.list(&at(app, "/revisions")).await?;
        Ok(revisions.into_iter().map(|revision| revision.revision).collect())
    }

    /// The one that serves; `None` before the first deployment.
    pub async fn revision(&self, app: &str) -> Result<Option<String>> {
        match self.ask::<Revision>(Method::GET, &at(app, "/revision")).await {
            Ok(revision) => Ok(Some(revision.revision)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// [`LiveReady`]s: while this stream is open, instances are held ready for changes.
    pub async fn live(&self, app: &str) -> Result<Lines> {
        self.stream(&at(app, "/live")).await
    }

    /// Sends changed files (see [`crate::api::types::DELETED`]); [`LiveEvent`]s until one is final.
    ///
    /// # Errors
    /// `is_conflict` when the application is not up, or a deployment of it does not end.
    pub async fn live_apply(&self, app: &str, tar: Vec<u8>) -> Result<Lines> {
        let body = Full::new(Bytes::from(tar)).map_err(|never| match never {}).boxed();
        let mut post = request(Method::POST, &at(app, "/live"), body)?;
        post.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/x-tar"));
        self.stream_of(post).await
    }

    // --- environment, logs, activity

    pub async fn environment(&self, app: &str) -> Result<BTreeMap<String, String>> {
        self.ask(Method::GET, &at(app, "/environment")).await
    }

    /// `None` unsets.
    pub async fn set_environment(&self, app: &str, changes: &BTreeMap<String, Option<String>>) -> Result<()> {
        self.order(Method::PATCH, &at(app, "/environment"), Some(changes)).await
    }

    /// [`LogRecord`]s of services and instances; an empty filter means all. `lines` are the last
    /// ones of each instance, `since` (RFC 3339, UTC) leaves out what is older.
    pub async fn logs(
        &self,
        app: &str,
        filter: &[String],
        lines: Option<u32>,
        since: Option<&str>,
        follow: bool,
    ) -> Result<Lines> {
        let since = since.map(|since| format!("&since={since}")).unwrap_or_default();
        self.stream(&at(app, &format!("/logs?{}{since}", log_query(follow, lines, filter)))).await
    }

    /// Of one application or, with `None`, of all.
    pub async fn activity(&self, app: Option<&str>) -> Result<Vec<ActivityRecord>> {
        match app {
            Some(app) => self.list(&at(app, "/activity")).await,
            None => self.list("/v1/me/activity").await,
        }
    }

    // --- the machine

    pub async fn set_settings(&self, settings: &Settings) -> Result<Settings> {
        self.tell(Method::PATCH, "/v1/settings", settings).await
    }

    pub async fn doctor(&self) -> Result<Vec<Finding>> {
        self.list("/v1/doctor").await
    }
}

fn at(app: &str, rest: &str) -> String {
    format!("/v1/me/applications/{app}{rest}")
}

fn log_query(follow: bool, lines: Option<u32>, filter: &[String]) -> String {
    let mut query = "stream".to_owned();
    if follow {
        query.push_str("&follow");
    }
    if let Some(lines) = lines {
        query.push_str(&format!("&lines={lines}"));
    }
    if !filter.is_empty() {
        query.push_str(&format!("&filter={}", filter.join(",")));
    }
    query
}
