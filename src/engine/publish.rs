//! From what was observed to routes and listeners.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, PoisonError};

use crate::model::observed::{ObservedApp, ObservedContainer, Purpose, RunState};
use crate::model::{Backend, GroupStatus, HttpRoute, ServiceName, TcpRoute, TcpState};
use crate::store::{AppRecord, ServiceRecord};

use super::app::{Absence, App};
use super::fronts::{Wanted, parse_subnet};
use super::inner::Inner;
use super::naming::{internal_host, public_host};
use super::traffic::{Peers, Service};

/// Publishes an application's routes and opens its listeners; returns what is in the way.
pub async fn publish(
    inner: &Inner,
    app: &App,
    record: &AppRecord,
    observed: &ObservedApp,
    responsive: &BTreeSet<String>,
) -> Vec<String> {
    if !record.up || record.doomed {
        inner.routes.remove_app(&app.name);
        return inner.fronts.ensure(&app.name, Vec::new()).await;
    }
    publish_web(inner, app, record, observed, responsive);
    observed.containers.iter().filter(is_dead).for_each(|container| inner.traffic.abort(&container.id));
    for (service, front_port) in data_services(record) {
        gate_unless_known(inner, app, service, front_port);
    }
    inner.fronts.ensure(&app.name, listeners(inner, record, observed)).await
}

/// Publishes the web routes again from what was last seen, because who is leaving has changed.
pub fn republish(inner: &Inner, app: &App) {
    let (record, status) = (app.record(), app.status.borrow().clone());
    if record.up && !record.doomed {
        publish_web(inner, app, &record, &status.observed, &status.responsive);
    }
}

fn publish_web(inner: &Inner, app: &App, record: &AppRecord, observed: &ObservedApp, responsive: &BTreeSet<String>) {
    let _one_at_a_time = app.publishing.lock().unwrap_or_else(PoisonError::into_inner);
    let mut http = BTreeMap::new();
    for service in web_services(inner, record) {
        let route = Arc::new(route(inner, app, record, service, observed, responsive));
        http.insert(public_host(&app.name, &service.name), route.clone());
        http.insert(internal_host(&app.name, &service.name), route);
    }
    inner.routes.set_http(&app.name, http);
}

/// One hold per group that has no open master or that changes.
pub fn unsettled(groups: &BTreeMap<ServiceName, GroupStatus>) -> Vec<String> {
    let unsettled = groups.iter().filter(|(_, status)| !status.settled);
    let reason = |status: &GroupStatus| status.reason.clone().unwrap_or_else(|| status.phase.clone());
    unsettled.map(|(name, status)| format!("{name} waits: {}", reason(status))).collect()
}

fn web_services<'a>(inner: &'a Inner, record: &'a AppRecord) -> impl Iterator<Item = &'a ServiceRecord> {
    let is_web = |service: &&ServiceRecord| {
        inner.catalog.get(&service.type_name).is_some_and(|kind| kind.data.is_none() && kind.http_port.is_some())
    };
    record.services.iter().filter(|service| !service.doomed).filter(is_web)
}

fn data_services(record: &AppRecord) -> impl Iterator<Item = (&ServiceRecord, u16)> {
    let with_port = |service: &'_ ServiceRecord| service.front_port.filter(|_| service.is_data && !service.doomed);
    record.services.iter().filter_map(move |service| Some((service, with_port(service)?)))
}

fn route(
    inner: &Inner,
    app: &App,
    record: &AppRecord,
    service: &ServiceRecord,
    observed: &ObservedApp,
    responsive: &BTreeSet<String>,
) -> HttpRoute {
    let port = inner.catalog.get(&service.type_name).and_then(|kind| kind.http_port).unwrap_or_default();
    let generation = service.serving.as_ref().map(|version| version.generation);
    let leaving = app.leaving();
    let is_current = |container: &&ObservedContainer| {
        let identity = &container.identity;
        identity.purpose == Purpose::Code
            && identity.instance.service == service.name
            && Some(identity.generation) == generation
            && identity.instance.index < service.instances
            && container.state == RunState::Running
    };
    let serves = |container: &&ObservedContainer| {
        is_current(container) && responsive.contains(&container.id) && !leaving.contains_key(&container.id)
    };
    let is_awaited = |container: &ObservedContainer| leaving.get(&container.id) == Some(&Absence::Brief);
    let backend = |container: &ObservedContainer| {
        Some(Backend {
            id: container.id.as_str().into(),
            instance: container.identity.instance.clone(),
            addr: SocketAddr::from((container.ip?, port)),
        })
    };
    let mut backends: Vec<Backend> = observed.containers.iter().filter(serves).filter_map(backend).collect();
    backends.sort_by(|a, b| a.instance.cmp(&b.instance));
    let awaited = observed.containers.iter().filter(is_current).any(is_awaited);
    HttpRoute { app: record.name.clone(), service: service.name.clone(), backends, awaited }
}

/// Requests in flight on a dead instance need not find out by themselves.
fn is_dead(container: &&ObservedContainer) -> bool {
    container.identity.purpose == Purpose::Code && matches!(container.state, RunState::Exited { .. })
}

/// Until its driver opens it, a data service's address lets connections wait.
fn gate_unless_known(inner: &Inner, app: &App, service: &ServiceRecord, front_port: u16) {
    if inner.routes.tcp_state(front_port).is_none() {
        let route = TcpRoute { app: app.name.clone(), service: service.name.clone(), state: TcpState::Gated };
        inner.routes.set_tcp(front_port, route);
    }
}

fn listeners(inner: &Inner, record: &AppRecord, observed: &ObservedApp) -> Vec<Wanted> {
    let gateway = observed.network.as_ref().and_then(|network| {
        let (base, prefix) = parse_subnet(&network.subnet)?;
        Some((network.gateway, Peers::Subnet { base, prefix }))
    });
    let mut wanted = Vec::new();
    let mut listen = |ip: Ipv4Addr, port: u16, service: Service, peers: Peers| {
        wanted.push(Wanted { addr: SocketAddr::from((ip, port)), service, peers });
    };
    if let Some((gateway, peers)) = gateway {
        listen(gateway, inner.config.http_port, Service::Http { default_host: None }, peers);
    }
    for service in web_services(inner, record) {
        if let Some(port) = service.front_port {
            let default_host = Some(public_host(&record.name, &service.name));
            listen(Ipv4Addr::LOCALHOST, port, Service::Http { default_host }, Peers::All);
        }
    }
    for (_, front_port) in data_services(record) {
        listen(Ipv4Addr::LOCALHOST, front_port, Service::Tcp { front_port }, Peers::All);
        if let Some((gateway, peers)) = gateway {
            listen(gateway, front_port, Service::Tcp { front_port }, peers);
        }
    }
    wanted
}
