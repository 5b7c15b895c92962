//! What the proxy says about its work: the threads' counts added up, at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::model::{AppName, InstanceName, ServiceName};

use super::backend::LiveBackend;
use super::service::LiveService;
use super::table::{LiveTcp, LiveUdp, Registry};

#[derive(Debug, Clone, Default)]
pub struct ProxyReport {
    /// All threads work by a table at least this new.
    pub generation: u64,
    pub http: Vec<HttpReport>,
    pub tcp: Vec<TcpReport>,
    pub udp: Vec<UdpReport>,
}

/// One web service in the current table. Counts grow as long as a table lists the service.
#[derive(Debug, Clone)]
pub struct HttpReport {
    pub app: AppName,
    pub service: ServiceName,
    /// Answers by the first digit of their status, the proxy's own pages included; index 0
    /// is unused.
    pub by_class: [u64; 6],
    /// Attempts at instances that broke.
    pub failures: u64,
    /// Attempts made again, most often on another instance.
    pub retries: u64,
    /// Errors of the 5xx class that were the proxy's own answers.
    pub refusals: u64,
    /// Requests that wait for an instance to come back.
    pub parked: u64,
    /// Listed ones, and those that left with something still running.
    pub backends: Vec<BackendReport>,
}

#[derive(Debug, Clone)]
pub struct BackendReport {
    pub instance: InstanceName,
    /// The container's id.
    pub container: Arc<str>,
    pub requests: u64,
    pub failures: u64,
    pub in_flight: u64,
    pub websockets: u64,
    /// Out of the rotation until a probe passes.
    pub aside: bool,
    /// In the current table.
    pub listed: bool,
}

/// One front port in the current table.
#[derive(Debug, Clone)]
pub struct TcpReport {
    pub front_port: u16,
    pub app: AppName,
    pub service: ServiceName,
    /// Sessions open now.
    pub sessions: u64,
    /// Connections that wait for the route to open.
    pub parked: u64,
    /// Sessions ever opened.
    pub connections: u64,
    /// Connections turned away.
    pub refused: u64,
    /// Sessions reset because the master had changed, or was about to.
    pub cut: u64,
    pub bytes_to_master: u64,
    pub bytes_to_client: u64,
}

/// One UDP port of the front in the current table. A session is what one client's datagrams and
/// the answers to them make.
#[derive(Debug, Clone)]
pub struct UdpReport {
    pub front_port: u16,
    pub app: AppName,
    pub service: ServiceName,
    /// Sessions that were not idle for too long.
    pub sessions: u64,
    pub to_instance: u64,
    pub to_client: u64,
    /// Datagrams from clients that went nowhere.
    pub dropped: u64,
}

pub(super) fn compile(registry: &Registry, generation: u64) -> ProxyReport {
    let table = registry.current();
    let mut http: BTreeMap<(AppName, ServiceName), HttpReport> = BTreeMap::new();
    for route in table.routes() {
        let key = (route.service.app.clone(), route.service.service.clone());
        http.entry(key).or_insert_with(|| of_service(&route.service));
    }
    for backend in registry.all_backends() {
        let key = (backend.service.app.clone(), backend.service.service.clone());
        if let Some(service) = http.get_mut(&key) {
            service.backends.push(of_backend(&backend));
        }
    }
    for service in http.values_mut() {
        service.backends.sort_by(|a, b| (&a.instance, &a.container).cmp(&(&b.instance, &b.container)));
    }
    let mut tcp: Vec<TcpReport> = table.tcp_routes().map(|(port, live)| of_front(port, live)).collect();
    tcp.sort_by_key(|front| front.front_port);
    let mut udp: Vec<UdpReport> = table.udp_routes().map(|(port, live)| of_udp(port, live)).collect();
    udp.sort_by_key(|front| front.front_port);
    ProxyReport { generation, http: http.into_values().collect(), tcp, udp }
}

fn of_udp(front_port: u16, live: &LiveUdp) -> UdpReport {
    let counts = &live.front.counts;
    let closed = counts.sum(|counts| &counts.closed);
    let opened = counts.sum(|counts| &counts.opened);
    UdpReport {
        front_port,
        app: live.route.app.clone(),
        service: live.route.service.clone(),
        sessions: opened.saturating_sub(closed),
        to_instance: counts.sum(|counts| &counts.to_instance),
        to_client: counts.sum(|counts| &counts.to_client),
        dropped: counts.sum(|counts| &counts.dropped),
    }
}

fn of_service(live: &LiveService) -> HttpReport {
    HttpReport {
        app: live.app.clone(),
        service: live.service.clone(),
        by_class: std::array::from_fn(|class| live.counts.sum(|counts| &counts.by_class[class])),
        failures: live.counts.sum(|counts| &counts.failures),
        retries: live.counts.sum(|counts| &counts.retries),
        refusals: live.counts.sum(|counts| &counts.refusals),
        parked: live.parked.load(Ordering::Relaxed) as u64,
        backends: Vec::new(),
    }
}

fn of_backend(live: &LiveBackend) -> BackendReport {
    BackendReport {
        instance: live.spec.instance.clone(),
        container: Arc::clone(&live.spec.id),
        requests: live.counts.sum(|counts| &counts.requests),
        failures: live.counts.sum(|counts| &counts.failures),
        in_flight: live.requests(),
        websockets: live.websockets(),
        aside: live.is_aside(),
        listed: live.is_listed(),
    }
}

pub(super) fn of_front(front_port: u16, live: &LiveTcp) -> TcpReport {
    let counts = &live.front.counts;
    // Closed first: a session that ends in between must not make the difference negative.
    let closed = counts.sum(|counts| &counts.closed);
    let opened = counts.sum(|counts| &counts.opened);
    TcpReport {
        front_port,
        app: live.route.app.clone(),
        service: live.route.service.clone(),
        sessions: opened.saturating_sub(closed),
        parked: live.front.parked.load(Ordering::Relaxed) as u64,
        connections: opened,
        refused: counts.sum(|counts| &counts.refused),
        cut: counts.sum(|counts| &counts.cut),
        bytes_to_master: counts.sum(|counts| &counts.to_master),
        bytes_to_client: counts.sum(|counts| &counts.to_client),
    }
}
