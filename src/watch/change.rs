//! What changed in a tree, between two moments at which it rested.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Paths relative to the tree. One that is in both sets was replaced by something of another
/// kind: it has to go before it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When its first file event arrived.
    pub first: Instant,
    /// New, or with another content, mode or target. Folders only when they are new or have
    /// another mode.
    pub changed: BTreeSet<PathBuf>,
    /// A folder comes with all that was in it.
    pub deleted: BTreeSet<PathBuf>,
}

impl Change {
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.deleted.is_empty()
    }

    /// Continues an older change with a newer one. What was deleted between them stays deleted
    /// first: nobody knows any more what it was.
    pub fn merge(&mut self, newer: Self) {
        self.changed.retain(|path| !newer.deleted.contains(path));
        self.changed.extend(newer.changed);
        self.deleted.extend(newer.deleted);
        self.first = self.first.min(newer.first);
    }

    /// Without folders that are only listed because something in them is.
    pub fn telling(&self) -> Vec<&Path> {
        let all: BTreeSet<&Path> = self.changed.union(&self.deleted).map(PathBuf::as_path).collect();
        let followed = |path: &&Path| {
            let next = all.range::<Path, _>((Bound::Excluded(*path), Bound::Unbounded)).next();
            next.is_some_and(|next| next.starts_with(path))
        };
        all.iter().copied().filter(|path| !followed(path)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(changed: &[&str], deleted: &[&str]) -> Change {
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect();
        Change { first: Instant::now(), changed: paths(changed), deleted: paths(deleted) }
    }

    #[test]
    fn newer_change_decides_what_became_of_a_path() {
        let mut all = change(&["a", "b"], &["c"]);
        all.merge(change(&["c", "d"], &["a"]));
        assert_eq!((all.changed, all.deleted), {
            let expected = change(&["b", "c", "d"], &["a", "c"]);
            (expected.changed, expected.deleted)
        });
    }

    #[test]
    fn folders_are_not_told_beside_what_is_in_them() {
        let all = change(&["web", "web/a", "web/css", "web/css/x", "empty", "web-old"], &["old", "old/b"]);
        let told: Vec<String> = all.telling().iter().map(|path| path.display().to_string()).collect();
        assert_eq!(told, ["empty", "old/b", "web/a", "web/css/x", "web-old"]);
    }
}
