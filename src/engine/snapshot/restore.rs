//! Restoring: everything is checked, then services are replaced at once, then folders in turn.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use crate::model::InstanceName;

use super::super::app::App;
use super::super::backup::{Note, Source, Turn};
use super::super::clock;
use super::super::handle::{Engine, EngineError, Result};
use super::super::inner::Inner;
use super::super::reconcile::in_full;
use super::folders::{self, Folder};
use super::manifest::{Content, Manifest, Part};
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
    pub fn make(engine: &Engine, app: &App, manifest: Manifest, folder: PathBuf) -> Result<Self> {
        let (mut sources, places) = (sources(engine, app, "snapshot's restore")?, folders::all(engine, app));
        let (mut services, mut folders) = (Vec::new(), Vec::new());
        for part in &manifest.parts {
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
pub async fn run(engine: &Engine, app: &App, plan: Plan, news: &mpsc::Sender<News>) -> Result<News> {
    plan.manifest.check(&plan.folder).await?;
    let (inner, note, name) = (engine.inner(), Note::of_app(&app.name), plan.manifest.name.to_string());
    note.write(inner, &format!("{name} {}", clock::timestamp())).await;
    let (parts, in_place) = (plan.manifest.parts.len(), AtomicUsize::new(0));
    let restored = replace(engine, app, plan, &in_place, news).await;
    let restored = restored.map_err(|error| halfway(&error, in_place.into_inner(), parts));
    note.erase(inner).await;
    let outcome = restored.as_ref().map_or_else(ToString::to_string, |()| "everything was replaced".to_owned());
    inner.record_activity(&app.name, "app", "restore", &[("snapshot", name), ("outcome", outcome)]).await;
    restored.map(|()| News::Restored { parts })
}

fn halfway(error: &EngineError, in_place: usize, parts: usize) -> EngineError {
    let why = in_full(error);
    let why = why.trim_end_matches('.');
    EngineError::Invalid(format!("{why}. {in_place} of the snapshot's {parts} parts are in place: restore it again."))
}

/// Tells, in the activity list, of a restore that the last daemon did not see end.
pub async fn tell_interrupted(inner: &Inner, app: &App) {
    let Some(text) = Note::of_app(&app.name).take(inner).await else { return };
    let (name, since) = text.split_once(' ').unwrap_or((&text, "an unknown time"));
    let outcome =
        format!("unknown: the daemon ended during the one of {since}. Data may be partly replaced: restore it again");
    let details = [("snapshot", name.to_owned()), ("outcome", outcome)];
    inner.record_activity(&app.name, "app", "restore", &details).await;
}

/// Services do not wait for one another; the first failure is told when all have ended.
async fn replace(
    engine: &Engine,
    app: &App,
    plan: Plan,
    in_place: &AtomicUsize,
    news: &mpsc::Sender<News>,
) -> Result<()> {
    let files = plan.folder.as_path();
    let told = async |part: &Part| {
        in_place.fetch_add(1, Ordering::Relaxed);
        // Whoever asked may have gone.
        let _ = news.send(News::Part { content: part.content.clone(), bytes: part.bytes }).await;
    };
    let services = plan.services.into_iter().map(async |(source, turn, part)| {
        service(engine, app, files, source, turn, &part).await?;
        told(&part).await;
        Ok(())
    });
    join_all(services).await.into_iter().collect::<Result<Vec<()>>>()?;
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
