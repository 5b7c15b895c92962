//! A deployment's log: every line is on disk, numbered, with a time that grows strictly (the
//! original client drops lines whose time does not). Followers read the store and are told of
//! growth, so that a follower of a restarted daemon misses nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use crate::engine::clock;
use crate::engine::view::{DeployLine, DeploymentState};
use crate::model::{AppName, InstanceName, ServiceName};
use crate::store::{Store, StoreError};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredLine {
    created_at: String,
    service: Option<ServiceName>,
    index: Option<u32>,
    #[serde(default)]
    error: bool,
    message: String,
    end: Option<bool>,
}

/// The logs that somebody writes or follows.
#[derive(Default)]
pub struct DeployLogs {
    live: Mutex<BTreeMap<String, Arc<DeployLog>>>,
}

/// One deployment's log.
pub struct DeployLog {
    app: AppName,
    deployment: String,
    store: Store,
    writing: tokio::sync::Mutex<Option<Tail>>,
    /// Lines written in this process; a change wakes followers.
    grown: watch::Sender<u64>,
}

#[derive(Clone)]
struct Tail {
    next: u64,
    last: jiff::Timestamp,
}

/// What a line is about.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    pub service: Option<ServiceName>,
    pub index: Option<u32>,
}

impl DeployLogs {
    pub fn open(&self, store: &Store, app: &AppName, deployment: &str) -> Arc<DeployLog> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.retain(|id, log| id == deployment || Arc::strong_count(log) > 1);
        let new = || {
            Arc::new(DeployLog {
                app: app.clone(),
                deployment: deployment.to_owned(),
                store: store.clone(),
                writing: tokio::sync::Mutex::default(),
                grown: watch::Sender::new(0),
            })
        };
        live.entry(deployment.to_owned()).or_insert_with(new).clone()
    }
}

impl DeployLog {
    pub async fn say(&self, message: impl Into<String>) {
        self.write(Subject::default(), message.into(), false, None).await;
    }

    pub async fn say_of(&self, subject: impl Into<Subject>, message: impl Into<String>) {
        self.write(subject.into(), message.into(), false, None).await;
    }

    pub async fn complain(&self, subject: impl Into<Subject>, message: impl Into<String>) {
        self.write(subject.into(), message.into(), true, None).await;
    }

    pub async fn end(&self, message: impl Into<String>, succeeded: bool) {
        self.write(Subject::default(), message.into(), !succeeded, Some(succeeded)).await;
    }

    async fn write(&self, subject: Subject, message: String, error: bool, end: Option<bool>) {
        let mut writing = self.writing.lock().await;
        let mut tail = match writing.clone() {
            Some(tail) => tail,
            None => self.read_tail().await,
        };
        let earliest = tail.last + jiff::SignedDuration::from_micros(1);
        tail.last = jiff::Timestamp::now().max(earliest);
        let created_at = clock::format_timestamp(tail.last);
        let line = StoredLine { created_at, service: subject.service, index: subject.index, error, message, end };
        let doc = serde_json::to_string(&line).unwrap_or_default();
        if let Err(error) = self.store.append_line(&self.app, &self.deployment, tail.next, doc).await {
            tracing::error!(%error, "a line of deployment {} is lost: {}", self.deployment, line.message);
        }
        tail.next += 1;
        self.grown.send_replace(tail.next);
        *writing = Some(tail);
    }

    /// Where a daemon before this one stopped.
    async fn read_tail(&self) -> Tail {
        let lines = self.store.lines(&self.deployment, 0).await.unwrap_or_default();
        let time = |doc: &String| serde_json::from_str::<StoredLine>(doc).ok()?.created_at.parse().ok();
        Tail {
            next: lines.last().map_or(0, |(seq, _)| seq + 1),
            last: lines.last().and_then(|(_, doc)| time(doc)).unwrap_or(jiff::Timestamp::UNIX_EPOCH),
        }
    }

    /// From the first line on; with `follow` until the deployment's end.
    pub fn read(self: Arc<Self>, follow: bool) -> mpsc::Receiver<DeployLine> {
        let (lines, reader) = mpsc::channel(64);
        tokio::spawn(async move {
            // The reader may go away at any time; then there is nobody to tell.
            let _ = self.send_all(follow, &lines).await;
        });
        reader
    }

    async fn send_all(&self, follow: bool, lines: &mpsc::Sender<DeployLine>) -> Result<(), StoreError> {
        let mut grown = self.grown.subscribe();
        let mut next = 0;
        loop {
            grown.mark_unchanged();
            for (seq, doc) in self.store.lines(&self.deployment, next).await? {
                next = seq + 1;
                let Ok(line) = serde_json::from_str::<StoredLine>(&doc) else { continue };
                let last = line.end.is_some();
                if lines.send(line.into()).await.is_err() || last {
                    return Ok(());
                }
            }
            let reader_left = lines.closed();
            tokio::select! {
                grew = grown.changed(), if follow => if grew.is_err() { return Ok(()) },
                () = reader_left, if follow => return Ok(()),
                else => return Ok(()),
            }
        }
    }
}

impl From<StoredLine> for DeployLine {
    fn from(line: StoredLine) -> Self {
        let state = |succeeded| if succeeded { DeploymentState::Succeeded } else { DeploymentState::Failed };
        Self {
            created_at: line.created_at,
            service: line.service,
            index: line.index,
            error: line.error,
            message: line.message,
            end: line.end.map(state),
        }
    }
}

impl From<()> for Subject {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl From<&ServiceName> for Subject {
    fn from(service: &ServiceName) -> Self {
        Self { service: Some(service.clone()), index: None }
    }
}

impl From<&InstanceName> for Subject {
    fn from(instance: &InstanceName) -> Self {
        Self { service: Some(instance.service.clone()), index: Some(instance.index) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn times_grow_strictly_and_followers_see_every_line() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        let app: AppName = "ramen".parse().unwrap();
        let logs = DeployLogs::default();
        let log = logs.open(&store, &app, "d");
        let mut follower = log.clone().read(true);
        for number in 0..50 {
            log.say(format!("line {number}")).await;
        }
        // A daemon after a crash goes on where the lines end.
        let resumed = DeployLogs::default().open(&store, &app, "d");
        resumed.end("done", true).await;
        log.grown.send_replace(99);
        let mut lines = Vec::new();
        while let Some(line) = follower.recv().await {
            lines.push(line);
        }
        assert_eq!(lines.len(), 51);
        assert!(lines.windows(2).all(|pair| pair[0].created_at < pair[1].created_at));
        assert_eq!(lines[50].end, Some(DeploymentState::Succeeded));
    }
}
