//! How full the disks are that members of data services write to, and the word about it before a
//! server has to find out.
//!
//! The pod is asked, which has its member's volume too: it lives on while the server cannot start
//! for want of space, and it is where the volume is, however the runtime's machine is reached.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::AbortHandle;

use crate::model::observed::{ObservedApp, ObservedContainer, Purpose, RunState};
use crate::model::{DiskSpace, DiskState, InstanceName, MemberDisk};

use super::app::App;
use super::inner::Inner;
use super::reconcile::in_full;
use super::runtime::{ExecOutput, ExecSession, ExecSpec, RuntimeError};

/// Between two looks at a disk. A fast one takes half a gigabyte in a second.
const EVERY: Duration = Duration::from_secs(2);
/// Before a pod is asked anew that stopped answering.
const AGAIN: Duration = Duration::from_secs(10);
/// One answer for each line it is given; ends with its input, and so with the daemon.
const SCRIPT: &str = "while read -r _; do stat -f -c '%S %b %a' \"$1\" || exit; done";

/// The disks of one application's members.
#[derive(Default)]
pub struct Disks {
    /// By the pod's container.
    watched: Mutex<BTreeMap<String, Watched>>,
}

struct Watched {
    instance: InstanceName,
    disk: Option<MemberDisk>,
    task: AbortHandle,
}

impl Disks {
    /// Watches the disks of new pods, forgets those of pods that are gone; returns what is known.
    pub fn track(&self, inner: &Arc<Inner>, app: &Arc<App>, seen: &ObservedApp) -> BTreeMap<InstanceName, MemberDisk> {
        let pods = seen.containers.iter().filter(|container| container.identity.purpose == Purpose::Pod);
        let running: BTreeMap<&str, &ObservedContainer> =
            pods.filter(|pod| pod.state == RunState::Running).map(|pod| (pod.id.as_str(), pod)).collect();
        let mut watched = self.lock();
        watched.retain(|id, _| running.contains_key(id.as_str()));
        for (id, pod) in running {
            let instance = &pod.identity.instance;
            if let (false, Some(path)) = (watched.contains_key(id), data_path(inner, app, instance)) {
                let task = tokio::spawn(watch(inner.clone(), app.clone(), pod.clone(), path)).abort_handle();
                watched.insert(id.to_owned(), Watched { instance: instance.clone(), disk: None, task });
            }
        }
        watched.values().filter_map(|one| Some((one.instance.clone(), one.disk?))).collect()
    }

    pub fn of(&self, instance: &InstanceName) -> Option<MemberDisk> {
        self.lock().values().find(|one| one.instance == *instance)?.disk
    }

    /// Takes a measurement in; the state, where it is another one now.
    fn measured(&self, pod: &str, space: DiskSpace) -> Option<DiskState> {
        let mut watched = self.lock();
        let one = watched.get_mut(pod)?;
        let before = one.disk.map(|disk| disk.state).unwrap_or_default();
        let state = space.state(before);
        one.disk = Some(MemberDisk { space, state });
        (state != before).then_some(state)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn data_path(inner: &Inner, app: &App, instance: &InstanceName) -> Option<String> {
    let record = app.record();
    let kind = inner.catalog.get(&record.service(&instance.service)?.type_name)?;
    Some(kind.data.as_ref()?.data_path.clone())
}

/// Until the pod is gone.
async fn watch(inner: Arc<Inner>, app: Arc<App>, pod: ObservedContainer, path: String) {
    loop {
        if let Err(error) = converse(&inner, &app, &pod, &path).await {
            tracing::debug!(app = %app.name, "the disk of {} is not known: {}", pod.identity.instance, in_full(&error));
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Asks again and again, for as long as there are answers.
async fn converse(inner: &Inner, app: &App, pod: &ObservedContainer, path: &str) -> Result<(), RuntimeError> {
    let command = ["sh", "-c", SCRIPT, "sh", path].map(str::to_owned).into();
    let spec = ExecSpec { command, stdin: true, ..ExecSpec::default() };
    let mut session = inner.runtime.exec(&pod.id, &spec).await?;
    while let Some(line) = answer(&mut session).await? {
        let space = DiskSpace::parse(&line);
        if let Some((state, space)) = space.and_then(|space| Some((app.disks.measured(&pod.id, space)?, space))) {
            tell(inner, app, &pod.identity.instance, state, space).await;
        }
        tokio::time::sleep(EVERY).await;
    }
    Ok(())
}

async fn answer(session: &mut ExecSession) -> Result<Option<String>, RuntimeError> {
    let Some(stdin) = &session.stdin else { return Ok(None) };
    if stdin.send(Bytes::from_static(b"\n")).await.is_err() {
        return Ok(None);
    }
    let mut line = String::new();
    while !line.ends_with('\n') {
        match session.output.recv().await.transpose()? {
            Some(ExecOutput::Stdout(bytes)) => line.push_str(&String::from_utf8_lossy(&bytes)),
            Some(ExecOutput::Stderr(_)) => {}
            Some(ExecOutput::Exit(_)) | None => return Ok(None),
        }
    }
    Ok(Some(line))
}

async fn tell(inner: &Inner, app: &App, instance: &InstanceName, state: DiskState, space: DiskSpace) {
    match state {
        DiskState::Ample => tracing::info!(app = %app.name, "the disk of {instance} has space again: {space}"),
        DiskState::Low => tracing::warn!(app = %app.name, "the disk of {instance} is nearly full: {space}"),
        DiskState::Full => tracing::warn!(app = %app.name, "the disk of {instance} is full: {space}"),
    }
    let details = [("service", instance.to_string()), ("space", space.to_string())];
    inner.record_activity(&app.name, "disk", state.name(), &details).await;
    app.wake();
}
