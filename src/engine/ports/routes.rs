//! Where the front leads for the ports of code services, and where it listens for them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::engine::fronts::Wanted;
use crate::engine::serving::Serving;
use crate::engine::traffic::{Peers, Service};
use crate::model::{AppName, HttpRoute, PortKind, TcpRoute, TcpState, UdpRoute};
use crate::store::{AppRecord, ServiceRecord};

use super::{Port, members};

/// TCP and UDP ports of an application's instances, by number of the front.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PortRoutes {
    pub tcp: BTreeMap<u16, Arc<TcpRoute>>,
    pub udp: BTreeMap<u16, Arc<UdpRoute>>,
}

/// A number of the front and what it is for.
pub struct Front<'a> {
    pub service: &'a ServiceRecord,
    pub port: Port,
    pub number: u16,
    /// The instance that a TCP or UDP port belongs to; 0 for HTTP ports.
    pub index: u32,
}

/// All numbers of a service's ports, as it was last deployed: also those of instances that were
/// scaled away, which keep them.
pub fn fronts<'a>(service: &'a ServiceRecord, catalog: &Catalog) -> Vec<Front<'a>> {
    let ports = catalog.get(&service.type_name).map(|kind| super::of(&service.spec, kind)).unwrap_or_default();
    let front = |port: Port| {
        let numbers = match port.main {
            true => service.front_port.into_iter().collect(),
            false => service.custom_fronts.get(&port.label()).cloned().unwrap_or_default(),
        };
        let used = if port.kind == PortKind::Http { 1 } else { numbers.len() };
        let front = move |(number, index)| Front { service, port: port.clone(), number, index };
        numbers.into_iter().take(used).zip(0..).map(front).collect::<Vec<_>>()
    };
    ports.into_iter().flat_map(front).collect()
}

/// The fronts of all services that are to run.
pub fn all_fronts<'a>(record: &'a AppRecord, catalog: &'a Catalog) -> impl Iterator<Item = Front<'a>> {
    record.services.iter().filter(|service| !service.doomed).flat_map(|service| fronts(service, catalog))
}

/// HTTP by host name: every instance in turn.
pub fn http(serving: &Serving<'_>, catalog: &Catalog) -> BTreeMap<String, Arc<HttpRoute>> {
    let app = &serving.record.name;
    let mut routes = BTreeMap::new();
    let is_http = |front: &Front<'_>| front.port.kind == PortKind::Http;
    for Front { service, port, .. } in all_fronts(serving.record, catalog).filter(is_http) {
        let mut hosts = port.public_hosts(app, &service.name);
        hosts.extend(port.internal_hosts(app, &service.name));
        let backends = serving.backends(service, port.number);
        let route = Arc::new(HttpRoute {
            app: app.clone(),
            service: service.name.clone(),
            backends,
            awaited: serving.awaits(service),
        });
        routes.extend(hosts.into_iter().map(|host| (host, route.clone())));
    }
    routes
}

/// TCP and UDP by number: each leads to its own instance.
pub fn direct(serving: &Serving<'_>, catalog: &Catalog) -> PortRoutes {
    let members = members::routes(serving.record, catalog, serving.observed);
    let mut routes = PortRoutes { tcp: members, ..PortRoutes::default() };
    for front in all_fronts(serving.record, catalog) {
        let (app, service) = (serving.record.name.clone(), front.service.name.clone());
        let backend = serving.backend(front.service, front.index, front.port.number);
        match front.port.kind {
            PortKind::Http => {}
            PortKind::Tcp => {
                let state = match backend {
                    Ok(Some(backend)) => TcpState::Instance(backend),
                    Ok(None) => TcpState::Gated,
                    Err(why) => TcpState::Refused { why },
                };
                drop(
                    routes
                        .tcp
                        .insert(front.number, Arc::new(TcpRoute { app, service, state, refusal: Arc::default() })),
                );
            }
            PortKind::Udp => {
                let route = UdpRoute { app, service, instance: backend.ok().flatten() };
                drop(routes.udp.insert(front.number, Arc::new(route)));
            }
        }
    }
    routes
}

/// HTTP ports have a number on loopback each; TCP and UDP ports are on the gateway as well. The
/// number of an instance that was scaled away is not listened on.
pub fn listeners(record: &AppRecord, catalog: &Catalog, gateway: Option<(Ipv4Addr, Peers)>) -> Vec<Wanted> {
    let loopback = (Ipv4Addr::LOCALHOST, Peers::All);
    let mut wanted = Vec::new();
    for front in all_fronts(record, catalog).filter(|front| front.index < front.service.instances) {
        let Some(service) = service(&record.name, &front) else { continue };
        let gateway = gateway.filter(|_| front.port.kind != PortKind::Http);
        wanted.extend([loopback].into_iter().chain(gateway).map(|(ip, peers)| Wanted {
            addr: SocketAddr::from((ip, front.number)),
            service: service.clone(),
            peers,
        }));
    }
    wanted
}

fn service(app: &AppName, front: &Front<'_>) -> Option<Service> {
    let front_port = front.number;
    match front.port.kind {
        PortKind::Http => {
            let host = front.port.public_hosts(app, &front.service.name).into_iter().next()?;
            Some(Service::Http { default_host: Some(host) })
        }
        PortKind::Tcp => Some(Service::Tcp { front_port }),
        PortKind::Udp => Some(Service::Udp { front_port }),
    }
}
