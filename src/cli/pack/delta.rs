//! Packs what changed in a tree: the same entries that a push would send, behind a list of what
//! is gone.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::api::types::DELETED;

use super::{PackError, PackReport, Packer, is_ours, opened};

/// Bytes of an upload of changes, which is kept in memory. Whoever changed more pushes.
const LONGEST: u64 = 64 << 20;
/// How often a file is read that changes while it is read.
const READS: u32 = 3;

/// A packed change.
#[derive(Debug)]
pub struct Delta {
    pub tar: Vec<u8>,
    pub report: PackReport,
}

/// Packs the entries at `changed` below `root`; those that are not there any more, or that a push
/// would skip, join the `deleted` ones; what is this program's own stays behind. `None` when that is too much to be sent this way.
///
/// # Errors
/// A file cannot be read.
pub fn delta(
    root: &Path,
    changed: &BTreeSet<PathBuf>,
    deleted: &BTreeSet<PathBuf>,
) -> Result<Option<Delta>, PackError> {
    let root = opened(root)?;
    let mut packer = Packer { root: &root, tar: tar::Builder::new(Vec::new()), report: PackReport::default() };
    let mut gone: BTreeSet<&Path> = deleted.iter().map(PathBuf::as_path).filter(|path| !is_ours(path)).collect();
    for path in changed.iter().filter(|path| !is_ours(path)) {
        if size(&root.join(path)) + packer.tar.get_ref().len() as u64 > LONGEST {
            return Ok(None);
        }
        if !packer.add_if_there(path)? {
            gone.insert(path);
        }
    }
    let entries = std::mem::take(packer.tar.get_mut());
    let tar = assemble(&gone, &entries).map_err(PackError::Finish)?;
    Ok(Some(Delta { tar, report: std::mem::take(&mut packer.report) }))
}

fn size(path: &Path) -> u64 {
    path.symlink_metadata().map_or(0, |metadata| metadata.len())
}

/// The list has to come first, and is only known when everything else is packed.
fn assemble(gone: &BTreeSet<&Path>, entries: &[u8]) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    if !gone.is_empty() {
        let names: Vec<&[u8]> = gone.iter().map(|path| path.as_os_str().as_bytes()).collect();
        let list = names.join(&0);
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(list.len() as u64);
        tar.append_data(&mut header, DELETED, list.as_slice())?;
    }
    tar.get_mut().extend_from_slice(entries);
    tar.into_inner()
}

impl Packer<'_, Vec<u8>> {
    /// `false` when there is nothing to send at this path.
    fn add_if_there(&mut self, path: &Path) -> Result<bool, PackError> {
        let mut reads = 1;
        loop {
            let (before, skipped) = (self.tar.get_ref().len(), self.report.skipped.len());
            match self.try_add(path) {
                Ok(()) => return Ok(self.report.skipped.len() == skipped),
                Err(PackError::ReadFile { source, .. }) if is_absent(&source) => return Ok(false),
                Err(PackError::ReadFile { .. }) if reads < READS && self.root.join(path).exists() => {
                    // What was written of it is no entry.
                    self.tar.get_mut().truncate(before);
                    reads += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn try_add(&mut self, path: &Path) -> Result<(), PackError> {
        let unreadable = |source| PackError::ReadFile { path: path.to_owned(), source };
        let metadata = self.root.join(path).symlink_metadata().map_err(unreadable)?;
        self.add(path, &metadata)
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn paths(names: &[&str]) -> BTreeSet<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    /// `name mode content` of every entry, in order.
    fn entries(tar: &[u8]) -> Vec<String> {
        let mut archive = tar::Archive::new(tar);
        let entry = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            let name = entry.path().unwrap().display().to_string();
            format!("{name} {:o} {}", entry.header().mode().unwrap(), content.replace('\0', "|"))
        };
        archive.entries().unwrap().map(entry).collect()
    }

    #[test]
    fn changes_follow_the_list_of_what_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::set_permissions(dir.path().join("sub"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(dir.path().join("sub/run"), "#!").unwrap();
        fs::set_permissions(dir.path().join("sub/run"), fs::Permissions::from_mode(0o750)).unwrap();
        let changed = paths(&["sub", "sub/run", "vanished", "sub/run/nonsense"]);
        let delta = delta(dir.path(), &changed, &paths(&["old", "old/x"])).unwrap().unwrap();
        let expected = [".dotcloud/deleted 644 old|old/x|sub/run/nonsense|vanished", "sub 755 ", "sub/run 750 #!"];
        assert_eq!(entries(&delta.tar), expected);
        assert_eq!(delta.report.files, 1);
    }

    #[test]
    fn list_is_left_out_when_nothing_is_gone_and_cannot_be_forged() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(".dotcloud")).unwrap();
        fs::write(dir.path().join(DELETED), "everything").unwrap();
        fs::write(dir.path().join("a"), "a").unwrap();
        let ours = paths(&[".dotcloud", ".dotcloud/config"]);
        let delta = delta(dir.path(), &paths(&[DELETED, ".dotcloud", "a"]), &ours).unwrap().unwrap();
        assert_eq!(entries(&delta.tar).len(), 1);
    }

    #[test]
    fn what_a_push_would_skip_is_gone_and_told() {
        let dir = tempfile::tempdir().unwrap();
        symlink("/etc/passwd", dir.path().join("out")).unwrap();
        let delta = delta(dir.path(), &paths(&["out"]), &paths(&[])).unwrap().unwrap();
        assert_eq!(entries(&delta.tar), [".dotcloud/deleted 644 out"]);
        assert_eq!(delta.report.skipped[0].path, Path::new("out"));
    }

    #[test]
    fn what_is_too_large_is_left_to_a_push() {
        let dir = tempfile::tempdir().unwrap();
        fs::File::create(dir.path().join("film")).unwrap().set_len(LONGEST + 1).unwrap();
        assert!(delta(dir.path(), &paths(&["film"]), &paths(&[])).unwrap().is_none());
    }
}
