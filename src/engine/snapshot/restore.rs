//! Restoring: everything is checked, then services are replaced at once, then folders in turn.

use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use tokio::io::AsyncReadExt;
use tokio::sync::{Mutex, mpsc};

use crate::model::InstanceName;

use super::super::app::App;
use super::super::backup::{Note, Source, Turn};
use super::super::handle::{Engine, EngineError, Result};
use super::super::reconcile::in_full;
use super::folders::{self, Folder};
use super::manifest::{Content, Manifest, Part};
use super::resume::Progress;
use super::{News, sources};

/// Who is given which file.
pub struct Plan {
    folder: PathBuf,
    services: Vec<(Source, Turn, Part)>,
    folders: Vec<(Folder, Part)>,
    manifest: Manifest,
}

impl Plan {
    /// # Errors
    /// `Invalid` when the application has no place for a part.
    pub fn make(engine: &Engine, app: &App, manifest: Manifest, progress: &Progress) -> Result<Self> {
        let folder = engine.snapshot_path(&app.name, &manifest.name);
        let (mut sources, places) = (sources(engine, app, "snapshot's restore")?, folders::all(engine, app));
        let (mut services, mut folders) = (Vec::new(), Vec::new());
        for part in manifest.parts.iter().filter(|part| !progress.has(part)) {
            match &part.content {
                Content::Service { service, type_name, .. } => {
                    let at = sources.iter().position(|(source, _)| source.name() == service);
                    let (source, turn) = at.map(|at| sources.swap_remove(at)).ok_or_else(|| gone(part))?;
                    check_type(&source, type_name)?;
                    source.writer(app)?;
                    services.push((source, turn, part.clone()));
                }
                content => {
                    let place = places.iter().find(|place| place.content == *content).ok_or_else(|| gone(part))?;
                    folders.push((place.clone(), part.clone()));
                }
            }
        }
        Ok(Self { folder, services, folders, manifest })
    }
}

fn gone(part: &Part) -> EngineError {
    let (kind, name) = (part.content.kind(), part.content.name());
    let next = match kind {
        "service" => "push a build file that has it",
        "shared" => "push a build file that shares it",
        _ => "scale its service first",
    };
    EngineError::Invalid(format!(
        "The snapshot has the {kind} {name}, which is not there now: {next}. Nothing was changed."
    ))
}

fn check_type(source: &Source, saved: &str) -> Result<()> {
    // `mysql-masterslave` is another name of the same server.
    let server = |name: &str| name.strip_suffix("-masterslave").unwrap_or(name).to_owned();
    let text = || {
        let (name, now) = (source.name(), &source.kind.name);
        format!("{name} was of type {saved} and is of type {now} now. Nothing was changed.")
    };
    (server(&source.kind.name) == server(saved)).then_some(()).ok_or_else(|| EngineError::Invalid(text()))
}

/// `Err` when it could not be done, or not wholly.
pub async fn run(
    engine: &Engine,
    app: &App,
    plan: Plan,
    progress: Progress,
    turn: &Turn,
    news: &mpsc::Sender<News>,
) -> Result<News> {
    let (inner, note) = (engine.inner(), Note::of_app(&app.name));
    let (name, parts) = (plan.manifest.name.to_string(), plan.manifest.parts.len());
    // From here on a killed daemon's successor goes on with it.
    note.write(inner, &progress).await;
    let progress = Mutex::new(progress);
    let restored = match plan.manifest.check(&plan.folder).await {
        Ok(()) => {
            let restored = replace(engine, app, plan, &progress, turn, news).await;
            restored.map_err(|error| halfway(&error, progress.into_inner().parts(), parts))
        }
        Err(error) => Err(error),
    };
    note.erase(inner).await;
    let outcome = restored.as_ref().map_or_else(|error| in_full(error), |()| "everything was replaced".to_owned());
    inner.record_activity(&app.name, "app", "restore", &[("snapshot", name), ("outcome", outcome)]).await;
    restored.map(|()| News::Restored { parts })
}

fn halfway(error: &EngineError, in_place: usize, parts: usize) -> EngineError {
    let why = in_full(error);
    let why = why.trim_end_matches('.');
    EngineError::Invalid(format!("{why}. {in_place} of the snapshot's {parts} parts are in place: restore it again."))
}

/// Services do not wait for one another; the first failure is told when all have ended.
async fn replace(
    engine: &Engine,
    app: &App,
    plan: Plan,
    progress: &Mutex<Progress>,
    turn: &Turn,
    news: &mpsc::Sender<News>,
) -> Result<()> {
    let files = plan.folder.as_path();
    let told = async |part: &Part| {
        let mut progress = progress.lock().await;
        progress.add(part);
        Note::of_app(&app.name).write(engine.inner(), &*progress).await;
        // Whoever asked may have gone.
        let (content, bytes, holds) = (part.content.clone(), part.bytes, String::new());
        let _ = news.send(News::Part { content, bytes, holds }).await;
    };
    // Nobody is to see some services before and others after it. Instances that are restarted for
    // their folders may need the services.
    turn.replaces();
    let services = plan.services.into_iter().map(async |(source, turn, part)| {
        service(engine, app, files, source, turn, &part).await?;
        told(&part).await;
        Ok(())
    });
    join_all(services).await.into_iter().collect::<Result<Vec<()>>>()?;
    turn.has_replaced();
    for (place, part) in plan.folders {
        if let Some(instance) = folder(engine, app, files, &place, &part).await? {
            let _ = news.send(News::Restarted(instance)).await;
        }
        told(&part).await;
    }
    Ok(())
}

/// Who was restarted for it.
async fn folder(engine: &Engine, app: &App, files: &Path, place: &Folder, part: &Part) -> Result<Option<InstanceName>> {
    let mut writing = place.write(engine, app).await?;
    let mut file = open(&files.join(&part.file)).await?;
    while let Some(bytes) = read(&mut file, part).await? {
        if !writing.send(bytes).await {
            break;
        }
    }
    writing.finish(engine, app).await
}

async fn service(engine: &Engine, app: &App, files: &Path, source: Source, turn: Turn, part: &Part) -> Result<()> {
    let mut restore = engine.write(app, &source, turn).await?;
    let mut file = open(&files.join(&part.file)).await?;
    while let Some(bytes) = read(&mut file, part).await? {
        if !restore.send(bytes).await {
            break;
        }
    }
    restore.finish().await
}

async fn open(path: &Path) -> Result<tokio::fs::File> {
    tokio::fs::File::open(path).await.map_err(|error| EngineError::Store(Box::new(error)))
}

async fn read(file: &mut tokio::fs::File, part: &Part) -> Result<Option<bytes::Bytes>> {
    let mut buffer = bytes::BytesMut::with_capacity(64 * 1024);
    let failed = |error| EngineError::Invalid(format!("Cannot read {}: {error}.", part.file));
    let read = file.read_buf(&mut buffer).await.map_err(failed)?;
    Ok((read > 0).then(|| buffer.freeze()))
}
