//! Snapshots: all data of an application at one time, in `$DOTCLOUD_HOME/snapshots/<app>/<name>/`.
//! A folder there is a whole snapshot: it is written under another name first. Snapshots outlive
//! their application.

mod folders;
mod manifest;
mod restore;
mod resume;
mod save;

use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

pub use manifest::{Content, Manifest, Part};
pub(super) use resume::resume;

use crate::model::{AppName, InstanceName, SnapshotName};

use resume::Progress;

use super::app::App;
use super::backup::{Source, Turn};
use super::handle::{Engine, EngineError, Result};

/// What is told while a snapshot is saved or restored. The last one is `Saved`, `Restored` or
/// `Failed`.
#[derive(Debug)]
pub enum News {
    /// `holds`: what is in it and what is not, in words; empty where it is simply everything.
    Part {
        content: Content,
        bytes: u64,
        holds: String,
    },
    Restarted(InstanceName),
    Saved(Box<Manifest>),
    Restored {
        parts: usize,
    },
    Failed(EngineError),
}

/// What a snapshot that is being written is called, after a point and its name…
const PARTIAL: &str = ".partial";
/// …and one that is being deleted.
const DELETED: &str = ".deleted";

impl Engine {
    /// The snapshots of an application, oldest first, whether it still exists or not.
    pub async fn snapshots(&self, app: &AppName) -> Result<Vec<Manifest>> {
        let mut found = Vec::new();
        let Ok(mut entries) = tokio::fs::read_dir(self.snapshots_folder(app)).await else { return Ok(found) };
        while let Ok(Some(entry)) = entries.next_entry().await {
            let name = entry.file_name().to_str().and_then(|name| name.parse::<SnapshotName>().ok());
            let Some(name) = name else { continue };
            match Manifest::read(&entry.path(), &name).await {
                Ok(manifest) => found.push(manifest),
                Err(error) => tracing::warn!(%error, "a snapshot is passed over"),
            }
        }
        found.sort_by(|a, b| (&a.created_at, &a.name).cmp(&(&b.created_at, &b.name)));
        Ok(found)
    }

    /// Saves all data of an application. Goes on to its end when whoever asked for it leaves.
    ///
    /// # Errors
    /// `Conflict` when there is one of that name, or other work with the data goes on.
    pub async fn save_snapshot(&self, app: &AppName, name: SnapshotName) -> Result<mpsc::Receiver<News>> {
        let app = self.seen_app(app).await?;
        let turn = app.busy.begin_whole("snapshot")?;
        let folder = self.snapshot_path(&app.name, &name);
        if folder.exists() {
            let text = format!("There is a snapshot {name}: `dotcloud snapshot delete {name}` makes room for it.");
            return Err(EngineError::Conflict(text));
        }
        let plan = save::Plan::make(self, &app)?;
        let (news, told) = mpsc::channel(16);
        let engine = self.clone();
        tokio::spawn(async move {
            let ended = save::run(&engine, &app, &name, plan, &news).await;
            tell(&news, turn, ended).await;
        });
        Ok(told)
    }

    /// Puts everything of a snapshot in the place of what is there now. All is checked before the
    /// first change. Goes on to its end when whoever asked for it leaves.
    ///
    /// # Errors
    /// As for [`Engine::save_snapshot`]; `NotFound` and `Invalid` when it cannot be restored here.
    /// That a file of it is damaged is its last news.
    pub async fn restore_snapshot(&self, app: &AppName, name: &SnapshotName) -> Result<mpsc::Receiver<News>> {
        let app = self.seen_app(app).await?;
        let folder = self.snapshot_path(&app.name, name);
        let turn = app.busy.begin_whole("snapshot's restore")?;
        let manifest = Manifest::read(&folder, name).await?;
        let progress = Progress::of(name);
        let plan = restore::Plan::make(self, &app, manifest, &progress)?;
        let (news, told) = mpsc::channel(16);
        let engine = self.clone();
        tokio::spawn(async move {
            let ended = restore::run(&engine, &app, plan, progress, &turn, &news).await;
            tell(&news, turn, ended).await;
        });
        Ok(told)
    }

    /// # Errors
    /// `NotFound` when there is none; `Conflict` while one is restored; `Store` when it cannot be
    /// removed.
    pub async fn delete_snapshot(&self, app: &AppName, name: &SnapshotName) -> Result<()> {
        // Of an application that is gone nothing is restored.
        let known = self.inner().app(app).ok();
        let _turn = known.map(|app| app.busy.begin_whole("snapshot's removal")).transpose()?;
        let folder = self.snapshot_path(app, name);
        if !folder.exists() {
            return Err(EngineError::NotFound(format!("There is no snapshot {name}: `dotcloud snapshot list`.")));
        }
        // Under another name first: what is left of it is never taken for a snapshot.
        let going = folder.with_file_name(format!(".{name}{DELETED}"));
        let gone = async {
            remove_all(&going).await?;
            tokio::fs::rename(&folder, &going).await?;
            tokio::fs::remove_dir_all(&going).await
        };
        gone.await.map_err(|error| EngineError::Store(Box::new(error)))?;
        // Only when it was the last one.
        let _ = tokio::fs::remove_dir(self.snapshots_folder(app)).await;
        Ok(())
    }

    fn snapshots_folder(&self, app: &AppName) -> PathBuf {
        self.inner().config.home.join("snapshots").join(app.as_str())
    }

    /// The folder of a snapshot.
    pub fn snapshot_path(&self, app: &AppName, name: &SnapshotName) -> PathBuf {
        self.snapshots_folder(app).join(name.as_str())
    }
}

/// Removes what a daemon that ended in the middle left: parts of snapshots, and of those that were
/// being deleted. Nothing works with snapshots yet.
pub async fn sweep(home: &Path) {
    let Ok(mut apps) = tokio::fs::read_dir(home.join("snapshots")).await else { return };
    while let Ok(Some(app)) = apps.next_entry().await {
        let Ok(mut entries) = tokio::fs::read_dir(app.path()).await else { continue };
        while let Ok(Some(entry)) = entries.next_entry().await {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') && (name.ends_with(PARTIAL) || name.ends_with(DELETED)) {
                let removed = remove_all(&entry.path()).await;
                removed.unwrap_or_else(|error| tracing::warn!(%error, "{name} cannot be removed"));
            }
        }
    }
}

async fn remove_all(folder: &Path) -> std::io::Result<()> {
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The last news. Whoever asked may have gone; who has not may go on with the next command.
async fn tell(news: &mpsc::Sender<News>, turn: Turn, ended: Result<News>) {
    drop(turn);
    let last = ended.unwrap_or_else(|error| {
        tracing::warn!(%error, "a snapshot failed");
        News::Failed(error)
    });
    let _ = news.send(last).await;
}

/// The turns of all data services that have dumps: nobody else works with them meanwhile.
fn sources(engine: &Engine, app: &App, what: &'static str) -> Result<Vec<(Source, Turn)>> {
    let record = app.record();
    if !record.up {
        let text = format!("The application {} is down: `dotcloud up` starts it.", app.name);
        return Err(EngineError::Invalid(text));
    }
    let services = record.services.iter().filter(|service| service.is_data && !service.doomed);
    let found = services.map(|service| Source::find(engine, app, &service.name)).collect::<Result<Vec<_>>>()?;
    let with_dumps = found.into_iter().filter(Source::has_dumps);
    with_dumps.map(|source| app.busy.begin(source.name(), what).map(|turn| (source, turn))).collect()
}

/// A folder's entries are on disk.
async fn sync(folder: &Path) -> std::io::Result<()> {
    tokio::fs::File::open(folder).await?.sync_all().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_killed_daemon_left_of_snapshots_is_removed_and_whole_ones_stay() {
        let home = tempfile::tempdir().unwrap();
        sweep(home.path()).await;
        let shop = home.path().join("snapshots/shop");
        for folder in ["full", ".half.partial/x", ".gone.deleted/x", ".mine", "a.partial"] {
            std::fs::create_dir_all(shop.join(folder)).unwrap();
        }
        sweep(home.path()).await;
        let left = std::fs::read_dir(&shop).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut left: Vec<String> = left.collect();
        left.sort();
        assert_eq!(left, [".mine", "a.partial", "full"]);
    }
}
