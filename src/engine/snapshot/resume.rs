//! How far a snapshot has been put in place, on disk, and what a daemon does about one that its
//! predecessor began: it goes on with the parts that are not in place. The front was closed in
//! between, so that nobody has written through it since.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::model::SnapshotName;

use super::super::app::App;
use super::super::backup::{self, Note, Turn};
use super::super::clock;
use super::super::handle::{Engine, Result};
use super::super::reconcile::in_full;
use super::manifest::{Manifest, Part};
use super::restore::{self, Plan};

/// How long a new daemon waits for masters and folders to be there.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two attempts, unless something changes.
const RETRY: Duration = Duration::from_millis(500);

/// How far a restore is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    snapshot: SnapshotName,
    /// RFC 3339, UTC.
    since: String,
    /// Files of the snapshot whose content is in place.
    in_place: Vec<String>,
}

impl Progress {
    pub fn of(name: &SnapshotName) -> Self {
        Self { snapshot: name.clone(), since: clock::timestamp(), in_place: Vec::new() }
    }

    pub fn add(&mut self, part: &Part) {
        self.in_place.push(part.file.clone());
    }

    pub fn has(&self, part: &Part) -> bool {
        self.in_place.contains(&part.file)
    }

    /// How many parts are in place.
    pub fn parts(&self) -> usize {
        self.in_place.len()
    }
}

/// Goes on with what the last daemon began, if it began anything.
pub async fn resume(engine: &Engine, app: &App) {
    let note = Note::of_app(&app.name);
    let Some(progress) = note.read::<Progress>(engine.inner()).await else { return };
    let Ok(turn) = app.busy.begin_whole("snapshot's restore") else { return };
    // Clients that were kept away are not let in before it goes on.
    turn.replaces();
    tracing::info!(app = %app.name, snapshot = %progress.snapshot, "a restore is gone on with");
    if let Err(error) = go_on(engine, app, &progress, &turn).await {
        // What `run` itself could not do it has told.
        tracing::warn!(%error, "a restore cannot be gone on with");
    }
}

async fn go_on(engine: &Engine, app: &App, progress: &Progress, turn: &Turn) -> Result<()> {
    backup::end_all(engine, app).await;
    let plan = match planned(engine, app, progress).await {
        Ok(plan) => plan,
        Err(error) => {
            give_up(engine, app, progress, &in_full(&error)).await;
            return Err(error);
        }
    };
    // Whoever asked has gone with the last daemon.
    let (news, _) = mpsc::channel(1);
    restore::run(engine, app, plan, progress.clone(), turn, &news).await.map(drop)
}

/// Right after the start of a daemon no service has a master yet.
async fn planned(engine: &Engine, app: &App, progress: &Progress) -> Result<Plan> {
    let folder = engine.snapshot_path(&app.name, &progress.snapshot);
    let (mut status, due) = (app.status.subscribe(), Instant::now() + PATIENCE);
    loop {
        let manifest = Manifest::read(&folder, &progress.snapshot).await?;
        match Plan::make(engine, app, manifest, progress) {
            Err(_) if Instant::now() < due => drop(tokio::time::timeout(RETRY, status.changed()).await),
            made => return made,
        }
    }
}

async fn give_up(engine: &Engine, app: &App, progress: &Progress, why: &str) {
    let outcome = format!(
        "the daemon ended during the one of {}, and its successor cannot go on with it: {why} {} parts are in place: \
         restore it again",
        progress.since,
        progress.parts()
    );
    let details = [("snapshot", progress.snapshot.to_string()), ("outcome", outcome)];
    engine.inner().record_activity(&app.name, "app", "restore", &details).await;
    Note::of_app(&app.name).erase(engine.inner()).await;
}
