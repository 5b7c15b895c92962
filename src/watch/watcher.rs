//! The thread that watches: gathers events, looks at the paths they name, tells what changed.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::batch::{Batch, Ended};
use super::lock::Lock;
use super::observer::{Observer, Raw};
use super::scratch::is_scratch;
use super::snapshot::{Look, Snapshot};
use super::{Change, Rules, Seen, Tree, WatchError};

/// Between two looks for a tree that is gone: no event tells that a folder above it came back.
const LOOKS: Duration = Duration::from_millis(200);

pub struct Watcher {
    tree: Tree,
    rules: Rules,
    snapshot: Snapshot,
    observer: Observer,
    lock: Lock,
    /// Given to every new observer.
    raw: Sender<Raw>,
    events: Receiver<Raw>,
    told: UnboundedSender<Seen>,
}

impl Watcher {
    /// Reads the tree as it is now.
    pub fn new(
        mut tree: Tree,
        (raw, events): (Sender<Raw>, Receiver<Raw>),
        told: UnboundedSender<Seen>,
    ) -> Result<Self, WatchError> {
        let opened = tree.root.canonicalize().and_then(|real| real.read_dir().map(|_| real));
        tree.root = opened.map_err(|source| WatchError::OpenTree { path: tree.root.clone(), source })?;
        let (rules, lock) = (rules(&tree)?, Lock::of(&tree.root));
        let observer = Observer::new(&tree.root, raw.clone())?;
        let mut watcher = Self { tree, rules, snapshot: Snapshot::default(), observer, lock, raw, events, told };
        watcher.compare(&BTreeSet::from([watcher.tree.root.clone()]), true)?;
        Ok(watcher)
    }

    /// Tells what changes until it is told to stop.
    pub fn run(mut self) {
        loop {
            let ended = match self.next_batch() {
                Ok(batch) => self.take_in(batch).err(),
                Err(ended) => Some(ended),
            };
            match ended {
                None => {}
                Some(Ended::Stop) => return,
                Some(Ended::Failed(error)) => return self.tell(Seen::Failed(error)),
            }
        }
    }

    fn next_batch(&self) -> Result<Batch, Ended> {
        Batch::gather(&self.events, &self.lock, |path| self.is_interesting(path))
    }

    fn take_in(&mut self, batch: Batch) -> Result<(), Ended> {
        if batch.gone.contains(&self.tree.root) || !self.tree.root.is_dir() {
            return self.find_again(batch.first);
        }
        let first = batch.first;
        if self.read_rules_of(&batch) {
            return self.look(first, &BTreeSet::from([self.tree.root.clone()]), false);
        }
        self.look(first, &batch.paths, true)
    }

    /// Whether the rules may have changed.
    fn read_rules_of(&mut self, batch: &Batch) -> bool {
        let touched = batch.overflow || batch.paths.contains(&self.tree.root.join(self.tree.rules_file));
        if touched {
            self.read_rules();
        }
        touched
    }

    /// Rules that cannot be read now stay what they were: the next push will say so.
    fn read_rules(&mut self) {
        if let Ok(rules) = rules(&self.tree) {
            self.rules = rules;
        }
    }

    fn look(&mut self, first: Instant, paths: &BTreeSet<PathBuf>, thorough: bool) -> Result<(), Ended> {
        let mut change = self.compare(paths, thorough)?;
        change.first = first;
        if !change.is_empty() {
            self.tell(Seen::Changed(change));
        }
        Ok(())
    }

    /// Compares absolute paths and all below them with what is known.
    fn compare(&mut self, paths: &BTreeSet<PathBuf>, thorough: bool) -> Result<Change, WatchError> {
        let Self { tree, rules, snapshot, observer, .. } = self;
        let mut look = Look { root: &tree.root, rules, observer, thorough };
        let mut change = Change { first: Instant::now(), changed: BTreeSet::new(), deleted: BTreeSet::new() };
        let relative = paths.iter().filter_map(|path| path.strip_prefix(&tree.root).ok());
        let mut seen: Option<&Path> = None;
        for path in relative {
            // What lies below a path that was looked at has been looked at.
            if seen.is_some_and(|above| path.starts_with(above)) {
                continue;
            }
            let difference = snapshot.compare(path, &mut look)?;
            change.changed.extend(difference.changed);
            change.deleted.extend(difference.deleted);
            seen = Some(path);
        }
        Ok(change)
    }

    /// The tree was replaced or is away: waits for it, until it rests, and compares it as a whole.
    fn find_again(&mut self, first: Instant) -> Result<(), Ended> {
        let mut away = false;
        while !self.tree.root.is_dir() {
            if !std::mem::replace(&mut away, true) {
                self.tell(Seen::Gone);
            }
            match self.events.recv_timeout(LOOKS) {
                Ok(Raw::Stop) | Err(RecvTimeoutError::Disconnected) => return Err(Ended::Stop),
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            }
        }
        if away {
            self.tell(Seen::Back);
        }
        let first = if away { Instant::now() } else { first };
        self.observer = Observer::new(&self.tree.root, self.raw.clone())?;
        self.read_rules();
        // Watches all of it; what is remembered stays what it was before.
        let mut rest = Snapshot::default();
        let Self { tree, rules, observer, .. } = self;
        rest.compare(Path::new(""), &mut Look { root: &tree.root, rules, observer, thorough: true })?;
        let batch = Batch::new(first).rest(&self.events, &self.lock, |path| self.is_interesting(path))?;
        match self.tree.root.is_dir() {
            true => self.look(batch.first, &BTreeSet::from([self.tree.root.clone()]), true),
            false => self.find_again(first),
        }
    }

    /// Whether an event at this path can be about a change. The folder itself counts, for it may
    /// have gone.
    fn is_interesting(&self, path: &Path) -> bool {
        let Ok(relative) = path.strip_prefix(&self.tree.root) else { return false };
        if relative.as_os_str().is_empty() {
            return true;
        }
        let folder = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        !relative.file_name().is_some_and(is_scratch) && !(self.rules)(relative, folder)
    }

    fn tell(&self, seen: Seen) {
        // Whoever does not listen any more drops the watch, and that stops it.
        let _ = self.told.send(seen);
    }
}

fn rules(tree: &Tree) -> Result<Rules, WatchError> {
    let path = tree.root.join(tree.rules_file);
    match std::fs::read(&path) {
        Ok(bytes) => Ok((tree.rules)(&bytes)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound) => Ok((tree.rules)(&[])),
        Err(source) => Err(WatchError::ReadRules { path, source }),
    }
}
