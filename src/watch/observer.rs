//! The system's file events, folder by folder: excluded folders cost no watch.

use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::time::Instant;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{Config, Event, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::WatchError;

/// What arrives before anything is gathered.
#[derive(Debug)]
pub enum Raw {
    /// Something happened to these absolute paths; `gone` when they were removed or moved away.
    Touched {
        paths: Vec<PathBuf>,
        gone: bool,
        at: Instant,
    },
    /// Events went missing: there were more than the system keeps.
    Overflow {
        at: Instant,
    },
    Failed(WatchError),
    Stop,
}

/// The watches of one tree. New ones for what appears are added by whoever looks at it.
#[derive(Debug)]
pub struct Observer {
    watcher: RecommendedWatcher,
}

impl Observer {
    pub fn new(root: &Path, raw: Sender<Raw>) -> Result<Self, WatchError> {
        let watched = root.to_owned();
        let tell = move |event: notify::Result<Event>| {
            let failed = |error| Some(Raw::Failed(WatchError::of_folder(error, watched.clone())));
            if let Some(news) = event.map_or_else(failed, |event| read(event, Instant::now())) {
                // Nobody listens any more once watching has ended.
                let _ = raw.send(news);
            }
        };
        let config = Config::default().with_follow_symlinks(false);
        let watcher = RecommendedWatcher::new(tell, config);
        Ok(Self { watcher: watcher.map_err(|error| WatchError::of_start(error, root.to_owned()))? })
    }

    /// Watches the entries of a folder, not what is below them. `false` when it is gone or may
    /// not be read.
    pub fn watch(&mut self, folder: &Path) -> Result<bool, WatchError> {
        match self.watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(WatchError::of_folder(error, folder.to_owned())),
        }
    }
}

fn is_absent(error: &notify::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(cause) => matches!(cause.kind(), NotFound | NotADirectory | PermissionDenied),
        _ => false,
    }
}

/// Reading a file is an event as well, and no change.
fn read(event: Event, at: Instant) -> Option<Raw> {
    if event.need_rescan() {
        return Some(Raw::Overflow { at });
    }
    let gone = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
        EventKind::Access(_) | EventKind::Other => return None,
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => true,
        _ => false,
    };
    Some(Raw::Touched { paths: event.paths, gone, at })
}
