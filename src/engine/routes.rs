//! The route table, put together from what every application contributes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::model::{AppName, HttpRoute, RouteTable, TcpRoute, TcpState};

use super::ports::routes::PortRoutes;
use super::traffic::Traffic;

/// The only publisher of route tables.
pub struct Routes {
    traffic: Arc<dyn Traffic>,
    parts: Mutex<Parts>,
}

#[derive(Default)]
struct Parts {
    published: u64,
    /// Application -> host name -> route.
    http: BTreeMap<AppName, BTreeMap<String, Arc<HttpRoute>>>,
    /// Front port -> master of a data service.
    tcp: BTreeMap<u16, Arc<TcpRoute>>,
    /// Application -> ports of its code services.
    ports: BTreeMap<AppName, PortRoutes>,
}

impl Routes {
    pub fn new(traffic: Arc<dyn Traffic>) -> Self {
        Self { traffic, parts: Mutex::default() }
    }

    /// Replaces an application's web routes; returns the generation that holds them.
    pub fn set_http(&self, app: &AppName, routes: BTreeMap<String, Arc<HttpRoute>>) -> u64 {
        self.change(|parts| {
            let changed = parts.http.get(app) != Some(&routes);
            parts.http.insert(app.clone(), routes);
            changed
        })
    }

    /// Replaces the routes of an application's TCP and UDP ports.
    pub fn set_ports(&self, app: &AppName, routes: PortRoutes) -> u64 {
        self.change(|parts| {
            let changed = *parts.ports.get(app).unwrap_or(&PortRoutes::default()) != routes;
            parts.ports.insert(app.clone(), routes);
            changed
        })
    }

    pub fn set_tcp(&self, front_port: u16, route: TcpRoute) -> u64 {
        self.change(|parts| {
            let route = Arc::new(route);
            let changed = parts.tcp.get(&front_port) != Some(&route);
            parts.tcp.insert(front_port, route);
            changed
        })
    }

    /// The state of a front port, if it has a route.
    pub fn tcp_state(&self, front_port: u16) -> Option<TcpState> {
        self.lock().tcp.get(&front_port).map(|route| route.state.clone())
    }

    /// The newest generation.
    pub fn published(&self) -> u64 {
        self.lock().published
    }

    pub fn remove_tcp(&self, front_port: u16) -> u64 {
        self.change(|parts| parts.tcp.remove(&front_port).is_some())
    }

    pub fn remove_app(&self, app: &AppName) -> u64 {
        self.change(|parts| {
            let ports: Vec<u16> =
                parts.tcp.iter().filter(|(_, route)| route.app == *app).map(|(port, _)| *port).collect();
            ports.iter().for_each(|port| drop(parts.tcp.remove(port)));
            let own = parts.ports.remove(app).is_some_and(|own| own != PortRoutes::default());
            parts.http.remove(app).is_some() || own || !ports.is_empty()
        })
    }

    /// Publishes when `edit` says that something changed. Publishing under the lock keeps
    /// tables in the order of their changes.
    fn change(&self, edit: impl FnOnce(&mut Parts) -> bool) -> u64 {
        let mut parts = self.lock();
        if edit(&mut parts) {
            let table = parts.table();
            parts.published = self.traffic.publish(table);
        }
        parts.published
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Parts {
    fn table(&self) -> RouteTable {
        let hosts = self.http.values().flatten();
        let ports = || self.ports.values();
        RouteTable {
            generation: self.published + 1,
            http: hosts.map(|(host, route)| (host.clone(), route.clone())).collect(),
            tcp: self.tcp.iter().chain(ports().flat_map(|own| &own.tcp)).map(copied).collect(),
            udp: ports().flat_map(|own| &own.udp).map(copied).collect(),
        }
    }
}

fn copied<T>((port, route): (&u16, &Arc<T>)) -> (u16, Arc<T>) {
    (*port, route.clone())
}
