//! One change on its way through all instances: services at the same time, the instances of
//! each one after the other. The first that fails stops the rest, and all go back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::sync::{OwnedMutexGuard, mpsc};

use crate::catalog::Reload;
use crate::engine::app::{Absence, App};
use crate::engine::clock;
use crate::engine::execute::{put_back, take_out};
use crate::engine::inner::Inner;
use crate::engine::ports::Port;
use crate::engine::reconcile::in_full;
use crate::model::{InstanceName, ServiceName};
use crate::store::{AppRecord, ServiceRecord};

use super::agent::{Agent, AgentError};
use super::news::{How, News};
use super::overlay;
use super::target::{Target, takers};
use super::tree::Tree;

/// How long requests on an instance may go on before its programs are restarted.
const DRAIN: Duration = Duration::from_secs(10);

pub struct Apply<'a> {
    pub inner: &'a Arc<Inner>,
    pub app: &'a Arc<App>,
    /// As it was when the change was judged.
    pub record: &'a AppRecord,
    pub tree: &'a Arc<Tree>,
    pub change: u64,
    /// Services whose code is another now; all have the files.
    pub concerned: &'a BTreeSet<ServiceName>,
    pub news: &'a mpsc::Sender<News>,
}

/// The instances of one service, in order.
struct Lane {
    concerned: bool,
    stops: Vec<Stop>,
    /// How many of them have the change.
    done: usize,
}

struct Stop {
    target: Target,
    agent: OwnedMutexGuard<Agent>,
}

impl Stop {
    /// Whether some of these ports do not answer while it reloads.
    fn is_interrupted_on(&self, ports: &[Port]) -> bool {
        match self.target.reload {
            Reload::Restart | Reload::Build => !ports.is_empty(),
            // The type's own port goes on being served; the others belong to the service's programs.
            Reload::InPlace | Reload::None => self.agent.has_programs && ports.iter().any(|port| port.declared),
        }
    }
}

/// What a change is for one instance, files apart.
#[derive(Clone, Copy)]
struct Effect {
    reloads: bool,
    is_checked: bool,
}

/// Which instance could not start with the change, and what it said.
struct Failure {
    instance: InstanceName,
    output: String,
}

impl Apply<'_> {
    /// Returns the last news.
    pub async fn run(self) -> News {
        let (began, refusals) = (clock::monotonic(), self.inner.traffic.refusals(&self.app.name));
        let failed_requests = || self.inner.traffic.refusals(&self.app.name).saturating_sub(refusals);
        let tar = match self.tree.tar() {
            Ok(tar) => Bytes::from(tar),
            Err(error) => return News::Build { reason: in_full(&error) },
        };
        let lanes = match self.lanes().await {
            Ok(lanes) => lanes,
            Err(Failure { instance, output }) => {
                return News::Build { reason: format!("{instance} takes no changes: {output}") };
            }
        };
        let writing = self.write_overlays();
        let stop = AtomicBool::new(false);
        let ran = join_all(lanes.into_iter().map(|lane| self.run_lane(lane, &tar, &stop))).await;
        let (mut lanes, failures): (Vec<Lane>, Vec<Option<Failure>>) = ran.into_iter().unzip();
        if let Some(Failure { instance, output }) = failures.into_iter().flatten().next() {
            self.revert(&mut lanes).await;
            return News::Failed { instance, output, failed_requests: failed_requests() };
        }
        let ms = milliseconds_since(began);
        if let Err(reason) = self.commit(writing).await {
            self.revert(&mut lanes).await;
            return News::Build { reason };
        }
        let instances = lanes.iter().filter(|lane| lane.concerned).map(|lane| lane.stops.len()).sum::<usize>();
        self.settle(lanes).await;
        News::Served { instances: u32::try_from(instances).unwrap_or(u32::MAX), ms, failed_requests: failed_requests() }
    }

    async fn lanes(&self) -> Result<Vec<Lane>, Failure> {
        let observed = self.app.status.borrow().observed.clone();
        let mut lanes = Vec::new();
        for service in takers(self.inner, self.record) {
            let targets = service.targets(&observed);
            let held = self.app.live.agents.of(&*self.inner.runtime, &targets).await;
            let mut stops = Vec::new();
            for (target, held) in targets.into_iter().zip(held) {
                let failed = |error| Failure { instance: target.instance().clone(), output: in_full(&error) };
                let agent = held.map_err(failed)?.lock_owned().await;
                if agent.change == Some(target.change) {
                    stops.push(Stop { target, agent });
                } else {
                    self.app.live.replace(self.inner, self.app, &target.container.id);
                }
            }
            lanes.push(Lane { concerned: self.concerned.contains(service.name()), stops, done: 0 });
        }
        Ok(lanes)
    }

    async fn run_lane(&self, mut lane: Lane, tar: &Bytes, stop: &AtomicBool) -> (Lane, Option<Failure>) {
        for at in 0..lane.stops.len() {
            if stop.load(Ordering::Acquire) {
                break;
            }
            // What the first one's check has found the others' would find again.
            let effect = Effect { reloads: lane.concerned, is_checked: lane.concerned && at == 0 };
            let next = &mut lane.stops[at];
            if let Err(error) = self.serve(next, effect, tar).await {
                stop.store(true, Ordering::Release);
                let failure = Failure { instance: next.target.instance().clone(), output: in_full(&error) };
                return (lane, Some(failure));
            }
            lane.done += 1;
        }
        (lane, None)
    }

    /// Brings the change into service on one instance. After an error the instance is as before.
    async fn serve(&self, stop: &mut Stop, effect: Effect, tar: &Bytes) -> Result<(), AgentError> {
        let began = clock::monotonic();
        let synced = self.sync(stop, effect, tar).await;
        let served = match synced {
            Ok(()) if effect.reloads => self.reload(stop).await.map(Some),
            other => other.map(|()| None),
        };
        match served {
            Err(error) => {
                self.put_right(stop, &error).await;
                return Err(error);
            }
            Ok(None) => {}
            Ok(Some(restarted)) => {
                let (instance, ms) = (stop.target.instance().clone(), milliseconds_since(began));
                let how = how(stop.target.reload);
                let _ = self.news.send(News::Instance { instance, ms, how, restarted }).await;
            }
        }
        Ok(())
    }

    async fn sync(&self, stop: &mut Stop, effect: Effect, tar: &Bytes) -> Result<(), AgentError> {
        let found = stop.agent.sync(tar.clone(), self.tree.deleted(), effect.is_checked).await?;
        match (found, stop.target.reload) {
            // It would not start: nothing needs to be stopped to know that.
            (Some(output), Reload::Restart) => Err(AgentError::Failed(output)),
            (Some(output), _) => {
                let instance = stop.target.instance().clone();
                let _ = self.news.send(News::Warning { instance, output }).await;
                Ok(())
            }
            (None, _) => Ok(()),
        }
    }

    /// Returns the programs of the service's own that were restarted beside what its type does.
    async fn reload(&self, stop: &mut Stop) -> Result<Vec<String>, AgentError> {
        let Target { ports, asked, container, .. } = &stop.target;
        let leaves = stop.is_interrupted_on(ports);
        if leaves {
            take_out(self.inner, self.app, &container.id, Absence::Brief, DRAIN).await;
        }
        let reloaded = stop.agent.reload(asked).await;
        // Where programs were stopped for nothing, undoing the change brings it back.
        if leaves && (reloaded.is_ok() || !stop.agent.touched) {
            put_back(self.inner, self.app, &container.id);
        }
        reloaded
    }

    /// After a failure: the old files, and the programs that were stopped run again.
    async fn put_right(&self, stop: &mut Stop, error: &AgentError) {
        let undone = match error {
            AgentError::Failed(_) => self.undo(stop, stop.agent.touched).await,
            AgentError::Open(_) | AgentError::Lost(_) => Err(AgentError::Lost(in_full(error))),
        };
        self.or_replace(stop, undone).await;
    }

    async fn undo(&self, stop: &mut Stop, reload: bool) -> Result<(), AgentError> {
        stop.agent.undo().await?;
        if reload { self.reload(stop).await.map(drop) } else { Ok(()) }
    }

    /// An instance that cannot be brought back is replaced by a new one of its version.
    async fn or_replace(&self, stop: &Stop, undone: Result<(), AgentError>) {
        if let Err(error) = undone {
            tracing::warn!("{} is replaced: {}", stop.target.instance(), in_full(&error));
            self.app.live.agents.drop_of(&stop.target).await;
            self.app.live.replace(self.inner, self.app, &stop.target.container.id);
        }
    }

    /// Takes the change back where it is served.
    async fn revert(&self, lanes: &mut [Lane]) {
        join_all(lanes.iter_mut().map(|lane| self.revert_lane(lane))).await;
    }

    async fn revert_lane(&self, lane: &mut Lane) {
        for stop in &mut lane.stops[..lane.done] {
            let undone = self.undo(stop, lane.concerned).await;
            self.or_replace(stop, undone).await;
        }
    }

    fn write_overlays(&self) -> tokio::task::JoinHandle<std::io::Result<overlay::Overlays>> {
        let folder = overlay::folder(self.inner, self.app);
        let written: Vec<ServiceRecord> =
            takers(self.inner, self.record).into_iter().map(|service| service.record.clone()).collect();
        let (tree, change) = (self.tree.clone(), self.change);
        tokio::task::spawn_blocking(move || overlay::write(&folder, &written, &tree, change))
    }

    async fn commit(&self, writing: tokio::task::JoinHandle<std::io::Result<overlay::Overlays>>) -> Result<(), String> {
        let unwritten = |why: String| format!("the change cannot be kept for later instances: {why}");
        let overlays = match writing.await {
            Ok(written) => written.map_err(|error| unwritten(in_full(&error)))?,
            Err(error) => return Err(unwritten(in_full(&error))),
        };
        overlays.adopt(self.inner, self.app).await.map_err(|error| in_full(&error))
    }

    /// The change is recorded: the instances forget what was before, and those that missed it
    /// are replaced.
    async fn settle(&self, lanes: Vec<Lane>) {
        let mut stops: Vec<Stop> = lanes.into_iter().flat_map(|lane| lane.stops).collect();
        let kept = join_all(stops.iter_mut().map(|stop| stop.agent.keep(self.change))).await;
        for (stop, kept) in stops.iter().zip(kept) {
            self.or_replace(stop, kept).await;
        }
        let served: BTreeSet<&str> = stops.iter().map(|stop| stop.target.container.id.as_str()).collect();
        if let Ok(observed) = self.inner.runtime.observe(&self.app.name).await {
            for service in takers(self.inner, self.record) {
                let missed = |container: &&crate::model::observed::ObservedContainer| {
                    service.owns(container) && super::may_run(container.state) && !served.contains(&*container.id)
                };
                let missed = observed.containers.iter().filter(missed);
                missed.for_each(|container| self.app.live.replace(self.inner, self.app, &container.id));
            }
        }
        overlay::prune(self.inner, self.app).await;
    }
}

fn milliseconds_since(began: Duration) -> f64 {
    (clock::monotonic() - began).as_secs_f64() * 1000.0
}

fn how(reload: Reload) -> How {
    match reload {
        Reload::None => How::Synced,
        Reload::InPlace => How::Switched,
        Reload::Restart | Reload::Build => How::Restarted,
    }
}
