//! What is remembered of a tree, and how it differs from what is there now.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::ops::Bound;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::observer::Observer;
use super::scratch::is_scratch;
use super::{Rules, WatchError};

/// An entry as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    entry: Entry,
    /// What tells without reading that a file is the same; `None` when that is no proof.
    stat: Option<Stat>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Folder {
        mode: u32,
    },
    File {
        mode: u32,
        hash: [u8; 32],
    },
    Link {
        target: PathBuf,
    },
    /// It is there, and whoever packs it will say what is wrong with it.
    Unreadable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    inode: u64,
    size: u64,
    /// Of the last change of content or attributes, which nobody can set. Nanoseconds.
    changed: (i64, i64),
}

/// What differs from what was known.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    pub changed: BTreeSet<PathBuf>,
    pub deleted: BTreeSet<PathBuf>,
}

/// The entries of a tree that are of interest, by their paths relative to it.
#[derive(Debug, Default)]
pub struct Snapshot {
    known: BTreeMap<PathBuf, Known>,
}

/// One look at a part of the tree.
pub struct Look<'l> {
    pub root: &'l Path,
    pub rules: &'l Rules,
    /// Folders are watched before they are listed, so that nothing falls in between.
    pub observer: &'l mut Observer,
    /// Whether files whose attributes are the known ones are read nevertheless.
    pub thorough: bool,
}

// === impl Snapshot ===

impl Snapshot {
    /// Looks at a path and all below it, and remembers what is there now.
    pub fn compare(&mut self, path: &Path, look: &mut Look<'_>) -> Result<Difference, WatchError> {
        let before: BTreeMap<PathBuf, Known> = self.below(path);
        let mut now = BTreeMap::new();
        if !look.excludes(path) {
            look.walk(path, &before, &mut now)?;
        }
        let difference = difference(&before, &now);
        before.keys().filter(|path| !now.contains_key(*path)).for_each(|path| drop(self.known.remove(path)));
        self.known.extend(now);
        Ok(difference)
    }

    fn below(&self, path: &Path) -> BTreeMap<PathBuf, Known> {
        let range = self
            .known
            .range::<Path, _>((Bound::Included(path), Bound::Unbounded))
            .take_while(|(known, _)| known.starts_with(path));
        range.map(|(path, known)| (path.clone(), known.clone())).collect()
    }
}

fn difference(before: &BTreeMap<PathBuf, Known>, now: &BTreeMap<PathBuf, Known>) -> Difference {
    let mut difference = Difference::default();
    for (path, known) in now {
        match before.get(path) {
            Some(old) if old.entry == known.entry => continue,
            Some(old) if !old.entry.is_kind_of(&known.entry) => drop(difference.deleted.insert(path.clone())),
            _ => {}
        }
        difference.changed.insert(path.clone());
    }
    difference.deleted.extend(before.keys().filter(|path| !now.contains_key(*path)).cloned());
    // The tree itself is no entry of it.
    difference.changed.remove(Path::new(""));
    difference.deleted.remove(Path::new(""));
    difference
}

impl Entry {
    fn is_kind_of(&self, other: &Self) -> bool {
        matches!(self, Self::Unreadable)
            || matches!(other, Self::Unreadable)
            || std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

// === impl Look ===

impl Look<'_> {
    /// Whether the path, or a folder on the way to it, is of no interest.
    fn excludes(&self, path: &Path) -> bool {
        let is_folder = |path: &Path| self.root.join(path).symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        let named = path.ancestors().filter(|part| !part.as_os_str().is_empty());
        named.into_iter().any(|part| self.passes_over(part, part != path || is_folder(part)))
    }

    fn passes_over(&self, path: &Path, folder: bool) -> bool {
        path.file_name().is_some_and(is_scratch) || (self.rules)(path, folder)
    }

    fn walk(
        &mut self,
        path: &Path,
        before: &BTreeMap<PathBuf, Known>,
        now: &mut BTreeMap<PathBuf, Known>,
    ) -> Result<(), WatchError> {
        let full = self.root.join(path);
        // What cannot be looked at is not there; its own folder says why.
        let Ok(metadata) = full.symlink_metadata() else { return Ok(()) };
        if !metadata.is_dir() {
            now.extend(self.entry(&full, &metadata, before.get(path)).map(|known| (path.to_owned(), known)));
            return Ok(());
        }
        let names = if self.observer.watch(&full)? { names(&full) } else { Err(io::ErrorKind::NotFound.into()) };
        let entry = match &names {
            Ok(_) => Entry::Folder { mode: metadata.mode() & 0o7777 },
            Err(_) if full.symlink_metadata().is_err() => return Ok(()),
            Err(_) => Entry::Unreadable,
        };
        now.insert(path.to_owned(), Known { entry, stat: None });
        for (name, folder) in names.unwrap_or_default() {
            let path = path.join(name);
            if !self.passes_over(&path, folder) {
                self.walk(&path, before, now)?;
            }
        }
        Ok(())
    }

    /// `None` for what is never sent: sockets, pipes and devices, and what vanished.
    fn entry(&self, full: &Path, metadata: &Metadata, before: Option<&Known>) -> Option<Known> {
        if metadata.is_symlink() {
            let target = full.read_link().ok()?;
            return Some(Known { entry: Entry::Link { target }, stat: None });
        }
        if !metadata.is_file() {
            return None;
        }
        let stat = Stat::of(metadata);
        if let Some(known) = before.filter(|known| !self.thorough && known.stat == Some(stat)) {
            return Some(known.clone());
        }
        // Files that changed within the clock's tick of being read may have changed after it.
        let settled = stat.is_older_than(Timestamp::now());
        let mode = metadata.mode() & 0o7777;
        let entry = match hash(full) {
            Ok(hash) => Entry::File { mode, hash },
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(_) => Entry::Unreadable,
        };
        Some(Known { entry, stat: settled.then_some(stat) })
    }
}

/// The names in a folder, and which of them are folders.
fn names(folder: &Path) -> io::Result<Vec<(std::ffi::OsString, bool)>> {
    let entries = folder.read_dir()?;
    entries.map(|entry| entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?.is_dir())))).collect()
}

fn hash(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().into()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

// === impl Stat ===

impl Stat {
    fn of(metadata: &Metadata) -> Self {
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Self { inode: metadata.ino(), size: metadata.size(), changed }
    }

    /// By more than any clock that file systems write times with ticks.
    fn is_older_than(&self, now: Timestamp) -> bool {
        let (seconds, nanoseconds) = self.changed;
        let changed = i32::try_from(nanoseconds).ok().and_then(|rest| Timestamp::new(seconds, rest).ok());
        changed.is_some_and(|changed| now.duration_since(changed) > SignedDuration::from_secs(2))
    }
}
