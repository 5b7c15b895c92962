//! The group's task: events in, the machine's actions out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::engine::group::{GroupContext, ObservedMember};
use crate::engine::runtime::{RunState, RuntimeEvent};
use crate::failover::dialect::{self, RoleChange};
use crate::failover::{Account, Action, Config, Event, Machine, Moment, Server};
use crate::model::{Epoch, GroupStatus, Receipt, Vouched};

use super::copy::Copy;
use super::link::Request;
use super::receipts;
use super::registry::Registry;
use super::{Order, Tuning};

/// Between two looks at a process that is being ended and has no pidfd.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often it is looked at before the machine has to ask again.
const LOOKS: u32 = 40;

/// What the front is to do, in order.
enum FrontOrder {
    Gate,
    Open(SocketAddr, u64, Option<u32>),
    Refuse(String),
}

struct Task {
    context: GroupContext,
    group: Machine,
    registry: Registry,
    began: Instant,
    events: mpsc::UnboundedSender<Event>,
    front: mpsc::UnboundedSender<(u64, FrontOrder)>,
    receipts: mpsc::UnboundedSender<Receipt>,
    /// When the failover of the account's epoch was detected, as the wall clock had it.
    detected_at: Option<(u64, String)>,
    restarts: Vec<(u32, oneshot::Sender<()>)>,
    switchovers: Vec<oneshot::Sender<Result<u32, String>>>,
    publisher: watch::Sender<GroupStatus>,
    /// Slow calls on their way; they end with this task.
    calls: JoinSet<()>,
}

pub(super) async fn run(
    context: GroupContext,
    tuning: Tuning,
    mut orders: mpsc::UnboundedReceiver<Order>,
    publisher: watch::Sender<GroupStatus>,
) {
    let Some(dialect) = dialect::of(&context.replication) else {
        return unknown(&context, &publisher, orders).await;
    };
    let tuning = tuning.paced(dialect.pace());
    let (events, mut happened) = mpsc::unbounded_channel();
    let (mut hints, mut labour) = (Some(context.runtime.events()), context.labour.clone());
    let mut task = Task::new(context, tuning, dialect, events, publisher);
    task.handle(Event::Laboured(labour.goes_on()));
    loop {
        let wake = task.began + task.group.next_timeout().0;
        tokio::select! {
            biased;
            Some(event) = happened.recv() => task.happened(event),
            order = orders.recv() => match order {
                None | Some(Order::Stop) => return,
                Some(order) => task.ordered(order),
            },
            true = labour.changed() => task.handle(Event::Laboured(labour.goes_on())),
            hint = next_hint(&mut hints) => task.hinted(hint.as_ref()),
            () = tokio::time::sleep_until(wake) => task.handle(Event::Ticked),
        }
    }
}

/// A service type whose servers nobody here can talk to has no machine.
async fn unknown(
    context: &GroupContext,
    publisher: &watch::Sender<GroupStatus>,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let why = format!("no protocol is called {:?}", context.replication);
    context.front.refuse(why.clone()).await;
    publisher.send_modify(|status| (status.phase, status.reason) = ("stalled".to_owned(), Some(why)));
    while !matches!(orders.recv().await, None | Some(Order::Stop)) {}
}

/// The runtime's next event; `None` when some were missed. Without a source of events the
/// reconciler's looks have to do.
async fn next_hint(source: &mut Option<broadcast::Receiver<RuntimeEvent>>) -> Option<RuntimeEvent> {
    let Some(receiver) = source else { return std::future::pending().await };
    match receiver.recv().await {
        Ok(event) => Some(event),
        Err(broadcast::error::RecvError::Lagged(_)) => None,
        Err(broadcast::error::RecvError::Closed) => {
            *source = None;
            std::future::pending().await
        }
    }
}

// === impl Task ===

impl Task {
    fn new(
        context: GroupContext,
        tuning: Tuning,
        dialect: &'static dyn dialect::Dialect,
        events: mpsc::UnboundedSender<Event>,
        publisher: watch::Sender<GroupStatus>,
    ) -> Self {
        let mut calls = JoinSet::new();
        let (front, orders) = mpsc::unbounded_channel();
        calls.spawn(move_front(context.clone(), orders, events.clone()));
        let (receipts, written) = mpsc::unbounded_channel();
        calls.spawn(receipts::keep(context.clone(), written));
        let config = Config {
            synchronous: context.synchronous,
            copy_beyond: dialect.copy_beyond(),
            demotes_live: dialect.demotes_live(),
            guards_at_front: dialect.guards_at_front(),
            ..tuning.group.clone()
        };
        let group = Machine::new(dialect, config);
        let registry = Registry::new(dialect, context.password.clone(), tuning, events.clone());
        Self {
            context,
            group,
            registry,
            began: Instant::now(),
            events,
            front,
            receipts,
            detected_at: None,
            restarts: Vec::new(),
            switchovers: Vec::new(),
            publisher,
            calls,
        }
    }

    fn now(&self) -> Moment {
        Moment(self.began.elapsed())
    }

    fn handle(&mut self, event: Event) {
        let now = self.now();
        for action in self.group.handle(now, event) {
            self.perform(action);
        }
        let status = self.group.status();
        self.publisher.send_if_modified(|published| {
            let changed = *published != status;
            *published = status;
            changed
        });
        while self.calls.try_join_next().is_some() {}
    }

    fn happened(&mut self, event: Event) {
        let died = if let Event::Died(server) = event { Some(server) } else { None };
        self.handle(event);
        if let Some(server) = died {
            let seats = self.registry.bury(server);
            self.handle(Event::Observed(seats));
        }
    }

    fn ordered(&mut self, order: Order) {
        match order {
            Order::Observe(members) => {
                self.advertise(&members);
                let seats = self.registry.observe(members);
                self.handle(Event::Observed(seats));
            }
            Order::PlanRestart(index, done) => {
                self.restarts.push((index, done));
                self.handle(Event::RestartPlanned(index));
            }
            Order::WithdrawRestart(index) => self.handle(Event::RestartWithdrawn(index)),
            Order::Switchover(to, done) => {
                self.switchovers.push(done);
                self.handle(Event::SwitchoverAsked(to));
            }
            Order::Stop => {}
        }
    }

    /// Groups that elect by themselves name their members by addresses that everybody reaches.
    fn advertise(&mut self, members: &[ObservedMember]) {
        if let Machine::ByMembers(_) = self.group {
            let address = |member: &ObservedMember| Some((member.index, self.context.front.member(member.index)?));
            let addresses = members.iter().filter_map(address).collect();
            self.handle(Event::Advertised(addresses));
        }
    }

    /// Events of the runtime are hints to look. Watched processes need none.
    fn hinted(&mut self, hint: Option<&RuntimeEvent>) {
        let concerns = |event: &RuntimeEvent| {
            let ends = matches!(event.action.as_str(), "die" | "stop" | "kill" | "destroy" | "oom");
            ends && self.registry.unwatched().iter().any(|(_, container, _)| **container == *event.container)
        };
        if hint.is_none_or(concerns) {
            self.look(1);
        }
    }

    /// Looks, up to so many times, for the deaths of processes that have no pidfd.
    fn look(&mut self, times: u32) {
        let unwatched = self.registry.unwatched();
        if unwatched.is_empty() {
            return;
        }
        let (context, events) = (self.context.clone(), self.events.clone());
        self.calls.spawn(async move {
            for _ in 0..times {
                let dead = dead_of(&context, &unwatched).await;
                if !dead.is_empty() {
                    dead.into_iter().for_each(|server| drop(events.send(Event::Died(server))));
                    return;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Load => self.load(),
            Action::Commit(epoch) => self.commit(epoch),
            Action::Vouch { epoch, upstream } => self.vouch(epoch, upstream),
            Action::Gate { order } => self.order_front(order, FrontOrder::Gate),
            Action::Open { order, master, epoch, acks } => {
                self.order_front(order, FrontOrder::Open(master, epoch, acks));
            }
            Action::Refuse { order, why } => self.order_front(order, FrontOrder::Refuse(why)),
            Action::Kill(server) => self.kill(server),
            Action::Ping(server) => self.registry.send(server, Request::Ping),
            Action::Ask { server, asked } => self.registry.send(server, Request::Ask(asked)),
            Action::Command { server, change: RoleChange::CopyFrom(from) } => self.copy(server, from),
            Action::Command { server, change } => self.registry.send(server, Request::Command(change)),
            Action::Carry { server, motion } => self.registry.send(server, Request::Carry(motion)),
            Action::Record(account) => self.record(account),
            Action::ReleaseRestart(index) => self.release(index),
            Action::AnswerSwitchover(outcome) => {
                self.switchovers.drain(..).for_each(|done| drop(done.send(outcome.clone())));
            }
            Action::Note(text) => {
                tracing::info!(app = %self.context.app, service = %self.context.service, "{text}");
            }
        }
    }

    fn order_front(&self, number: u64, order: FrontOrder) {
        let _ = self.front.send((number, order));
    }

    fn load(&mut self) {
        let (ledger, events) = (self.context.ledger.clone(), self.events.clone());
        self.calls.spawn(async move {
            let loaded = match ledger.vouched().await {
                Ok(vouched) => {
                    let _ = events.send(Event::Vouched(vouched));
                    ledger.epoch().await
                }
                Err(error) => Err(error),
            };
            let _ = events.send(Event::Loaded(loaded.map_err(|error| chain(&error))));
        });
    }

    fn vouch(&mut self, epoch: u64, upstream: Option<SocketAddr>) {
        let (ledger, events) = (self.context.ledger.clone(), self.events.clone());
        let word = upstream.map(|_| Vouched { epoch, upstream });
        self.calls.spawn(async move {
            let result = ledger.vouch(word).await.map_err(|error| chain(&error));
            let _ = events.send(Event::VouchKept { epoch, upstream, result });
        });
    }

    fn commit(&mut self, epoch: Epoch) {
        let (ledger, events) = (self.context.ledger.clone(), self.events.clone());
        self.calls.spawn(async move {
            let result = ledger.commit(epoch).await.map_err(|error| chain(&error));
            let _ = events.send(Event::Committed(epoch, result));
        });
    }

    fn kill(&mut self, server: Server) {
        let Some(container) = self.registry.container(server) else { return };
        let (runtime, events) = (self.context.runtime.clone(), self.events.clone());
        self.calls.spawn(async move {
            if let Err(error) = runtime.kill(&container).await {
                let _ = events.send(Event::KillFailed { server, error: chain(&error) });
            }
        });
        if self.registry.unwatched().iter().any(|(unwatched, ..)| *unwatched == server) {
            self.look(LOOKS);
        }
    }

    fn copy(&mut self, server: Server, from: SocketAddr) {
        let change = RoleChange::CopyFrom(from);
        let (Some(to), Some(container), Some(source)) =
            (self.registry.addr(server), self.registry.container(server), self.registry.container_at(from))
        else {
            let result = Err("its container or the master's is not known".to_owned());
            let _ = self.events.send(Event::Commanded { server, change, result });
            return;
        };
        let copy = Copy { context: self.context.clone(), server, container, to, source, from };
        let events = self.events.clone();
        self.calls.spawn(async move {
            if let Err(error) = copy.run(&events).await {
                let _ = events.send(Event::Commanded { server, change, result: Err(error) });
            }
        });
    }

    fn release(&mut self, index: u32) {
        for (of, done) in std::mem::take(&mut self.restarts) {
            if of == index {
                // Who no longer waits need not be told.
                let _ = done.send(());
            } else {
                self.restarts.push((of, done));
            }
        }
    }

    fn record(&mut self, account: Account) {
        if self.detected_at.as_ref().is_none_or(|(epoch, _)| *epoch != account.epoch) {
            let ago = self.now().since(account.detected);
            let at = jiff::Timestamp::now() - ago;
            self.detected_at = Some((account.epoch, format!("{at:.6}")));
        }
        let detected_at = self.detected_at.as_ref().map(|(_, at)| at.clone()).unwrap_or_default();
        let _ = self.receipts.send(receipts::of(self.context.service.to_string(), detected_at, &account));
    }
}

/// Which of these processes a look shows to be gone.
async fn dead_of(context: &GroupContext, processes: &[(Server, Arc<str>, Option<u32>)]) -> Vec<Server> {
    let Ok(observed) = context.runtime.observe(&context.app).await else { return Vec::new() };
    let lives = |container: &str, pid: Option<u32>| {
        observed.containers.iter().any(|c| {
            let runs = matches!(c.state, RunState::Running | RunState::Paused);
            c.id == container && runs && (pid.is_none() || c.pid == pid)
        })
    };
    processes.iter().filter(|(_, container, pid)| !lives(container, *pid)).map(|(server, ..)| *server).collect()
}

/// Carries the orders to the front out, one after the other.
async fn move_front(
    context: GroupContext,
    mut orders: mpsc::UnboundedReceiver<(u64, FrontOrder)>,
    events: mpsc::UnboundedSender<Event>,
) {
    while let Some((number, order)) = orders.recv().await {
        match order {
            FrontOrder::Gate => context.front.gate().await,
            FrontOrder::Open(master, epoch, acks) => context.front.open(master, epoch, acks).await,
            FrontOrder::Refuse(why) => context.front.refuse(why).await,
        }
        let _ = events.send(Event::FrontMoved(number));
    }
}

/// An error and its causes, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}
