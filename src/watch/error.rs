//! Why a tree cannot be watched.

use std::io;
use std::path::PathBuf;

/// Causes are only in `source`; settings of the system are named by their names.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error("cannot open the folder {}", path.display())]
    OpenTree { path: PathBuf, source: io::Error },
    #[error("cannot read {}", path.display())]
    ReadRules { path: PathBuf, source: io::Error },
    #[error(
        "cannot watch the folder {}: the system lets a user watch {} folders in all; raise fs.inotify.max_user_watches, \
         for example `sudo sysctl fs.inotify.max_user_watches=524288`, or exclude folders that need no watching",
        path.display(), limit.as_deref().unwrap_or("only so many")
    )]
    TooManyFolders { path: PathBuf, limit: Option<String> },
    #[error(
        "cannot watch anything: too many programs of this user watch files; raise fs.inotify.max_user_instances, \
         for example `sudo sysctl fs.inotify.max_user_instances=512`"
    )]
    TooManyWatches(#[source] notify::Error),
    #[error("cannot watch {}", path.display())]
    Observe { path: PathBuf, source: notify::Error },
    #[error("cannot start watching")]
    Start(#[source] io::Error),
}

impl WatchError {
    /// Of a watcher that cannot be made.
    pub(super) fn of_start(error: notify::Error, path: PathBuf) -> Self {
        /// "Too many open files": the way in which inotify says that its own limit is reached.
        const EMFILE: i32 = 24;
        match &error.kind {
            notify::ErrorKind::Io(cause) if cause.raw_os_error() == Some(EMFILE) => Self::TooManyWatches(error),
            _ => Self::Observe { path, source: error },
        }
    }

    /// Of a folder that cannot be watched.
    pub(super) fn of_folder(error: notify::Error, path: PathBuf) -> Self {
        match error.kind {
            notify::ErrorKind::MaxFilesWatch => Self::TooManyFolders { path, limit: limit() },
            _ => Self::Observe { path, source: error },
        }
    }
}

fn limit() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches").ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_named_by_their_settings() {
        let error = WatchError::of_folder(notify::Error::new(notify::ErrorKind::MaxFilesWatch), "/a/b".into());
        let text = error.to_string();
        assert!(text.contains("/a/b") && text.contains("fs.inotify.max_user_watches"), "{text}");
        let none_left = notify::Error::io(io::Error::from_raw_os_error(24));
        let text = WatchError::of_start(none_left, "/a".into()).to_string();
        assert!(text.contains("fs.inotify.max_user_instances"), "{text}");
    }
}
