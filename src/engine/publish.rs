//! From what was observed to routes and listeners.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::PoisonError;

use crate::model::observed::{ObservedApp, ObservedContainer, Purpose, RunState};
use crate::model::{GroupStatus, ServiceName, TcpRoute, TcpState};
use crate::store::{AppRecord, ServiceRecord};

use super::app::App;
use super::fronts::{Closed, Wanted, parse_subnet};
use super::groups;
use super::inner::Inner;
use super::ports::{members, routes};
use super::reconcile::TICK;
use super::serving::Serving;
use super::traffic::{Peers, Service};

/// Publishes an application's routes and opens its listeners; returns what is in the
/// way, and in whose.
pub async fn publish(inner: &Inner, app: &App, serving: &Serving<'_>) -> Vec<(Option<ServiceName>, String)> {
    let (record, observed) = (serving.record, serving.observed);
    if !record.up || record.doomed {
        inner.routes.remove_app(&app.name);
        inner.fronts.ensure(&app.name, Vec::new()).await;
        return Vec::new();
    }
    publish_web(inner, app, serving.clone());
    observed.containers.iter().filter(is_dead).for_each(|container| inner.traffic.abort(&container.id));
    for (service, front_port) in data_services(record) {
        gate_unless_known(inner, app, service, front_port);
    }
    let closed = inner.fronts.ensure(&app.name, listeners(inner, record, observed)).await;
    let holds: Vec<_> = closed.iter().map(|one| in_the_way(record, one)).collect();
    tell_news(inner, app, holds.iter().map(|(_, hold)| hold)).await;
    holds
}

/// Whose address cannot be opened, and what to do.
fn in_the_way(record: &AppRecord, closed: &Closed) -> (Option<ServiceName>, String) {
    let (addr, error) = (closed.wanted.addr, &closed.error);
    let of = |service: &&ServiceRecord| service.front_ports().any(|port| port == addr.port());
    let service = record.services.iter().find(of).map(|service| service.name.clone());
    let whom = service.as_ref().map_or("everything", ServiceName::as_str);
    let taken = error.source.kind() == std::io::ErrorKind::AddrInUse;
    let retry = TICK.as_secs();
    let way = match taken {
        true => {
            format!("another program has the port: end it (`ss -lntup` names it), and it is opened within {retry} s")
        }
        false => format!("{}; tried again within {retry} s", error.source),
    };
    let hold = format!("{whom} cannot be reached at {addr}: {way}");
    (service, hold)
}

/// Said once, not with every look for as long as it lasts.
async fn tell_news(inner: &Inner, app: &App, holds: impl Iterator<Item = &String>) {
    let known = app.status.borrow().holds.clone();
    for hold in holds.filter(|hold| !known.contains(hold)) {
        tracing::warn!(app = %app.name, "{hold}");
        inner.record_activity(&app.name, "app", "unreachable", &[("why", hold.clone())]).await;
    }
}

/// Publishes the web routes again from what was last seen, because who is leaving has changed.
pub fn republish(inner: &Inner, app: &App) {
    let (record, status) = (app.record(), app.status.borrow().clone());
    if record.up && !record.doomed {
        let (observed, responsive, failures) = (&status.observed, &status.responsive, &status.failures);
        publish_web(inner, app, Serving { record: &record, observed, responsive, failures, leaving: BTreeMap::new() });
    }
}

fn publish_web(inner: &Inner, app: &App, mut serving: Serving<'_>) {
    let _one_at_a_time = app.publishing.lock().unwrap_or_else(PoisonError::into_inner);
    serving.leaving = app.leaving();
    inner.routes.set_http(&app.name, routes::http(&serving, &inner.catalog));
    inner.routes.set_ports(&app.name, routes::direct(&serving, &inner.catalog));
}

/// One hold per group that has no open master or that changes.
pub fn unsettled(groups: &BTreeMap<ServiceName, GroupStatus>) -> BTreeMap<ServiceName, String> {
    let unsettled = groups.iter().filter(|(_, status)| !status.settled);
    let reason = |status: &GroupStatus| status.reason.clone().unwrap_or_else(|| status.phase.clone());
    unsettled.map(|(name, status)| (name.clone(), format!("{name} waits: {}", reason(status)))).collect()
}

fn data_services(record: &AppRecord) -> impl Iterator<Item = (&ServiceRecord, u16)> {
    let with_port = |service: &'_ ServiceRecord| service.front_port.filter(|_| service.is_data && !service.doomed);
    record.services.iter().filter_map(move |service| Some((service, with_port(service)?)))
}

/// Requests in flight on a dead instance need not find out by themselves.
fn is_dead(container: &&ObservedContainer) -> bool {
    container.identity.purpose == Purpose::Code && matches!(container.state, RunState::Exited { .. })
}

/// Until its driver opens it, a data service's address lets connections wait.
fn gate_unless_known(inner: &Inner, app: &App, service: &ServiceRecord, front_port: u16) {
    if inner.routes.tcp_state(front_port).is_none() {
        let data = inner.catalog.get(&service.type_name).and_then(|kind| kind.data.as_ref());
        let replication = data.and_then(|data| data.replication.as_deref()).unwrap_or_default();
        let (state, name) = (TcpState::Gated, service.name.clone());
        let refusal = groups::refusal(replication, &name, &state);
        let route = TcpRoute { app: app.name.clone(), service: name, state, refusal };
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
    for (_, front_port) in data_services(record) {
        listen(Ipv4Addr::LOCALHOST, front_port, Service::Tcp { front_port }, Peers::All);
        if let Some((gateway, peers)) = gateway {
            listen(gateway, front_port, Service::Tcp { front_port }, peers);
        }
    }
    wanted.extend(routes::listeners(record, &inner.catalog, gateway));
    wanted.extend(members::listeners(record, &inner.catalog, observed, gateway));
    wanted
}
