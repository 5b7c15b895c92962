//! Whether git or Mercurial is in the midst of writing the tree.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// An older lock is left over, or held by `git commit` while somebody writes the message.
const FRESH: Duration = Duration::from_secs(10);

/// The lock that a checkout of the tree holds from its first file to its last; the tree may be a
/// part of the repository.
#[derive(Debug, Clone)]
pub struct Lock(Option<PathBuf>);

impl Lock {
    pub fn of(root: &Path) -> Self {
        Self(root.ancestors().find_map(|folder| {
            let hg = folder.join(".hg");
            git_folder(folder).map(|git| git.join("index.lock")).or_else(|| hg.is_dir().then(|| hg.join("wlock")))
        }))
    }

    pub fn is_held(&self) -> bool {
        let Some(path) = &self.0 else { return false };
        let written = path.symlink_metadata().and_then(|metadata| metadata.modified());
        // A time in the future is no age at all.
        written.is_ok_and(|time| time.elapsed().unwrap_or_default() < FRESH)
    }
}

/// A linked work tree has a file in the folder's place, which names it.
fn git_folder(folder: &Path) -> Option<PathBuf> {
    let git = folder.join(".git");
    if git.is_dir() {
        return Some(git);
    }
    let text = std::fs::read_to_string(&git).ok()?;
    Some(folder.join(text.strip_prefix("gitdir: ")?.trim_end()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn fresh_lock_of_the_repository_above_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("sub/tree");
        fs::create_dir_all(&root).unwrap();
        fs::create_dir(dir.path().join(".git")).unwrap();
        let lock = Lock::of(&root);
        assert!(!lock.is_held());
        let path = dir.path().join(".git/index.lock");
        let file = fs::File::create(&path).unwrap();
        assert!(lock.is_held());
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(!lock.is_held());
    }

    #[test]
    fn linked_work_tree_leads_to_its_own_lock() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("repository/worktrees/a")).unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("a/.git"), "gitdir: ../repository/worktrees/a\n").unwrap();
        let lock = Lock::of(&dir.path().join("a"));
        fs::write(dir.path().join("repository/worktrees/a/index.lock"), "").unwrap();
        assert!(lock.is_held());
    }
}
