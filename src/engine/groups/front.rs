//! The stable address of a group, as its driver commands it, and as the platform's own work allows:
//! while contents are being replaced no client is let in, as in a switchover.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;

use crate::failover::dialect;
use crate::model::{Refusal, ServiceName, TcpRoute, TcpState};

use super::super::app::App;
use super::super::backup::Labour;
use super::super::group::Front;
use super::super::inner::Inner;
use super::super::ports::members;
use super::super::routes::Routes;
use super::super::traffic::Traffic;
use super::GroupRoute;

pub struct RoutedFront {
    of: Weak<App>,
    route: GroupRoute,
    /// The dialect's name.
    replication: String,
    routes: Arc<Routes>,
    traffic: Arc<dyn Traffic>,
    labour: Labour,
    /// What the driver wants, and what is published.
    states: Mutex<(Option<TcpState>, Option<TcpState>)>,
}

impl RoutedFront {
    pub fn spawn(inner: &Inner, app: &Arc<App>, route: GroupRoute, replication: Option<String>) -> Arc<Self> {
        let labour = app.busy.labour(&route.service);
        let front = Arc::new(Self {
            of: Arc::downgrade(app),
            route,
            replication: replication.unwrap_or_default(),
            routes: inner.routes.clone(),
            traffic: inner.traffic.clone(),
            labour: labour.clone(),
            states: Mutex::default(),
        });
        tokio::spawn(follow(Arc::downgrade(&front), labour));
        front
    }

    async fn set(&self, state: TcpState) {
        if let Some(generation) = self.publish(Some(state)) {
            self.traffic.applied(generation).await;
        }
    }

    /// Publishes what the driver wants, or wanted before; the table's generation, where there is
    /// anything to tell.
    fn publish(&self, wish: Option<TcpState>) -> Option<u64> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let (replacing, asked) = (self.labour.replacing(), wish.is_some());
        let wish = wish.or_else(|| states.0.clone())?;
        let held = replacing.filter(|_| matches!(wish, TcpState::Open { .. }));
        let state = if held.is_some() { TcpState::Gated } else { wish.clone() };
        states.0 = Some(wish);
        if !asked && states.1.as_ref() == Some(&state) {
            return None;
        }
        states.1 = Some(state.clone());
        let refusal = match held {
            Some(what) => said(&self.replication, &until_then(&self.route.service, what)),
            None => refusal(&self.replication, &self.route.service, &state),
        };
        let route = TcpRoute { app: self.route.app.clone(), service: self.route.service.clone(), state, refusal };
        Some(self.routes.set_tcp(self.route.front_port, route))
    }
}

/// Ends with the front, at the next piece of work.
async fn follow(front: Weak<RoutedFront>, mut labour: Labour) {
    while labour.changed().await {
        let Some(front) = front.upgrade() else { return };
        front.publish(None);
    }
}

#[async_trait]
impl Front for RoutedFront {
    async fn gate(&self) {
        self.set(TcpState::Gated).await;
    }

    async fn open(&self, master: SocketAddr, epoch: u64, acks: Option<u32>) {
        self.set(TcpState::Open { master, epoch, acks }).await;
    }

    async fn refuse(&self, why: String) {
        self.set(TcpState::Refused { why }).await;
    }

    fn member(&self, index: u32) -> Option<SocketAddr> {
        let record = self.of.upgrade()?.record();
        members::address(&record, record.service(&self.route.service)?, index)
    }
}

/// What a client reads that cannot be led to a master, in its own protocol.
pub fn refusal(replication: &str, service: &ServiceName, state: &TcpState) -> Arc<Refusal> {
    let why = match state {
        TcpState::Refused { why } => format!("{service} has no master: {why}"),
        _ => format!("{service} has no master that could be reached in time; `dotcloud info {service}` tells more"),
    };
    said(replication, &why)
}

fn until_then(service: &ServiceName, what: &str) -> String {
    format!(
        "the contents of {service} are being replaced by a {what}, which lasts for longer than clients are let wait"
    )
}

fn said(replication: &str, why: &str) -> Arc<Refusal> {
    dialect::of(replication).map(|dialect| dialect.refusal(why)).unwrap_or_default().into()
}
