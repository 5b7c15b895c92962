//! What changes in a folder, in the steps in which people change it.
//!
//! File events are gathered until the tree rests; then the paths they name are compared with what
//! was remembered of them, so that a save is one change however an editor writes it, a checkout
//! of many files is one, and a file that was only touched is none. What a tree's patterns exclude
//! is not even watched. The room knows folders and rules; what becomes of a change, it does not.

mod batch;
mod change;
mod error;
mod lock;
mod observer;
mod scratch;
mod snapshot;
mod watcher;

use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use tokio::sync::mpsc::{self, UnboundedReceiver};

pub use change::Change;
pub use error::WatchError;

use observer::Raw;
use watcher::Watcher;

/// Whether an entry, and all below it when it is a folder, is of no interest. The path is
/// relative to the tree.
pub type Rules = Box<dyn Fn(&Path, bool) -> bool + Send>;

/// The tree that is watched.
#[derive(Debug, Clone)]
pub struct Tree {
    pub root: PathBuf,
    /// The file in the root that holds the rules; read again whenever it changes.
    pub rules_file: &'static str,
    /// The rules of that file's bytes; of none when it is missing.
    pub rules: fn(&[u8]) -> Rules,
}

/// What a watch tells.
#[derive(Debug)]
pub enum Seen {
    Changed(Change),
    /// The tree is not where it was. It is looked for, and compared when it is back.
    Gone,
    Back,
    /// Nothing is watched any more.
    Failed(WatchError),
}

/// A tree that is being watched, until this is dropped.
#[derive(Debug)]
pub struct Watch {
    seen: UnboundedReceiver<Seen>,
    raw: Sender<Raw>,
}

impl Watch {
    /// Remembers the tree as it is now. Blocks while it reads every file once.
    ///
    /// # Errors
    /// The tree is not there, or has more folders than the system lets watch.
    pub fn start(tree: Tree) -> Result<Self, WatchError> {
        let (raw, events) = std::sync::mpsc::channel();
        let (told, seen) = mpsc::unbounded_channel();
        let watcher = Watcher::new(tree, (raw.clone(), events), told)?;
        let thread = std::thread::Builder::new().name("watch".to_owned());
        thread.spawn(move || watcher.run()).map_err(WatchError::Start)?;
        Ok(Self { seen, raw })
    }

    /// The next thing that is seen; `None` after `Failed`. May be dropped while it waits.
    pub async fn next(&mut self) -> Option<Seen> {
        self.seen.recv().await
    }

    /// What was seen already, without waiting.
    pub fn pending(&mut self) -> Option<Seen> {
        self.seen.try_recv().ok()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A thread that has ended takes nothing.
        let _ = self.raw.send(Raw::Stop);
    }
}

#[cfg(test)]
mod tests;
