//! The published [`RouteTable`], joined with what outlives it: turns, counts, health.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use crate::model::{AppName, Backend, HttpRoute, RouteTable, ServiceName, TcpRoute, UdpRoute};

use super::backend::LiveBackend;
use super::service::{LiveRoute, LiveService};
use super::tcp::TcpFront;
use super::udp::UdpFront;

/// How many labels a wildcard domain may stand for (platform.md, §8).
const WILDCARD_DEPTH: usize = 5;

/// What every thread works by. Never changed; replaced whole.
#[derive(Debug, Default)]
pub(super) struct LiveTable {
    pub generation: u64,
    http: HashMap<String, Arc<LiveRoute>>,
    tcp: HashMap<u16, LiveTcp>,
    udp: HashMap<u16, LiveUdp>,
}

#[derive(Debug)]
pub(super) struct LiveTcp {
    pub route: Arc<TcpRoute>,
    pub front: Arc<TcpFront>,
}

#[derive(Debug)]
pub(super) struct LiveUdp {
    pub route: Arc<UdpRoute>,
    pub front: Arc<UdpFront>,
}

/// Compiles tables; remembers what must survive from one to the next.
#[derive(Debug)]
pub(super) struct Registry {
    threads: usize,
    last_serial: u64,
    current: Arc<LiveTable>,
    /// Also those that left the table and still have something running.
    backends: Vec<Weak<LiveBackend>>,
}

/// A table has been replaced.
pub(super) struct Change {
    pub table: Arc<LiveTable>,
    /// What the old table listed and this one does not; to be told once it is published.
    pub gone: Vec<Arc<LiveBackend>>,
}

// === impl LiveTable ===

impl LiveTable {
    /// The route of a host (lower case, no port, no trailing dot), with the key it was found
    /// under: exact first, then `*.` wildcards.
    pub fn find(&self, host: &str) -> Option<(&str, &Arc<LiveRoute>)> {
        let found = self.http.get_key_value(host).or_else(|| self.find_wildcard(host))?;
        Some((found.0.as_str(), found.1))
    }

    fn find_wildcard(&self, host: &str) -> Option<(&String, &Arc<LiveRoute>)> {
        let suffixes = host.match_indices('.').take(WILDCARD_DEPTH).map(|(at, _)| &host[at..]);
        suffixes.filter_map(|suffix| self.http.get_key_value(&format!("*{suffix}"))).next()
    }

    /// The route under a key that `find` of this or an older table returned.
    pub fn http(&self, key: &str) -> Option<&Arc<LiveRoute>> {
        self.http.get(key)
    }

    pub fn hosts(&self) -> Vec<String> {
        let mut hosts: Vec<String> = self.http.keys().cloned().collect();
        hosts.sort();
        hosts
    }

    pub fn tcp(&self, front_port: u16) -> Option<&LiveTcp> {
        self.tcp.get(&front_port)
    }

    pub fn tcp_routes(&self) -> impl Iterator<Item = (u16, &LiveTcp)> {
        self.tcp.iter().map(|(port, live)| (*port, live))
    }

    pub fn udp(&self, front_port: u16) -> Option<&LiveUdp> {
        self.udp.get(&front_port)
    }

    pub fn udp_routes(&self) -> impl Iterator<Item = (u16, &LiveUdp)> {
        self.udp.iter().map(|(port, live)| (*port, live))
    }

    pub fn routes(&self) -> impl Iterator<Item = &Arc<LiveRoute>> {
        self.http.values()
    }

    fn backends(&self) -> impl Iterator<Item = &Arc<LiveBackend>> {
        self.http.values().flat_map(|route| &route.backends)
    }
}

// === impl Registry ===

impl Registry {
    pub fn new(threads: usize) -> Self {
        Self { threads, last_serial: 0, current: Arc::default(), backends: Vec::new() }
    }

    pub fn current(&self) -> &Arc<LiveTable> {
        &self.current
    }

    /// Everything alive with this container id; more than one only when it left and came back.
    pub fn backends_of<'a>(&'a self, container: &'a str) -> impl Iterator<Item = Arc<LiveBackend>> + 'a {
        self.backends.iter().filter_map(Weak::upgrade).filter(move |backend| &*backend.spec.id == container)
    }

    pub fn all_backends(&self) -> impl Iterator<Item = Arc<LiveBackend>> + '_ {
        self.backends.iter().filter_map(Weak::upgrade)
    }

    /// Makes `table` the current one. Its generation is raised where it would not grow.
    pub fn replace(&mut self, table: RouteTable) -> Change {
        let generation = table.generation.max(self.current.generation + 1);
        let http = self.compile_http(table.http);
        let tcp = self.compile_tcp(table.tcp);
        let udp = self.compile_udp(table.udp);
        let next = Arc::new(LiveTable { generation, http, tcp, udp });
        let old = std::mem::replace(&mut self.current, next);
        self.backends.retain(|backend| backend.strong_count() > 0);
        Change { table: Arc::clone(&self.current), gone: self.absentees(&old) }
    }

    fn compile_http(&mut self, routes: HashMap<String, Arc<HttpRoute>>) -> HashMap<String, Arc<LiveRoute>> {
        let old = Arc::clone(&self.current);
        let mut services: HashMap<(AppName, ServiceName), Arc<LiveService>> =
            old.routes().map(|route| (key_of(&route.service), Arc::clone(&route.service))).collect();
        let mut backends: HashMap<Backend, Arc<LiveBackend>> =
            old.backends().map(|backend| (backend.spec.clone(), Arc::clone(backend))).collect();
        let mut compiled = HashMap::with_capacity(routes.len());
        for (host, route) in routes {
            let service = services
                .entry((route.app.clone(), route.service.clone()))
                .or_insert_with(|| Arc::new(LiveService::new(route.app.clone(), route.service.clone(), self.threads)));
            let service = Arc::clone(service);
            let live = route.backends.iter().map(|spec| self.live_backend(&mut backends, spec, &service)).collect();
            let turns = service.turns(route.backends.first().map_or(0, |backend| backend.addr.port()));
            compiled.insert(
                host.to_ascii_lowercase(),
                Arc::new(LiveRoute { service, backends: live, turns, awaited: route.awaited }),
            );
        }
        compiled
    }

    fn live_backend(
        &mut self,
        known: &mut HashMap<Backend, Arc<LiveBackend>>,
        spec: &Backend,
        service: &Arc<LiveService>,
    ) -> Arc<LiveBackend> {
        let live = known.entry(spec.clone()).or_insert_with(|| {
            self.last_serial += 1;
            let live = LiveBackend::new(self.last_serial, spec.clone(), Arc::clone(service), self.threads);
            let live = Arc::new(live);
            self.backends.push(Arc::downgrade(&live));
            live
        });
        Arc::clone(live)
    }

    fn compile_tcp(&self, routes: HashMap<u16, Arc<TcpRoute>>) -> HashMap<u16, LiveTcp> {
        let compile = |(port, route): (u16, Arc<TcpRoute>)| {
            let kept = self.current.tcp(port).filter(|old| same_service(&old.route, &route));
            let front = kept.map_or_else(|| Arc::new(TcpFront::new(self.threads)), |old| Arc::clone(&old.front));
            (port, LiveTcp { route, front })
        };
        routes.into_iter().map(compile).collect()
    }

    fn compile_udp(&self, routes: HashMap<u16, Arc<UdpRoute>>) -> HashMap<u16, LiveUdp> {
        let same = |old: &&LiveUdp, new: &UdpRoute| old.route.app == new.app && old.route.service == new.service;
        let compile = |(port, route): (u16, Arc<UdpRoute>)| {
            let kept = self.current.udp(port).filter(|old| same(old, &route));
            let front = kept.map_or_else(|| Arc::new(UdpFront::new(self.threads)), |old| Arc::clone(&old.front));
            (port, LiveUdp { route, front })
        };
        routes.into_iter().map(compile).collect()
    }

    fn absentees(&self, old: &LiveTable) -> Vec<Arc<LiveBackend>> {
        let listed: HashSet<u64> = self.current.backends().map(|backend| backend.serial).collect();
        old.backends().filter(|backend| !listed.contains(&backend.serial)).cloned().collect()
    }
}

fn key_of(service: &LiveService) -> (AppName, ServiceName) {
    (service.app.clone(), service.service.clone())
}

fn same_service(a: &TcpRoute, b: &TcpRoute) -> bool {
    a.app == b.app && a.service == b.service
}
