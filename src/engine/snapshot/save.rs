//! Saving: dumps of all services at once, so that they are of nearly the same moment, then folders.

use std::path::Path;

use futures_util::future::try_join_all;
use tokio::sync::mpsc;

use crate::catalog::Purpose;
use crate::model::SnapshotName;

use super::super::app::App;
use super::super::backup::{Source, Turn};
use super::super::clock;
use super::super::handle::{Engine, EngineError, Result};
use super::folders::{self, Folder};
use super::manifest::{Content, Manifest, Part, Sink, unwritable};
use super::{News, PARTIAL, sources, sync};

/// What is to be saved.
pub struct Plan {
    sources: Vec<(Source, Turn)>,
    folders: Vec<Folder>,
}

impl Plan {
    /// # Errors
    /// `Invalid` when there is nothing to save, or somebody cannot be read.
    pub fn make(engine: &Engine, app: &App) -> Result<Self> {
        let sources = sources(engine, app, "snapshot")?;
        sources.iter().try_for_each(|(source, _)| source.reader(app).map(drop))?;
        let folders = folders::all(engine, app);
        if sources.is_empty() && folders.is_empty() {
            return Err(EngineError::Invalid(format!("The application {} has no data to save.", app.name)));
        }
        Ok(Self { sources, folders })
    }
}

pub async fn run(
    engine: &Engine,
    app: &App,
    name: &SnapshotName,
    plan: Plan,
    news: &mpsc::Sender<News>,
) -> Result<News> {
    let folder = engine.snapshot_path(&app.name, name);
    let partial = folder.with_file_name(format!(".{name}{PARTIAL}"));
    let saved = within(engine, app, name, plan, &partial, news).await;
    let kept = match saved {
        Ok(manifest) => keep(&partial, &folder).await.map(|()| manifest),
        Err(error) => Err(error),
    };
    if kept.is_err() {
        // Part of a snapshot is worth nothing.
        let _ = tokio::fs::remove_dir_all(&partial).await;
    }
    let manifest = kept?;
    let details = [("snapshot", name.to_string())];
    engine.inner().record_activity(&app.name, "app", "snapshot", &details).await;
    Ok(News::Saved(Box::new(manifest)))
}

async fn within(
    engine: &Engine,
    app: &App,
    name: &SnapshotName,
    plan: Plan,
    partial: &Path,
    news: &mpsc::Sender<News>,
) -> Result<Manifest> {
    // What a killed daemon left.
    let _ = tokio::fs::remove_dir_all(partial).await;
    tokio::fs::create_dir_all(partial).await.map_err(|error| unwritable(partial, error))?;
    let created_at = clock::timestamp();
    let dumps = plan.sources.into_iter().map(|(source, turn)| dump(engine, app, source, turn, partial, news));
    let mut parts = try_join_all(dumps).await?;
    for folder in &plan.folders {
        let mut reading = folder.read(engine, app).await?;
        let mut sink = Sink::create(partial.join(folder.file())).await?;
        while let Some(bytes) = reading.next().await? {
            sink.write(&bytes).await?;
        }
        parts.push(part(folder.content.clone(), folder.file(), sink, String::new(), news).await?);
    }
    let revision = engine.app(&app.name).await?.revision;
    let manifest = Manifest { app: app.name.clone(), name: name.clone(), created_at, revision, parts };
    manifest.write(partial).await?;
    Ok(manifest)
}

async fn dump(
    engine: &Engine,
    app: &App,
    source: Source,
    turn: Turn,
    partial: &Path,
    news: &mpsc::Sender<News>,
) -> Result<Part> {
    let mut backup = engine.read(app, &source, Purpose::Snapshot, turn).await?;
    let file = format!("{}.{}", source.name(), backup.extension);
    let mut sink = Sink::create(partial.join(&file)).await?;
    while let Some(bytes) = backup.next().await? {
        sink.write(&bytes).await?;
    }
    let content = Content::Service {
        service: source.name().clone(),
        type_name: source.kind.name.clone(),
        member: backup.member.clone(),
    };
    part(content, file, sink, backup.holds, news).await
}

async fn part(content: Content, file: String, sink: Sink, holds: String, news: &mpsc::Sender<News>) -> Result<Part> {
    let (bytes, sha256) = sink.finish().await?;
    // Whoever asked may have gone.
    let _ = news.send(News::Part { content: content.clone(), bytes, holds }).await;
    Ok(Part { content, file, bytes, sha256 })
}

/// The snapshot is complete: it takes its name, and is on disk.
async fn keep(partial: &Path, folder: &Path) -> Result<()> {
    let kept = async {
        sync(partial).await?;
        tokio::fs::rename(partial, folder).await?;
        match folder.parent() {
            Some(parent) => sync(parent).await,
            None => Ok(()),
        }
    };
    kept.await.map_err(|error| unwritable(folder, error))
}
