//! Answers to `connections`: who is connected to a data service.

use std::net::IpAddr;

use crate::model::observed::ObservedApp;
use crate::model::{AppName, ServiceName};

use super::handle::{Engine, EngineError, Result};
use super::traffic::TcpSession;
use super::view::ConnectionView;

impl Engine {
    /// The open connections of a data service, oldest first.
    ///
    /// # Errors
    /// There is no such application or service, or it is no data service.
    pub async fn connections(&self, app: &AppName, service: &ServiceName) -> Result<Vec<ConnectionView>> {
        let app = self.seen_app(app).await?;
        let record = app.record();
        let missing = || EngineError::NotFound(format!("The service \"{service}\" does not exist."));
        let found = record.service(service).ok_or_else(missing)?;
        let code = || EngineError::Invalid(format!("{service} is no data service: its connections are requests."));
        let front_port = found.front_port.filter(|_| found.is_data).ok_or_else(code)?;
        let sessions = self.inner().traffic.tcp_sessions(front_port).await;
        let status = app.status.borrow().clone();
        Ok(sessions.into_iter().map(|session| view(session, &status.observed)).collect())
    }
}

fn view(session: TcpSession, observed: &ObservedApp) -> ConnectionView {
    let instance = instance_at(session.peer.ip(), observed);
    ConnectionView {
        peer: instance.unwrap_or_else(|| session.peer.to_string()),
        since: format!("{:.6}", session.since),
        epoch: session.epoch,
        received: session.received,
        sent: session.sent,
    }
}

/// The instance of the application that has this address.
fn instance_at(ip: IpAddr, observed: &ObservedApp) -> Option<String> {
    let of = observed.containers.iter().find(|container| container.ip.is_some_and(|own| IpAddr::V4(own) == ip));
    of.map(|container| container.identity.instance.to_string())
}
