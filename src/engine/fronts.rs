//! Which addresses are listened on: loopback for people, an application's gateway for its
//! containers. Listeners on a gateway come and go with its network.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::model::AppName;

use super::traffic::{ListenError, Listener, Peers, Service, Traffic};

/// A listener somebody wants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wanted {
    pub addr: SocketAddr,
    pub service: Service,
    pub peers: Peers,
}

/// A listener that could not be opened. It is tried again with every look.
pub struct Closed {
    pub wanted: Wanted,
    pub error: ListenError,
}

/// The listeners of one application.
type Open = BTreeMap<SocketAddr, (Wanted, Listener)>;

/// Opens and closes listeners until they are the wanted ones.
pub struct Fronts {
    traffic: Arc<dyn Traffic>,
    open: Mutex<BTreeMap<AppName, Open>>,
}

impl Fronts {
    pub fn new(traffic: Arc<dyn Traffic>) -> Self {
        Self { traffic, open: Mutex::default() }
    }

    /// Makes an application's listeners the wanted ones; returns what could not be opened.
    pub async fn ensure(&self, app: &AppName, wanted: Vec<Wanted>) -> Vec<Closed> {
        let mut all = self.open.lock().await;
        let open = all.entry(app.clone()).or_default();
        // What changes its service or its peers is closed first: its address can be bound once.
        let is_surplus = |(present, _): &&(Wanted, Listener)| !wanted.contains(present);
        let surplus: Vec<SocketAddr> = open.values().filter(is_surplus).map(|(present, _)| present.addr).collect();
        for addr in surplus {
            if let Some((_, listener)) = open.remove(&addr) {
                self.traffic.unlisten(listener).await;
            }
        }
        let mut closed = Vec::new();
        for wanted in wanted {
            if open.contains_key(&wanted.addr) {
                continue;
            }
            match self.traffic.listen(wanted.addr, wanted.service.clone(), wanted.peers).await {
                Ok(listener) => drop(open.insert(wanted.addr, (wanted, listener))),
                Err(error) => closed.push(Closed { wanted, error }),
            }
        }
        closed
    }
}

/// `10.201.3.0/24` -> its base address and prefix length.
pub fn parse_subnet(subnet: &str) -> Option<(Ipv4Addr, u8)> {
    let (base, prefix) = subnet.split_once('/')?;
    Some((base.parse().ok()?, prefix.parse().ok()?))
}
