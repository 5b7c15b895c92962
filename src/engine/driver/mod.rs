//! Performs what `failover` decides for one group: held connections to its servers, pidfds,
//! timers, orders to the front, commits to the ledger.
//!
//! One task per group and one per server process. The group's task never waits for Docker,
//! the front or the disk: every slow call runs beside it and comes back as an event. What is
//! decided is not here.

mod amqp;
mod connection;
mod copy;
mod effort;
mod held;
mod lines;
mod link;
mod mongo;
mod postgres;
mod process;
mod receipts;
mod registry;
mod resp;
mod session;
mod sql;
mod task;

use std::collections::BTreeSet;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::failover::Config;
use crate::failover::dialect::{self, Election, Pace};
use crate::model::GroupStatus;

use super::group::{GroupContext, ObservedMember};
pub(super) use session::{Session, SessionError};

/// Why a switchover that was asked for did not take place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SwitchoverError {
    /// The sentence says why, for example that nobody is synchronized.
    #[error("cannot make another member the master: {0}")]
    Refused(String),
    #[error("the group was stopped meanwhile")]
    Stopped,
}

/// How a driver is set apart from its defaults.
#[derive(Debug, Clone)]
pub struct Tuning {
    pub group: Config,
    /// How long a server may take to answer, connecting included.
    pub answer_within: std::time::Duration,
    /// Watch a process only when its cgroup names its container: a process id of a virtual
    /// machine must not be taken for one of this machine.
    pub verify_processes: bool,
}

/// The running driver of one group. Dropping it stops the driver.
pub struct GroupHandle {
    orders: mpsc::UnboundedSender<Order>,
    status: watch::Receiver<GroupStatus>,
    task: JoinHandle<()>,
}

/// A restart that was announced. Dropped before it was carried out, it is withdrawn, and the group
/// goes on at once with what is there.
#[must_use = "a plan that is dropped is withdrawn"]
pub struct RestartPlan {
    index: u32,
    /// `None` once it was carried out.
    orders: Option<mpsc::UnboundedSender<Order>>,
}

/// What the engine asks of a driver.
enum Order {
    Observe(Vec<ObservedMember>),
    PlanRestart(u32, oneshot::Sender<()>),
    WithdrawRestart(u32),
    Switchover(Option<u32>, oneshot::Sender<Result<u32, String>>),
    Stop,
}

// === impl Tuning ===

impl Tuning {
    pub fn new(service: &str) -> Self {
        Self {
            group: Config::new(service),
            answer_within: std::time::Duration::from_millis(100),
            verify_processes: true,
        }
    }

    /// As the dialect wants it.
    fn paced(mut self, pace: Option<Pace>) -> Self {
        if let Some(pace) = pace {
            (self.group.ping_every, self.group.boot_refused) = (pace.ping_every, pace.boots_within);
            self.answer_within = pace.answer_within;
        }
        self
    }
}

// === impl RestartPlan ===

impl RestartPlan {
    /// The server was started again.
    pub fn carried_out(mut self) {
        self.orders = None;
    }
}

impl Drop for RestartPlan {
    fn drop(&mut self) {
        if let Some(orders) = &self.orders {
            // A driver that ended plans nothing.
            let _ = orders.send(Order::WithdrawRestart(self.index));
        }
    }
}

// === impl GroupHandle ===

impl GroupHandle {
    pub fn spawn(context: GroupContext) -> Self {
        let mut tuning = Tuning::new(context.service.as_str());
        // Who elect by themselves notice a hang by themselves: more is asked, and less often.
        if dialect::of(&context.replication).is_some_and(|dialect| dialect.election() == Election::ByMembers) {
            tuning.answer_within = std::time::Duration::from_secs(1);
        }
        Self::spawn_with(context, tuning)
    }

    pub fn spawn_with(context: GroupContext, tuning: Tuning) -> Self {
        let (orders, receiver) = mpsc::unbounded_channel();
        let (publisher, status) = watch::channel(GroupStatus {
            phase: "gathering".to_owned(),
            settled: false,
            reason: None,
            epoch: None,
            members: Vec::new(),
            bound: BTreeSet::new(),
        });
        let task = tokio::spawn(task::run(context, tuning, receiver, publisher));
        Self { orders, status, task }
    }

    /// Tells what runs. Every member is listed that should exist or has a container; looks
    /// are to be told in the order in which they were taken.
    pub fn observe(&self, members: Vec<ObservedMember>) {
        self.send(Order::Observe(members));
    }

    pub fn status(&self) -> watch::Receiver<GroupStatus> {
        self.status.clone()
    }

    /// Announces that this member is about to be restarted on purpose. Returns when that may
    /// begin: for the master, with the front gated. It may take up to a minute before it
    /// counts as a failure. The order is given at once; the future borrows nothing, so that
    /// no lock around the handle is held while it waits.
    pub fn plan_restart(&self, index: u32) -> impl Future<Output = RestartPlan> + Send + use<> {
        let (done, released) = oneshot::channel();
        self.send(Order::PlanRestart(index, done));
        let plan = RestartPlan { index, orders: Some(self.orders.clone()) };
        async move {
            // A driver that ended holds nothing back.
            drop(released.await);
            plan
        }
    }

    /// Makes `to`, or the most advanced slave, the master. Returns the master's number. In a
    /// stalled group, `to` is the word that decides.
    ///
    /// # Errors
    /// When nobody can take over, or the driver is stopped.
    pub fn switchover(&self, to: Option<u32>) -> impl Future<Output = Result<u32, SwitchoverError>> + Send + use<> {
        let (done, outcome) = oneshot::channel();
        self.send(Order::Switchover(to, done));
        async move { outcome.await.map_err(|_| SwitchoverError::Stopped)?.map_err(SwitchoverError::Refused) }
    }

    /// Ends the driver; the servers stay as they are.
    pub async fn stop(self) {
        self.send(Order::Stop);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a group's driver ended badly");
        }
    }

    fn send(&self, order: Order) {
        if self.orders.send(order).is_err() {
            tracing::warn!("a group's driver has ended");
        }
    }
}
