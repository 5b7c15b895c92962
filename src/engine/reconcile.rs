//! The loop of one application: observe, decide, act. It takes no hints: whatever woke it, it
//! looks at everything. Happy path and recovery are one path.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::model::observed::{ObservedApp, ObservedContainer, Purpose, RunState};
use crate::model::{DiskSpace, DiskState, InstanceName, MemberDisk, PortKind, ServiceName};
use crate::plan::{Hold, Observed, Plan, Planned, Step};
use crate::store::AppRecord;

use super::app::{App, AppStatus};
use super::backoff::{Backoff, Started};
use super::desired::desired;
use super::execute::execute;
use super::health::{Incarnation, Question};
use super::inner::Inner;
use super::ports::{self, Port};
use super::runtime::RuntimeError;
use super::serving::Serving;
use super::{aftermath, clock, pauses, publish};

/// Looked at again at least this often, should an event have been lost.
pub const TICK: Duration = Duration::from_secs(5);
/// While the runtime does not answer.
const UNREACHABLE: Duration = Duration::from_secs(1);

/// Runs until the application is destroyed.
pub async fn run(inner: Arc<Inner>, app: Arc<App>) {
    let (done, mut finished) = mpsc::unbounded_channel();
    let mut reconciler = Reconciler { inner, app, under_way: BTreeMap::new(), backoff: Backoff::default(), done };
    loop {
        let pause = match reconciler.look().await {
            Ok(Outcome::Gone) => return,
            Ok(Outcome::Again(pause)) => pause,
            Err(error) => reconciler.report_blind(&error),
        };
        tokio::select! {
            () = reconciler.app.woken() => {}
            Some(done) = finished.recv() => reconciler.finish(done),
            () = tokio::time::sleep(pause) => {}
        }
        while let Ok(done) = finished.try_recv() {
            reconciler.finish(done);
        }
    }
}

struct Reconciler {
    inner: Arc<Inner>,
    app: Arc<App>,
    /// By target.
    under_way: BTreeMap<String, Planned>,
    backoff: Backoff,
    done: mpsc::UnboundedSender<Done>,
}

struct Done {
    step: Step,
    result: Result<(), RuntimeError>,
}

enum Outcome {
    Gone,
    Again(Duration),
}

impl Reconciler {
    async fn look(&mut self) -> Result<Outcome, RuntimeError> {
        let observed = Arc::new(self.inner.runtime.observe(&self.app.name).await?);
        let (version, record) = self.app.versioned_record();
        self.app.groups.track(&self.inner, &self.app, &observed).await;
        let groups = self.app.groups.statuses().await;
        let responsive = self.app.health.track(&self.app, &self.inner.runtime, self.probed(&record, &observed));
        let world = Observed {
            app: ObservedApp::clone(&observed),
            responsive: responsive.clone(),
            failures: self.backoff.failures(),
            full: full(self.app.disks.track(&self.inner, &self.app, &observed)),
        };
        let now = clock::monotonic();
        let today = clock::now();
        let plan = crate::plan::plan(&desired(&record, &groups, today), &world, now);
        let mut holds: Vec<String> = plan.holds.iter().map(ToString::to_string).collect();
        let mut about = about(&plan.holds);
        let unsettled = publish::unsettled(&groups);
        about.extend(unsettled.iter().map(|(name, hold)| (hold.clone(), name.clone())));
        holds.extend(unsettled.into_values());
        // Before routes are published from it: others publish from the status meanwhile.
        let (responsive, failures) = (Arc::new(responsive), Arc::new(world.failures));
        self.app.status.send_modify(|status| {
            status.observed = observed.clone();
            status.responsive = responsive.clone();
            status.failures = failures.clone();
        });
        let serving = Serving {
            record: &record,
            observed: &observed,
            responsive: &responsive,
            leaving: self.app.leaving(),
            failures: &failures,
        };
        for (service, hold) in publish::publish(&self.inner, &self.app, &serving).await {
            about.extend(service.map(|service| (hold.clone(), service)));
            holds.push(hold);
        }
        if plan.steps.is_empty() && self.under_way.is_empty() {
            match aftermath::settle(&self.inner, &self.app, &record, &observed).await {
                Ok(true) => return Ok(Outcome::Gone),
                Ok(false) => {}
                // What cannot be cleaned away keeps nobody from seeing everything else.
                Err(error) => holds.push(self.unsettled(&error)),
            }
        }
        self.act(plan);
        let steps = self.under_way.values().map(ToString::to_string).collect();
        about.extend(self.under_way.values().filter_map(|planned| Some((planned.to_string(), planned.service()?))));
        let about = Arc::new(about);
        self.app.status.send_replace(AppStatus {
            version,
            observed,
            responsive,
            failures,
            groups,
            steps,
            holds,
            about,
            gone: false,
        });
        let soonest = self.backoff.next(now).into_iter().chain(pauses::next_end(&record, today)).min();
        Ok(Outcome::Again(soonest.unwrap_or(TICK).min(TICK)))
    }

    /// Starts every step whose target has none under way.
    fn act(&mut self, plan: Plan) {
        for planned in plan.steps {
            let target = planned.step.target();
            if self.under_way.contains_key(&target) {
                continue;
            }
            tracing::info!(app = %self.app.name, "{planned}");
            self.under_way.insert(target, planned.clone());
            let (inner, app, done) = (self.inner.clone(), self.app.clone(), self.done.clone());
            tokio::spawn(async move {
                let step = planned.step;
                let result = execute(&inner, &app, &step).await;
                // The reconciler is gone only when the application is.
                let _ = done.send(Done { step, result });
            });
        }
    }

    fn finish(&mut self, done: Done) {
        let target = done.step.target();
        self.under_way.remove(&target);
        let now = clock::monotonic();
        match done.result {
            Ok(()) => self.backoff.succeeded(&target, started(&done.step), now),
            Err(error) => {
                let why = in_full(&error);
                tracing::warn!(app = %self.app.name, "could not {}: {why}", done.step);
                self.backoff.failed(&target, why, now);
            }
        }
    }

    fn unsettled(&self, error: &RuntimeError) -> String {
        let why = in_full(error);
        if !self.app.status.borrow().holds.contains(&why) {
            tracing::warn!(app = %self.app.name, "{why}");
        }
        why
    }

    /// Without a look nothing is decided; what was last seen stays published.
    fn report_blind(&self, error: &RuntimeError) -> Duration {
        let holds = vec![in_full(error)];
        // Said once, not every second for as long as it lasts.
        if self.app.status.borrow().holds != holds {
            tracing::warn!(app = %self.app.name, "{}", holds[0]);
        }
        self.app.status.send_modify(|status| status.holds = holds);
        UNREACHABLE
    }

    /// Running instances of code services and what they are asked; those without ports whether their
    /// programs were started.
    fn probed(&self, record: &AppRecord, observed: &ObservedApp) -> BTreeMap<Incarnation, Vec<Question>> {
        let running = observed
            .containers
            .iter()
            .filter(|c| c.identity.purpose == Purpose::Code && matches!(c.state, RunState::Running | RunState::Paused));
        let incarnation = |container: &ObservedContainer| {
            let questions = self.questions(record, container)?;
            Some((Incarnation { container: container.id.clone(), pid: container.pid }, questions))
        };
        running.filter_map(incarnation).collect()
    }

    /// `None` while it has no address, or when nobody wants it any more.
    fn questions(&self, record: &AppRecord, container: &ObservedContainer) -> Option<Vec<Question>> {
        let service = record.service(&container.identity.instance.service)?;
        let kind = self.inner.catalog.get(&service.type_name)?;
        let version = service.version(container.identity.generation)?;
        let asked = ports::asked(&version.spec, kind);
        let question = |port: &Port| {
            let addr = SocketAddr::from((container.ip?, port.number));
            Some(if port.kind == PortKind::Http { Question::Http(addr) } else { Question::Tcp(addr) })
        };
        if asked.is_empty() {
            return Some(vec![Question::Started { container: container.id.clone() }]);
        }
        asked.iter().map(question).collect()
    }
}

/// Members that cannot write any more, with how full their disks are.
fn full(disks: BTreeMap<InstanceName, MemberDisk>) -> BTreeMap<InstanceName, DiskSpace> {
    let full = disks.into_iter().filter(|(_, disk)| disk.state == DiskState::Full);
    full.map(|(instance, disk)| (instance, disk.space)).collect()
}

fn about(holds: &[Hold]) -> BTreeMap<String, ServiceName> {
    holds.iter().filter_map(|hold| Some((hold.to_string(), hold.service()?))).collect()
}

fn started(step: &Step) -> Started {
    match step {
        Step::ReviveInstance { .. } => Started::Instance,
        Step::RestartMember { .. } => Started::Server,
        _ => Started::Anew,
    }
}

/// An error with all its causes, in one line.
pub fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
