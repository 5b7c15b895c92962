//! Writes what an archive holds, and never anything beside the destination.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tar::{Archive, Entry, EntryType};

/// What was written.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    pub files: u64,
    pub bytes: u64,
    /// Entries that were not, and why.
    pub refused: Vec<String>,
}

/// The content of a folder into `to`, which is made when it is missing.
pub fn folder(archive: impl Read, to: &Path) -> io::Result<Unpacked> {
    if !to.is_dir() {
        fs::create_dir(to).map_err(|error| named(&error, to))?;
    }
    let to = to.canonicalize()?;
    let mut unpacked = Unpacked::default();
    let mut folders = Vec::new();
    let mut archive = archive_of(archive);
    for entry in archive.entries()? {
        let mut entry = entry?;
        match entry.header().entry_type() {
            // Last, because one that must not be written to could not be filled.
            EntryType::Directory => folders.push(entry),
            EntryType::Regular | EntryType::Continuous | EntryType::Symlink | EntryType::Link => {
                unpacked.add(&mut entry, &to)?;
            }
            kind => unpacked.refuse(&entry, &format!("an entry of kind {kind:?} is not copied")),
        }
    }
    for mut entry in folders.into_iter().rev() {
        unpacked.inside(&mut entry, &to)?;
        keep_time(&to, &entry);
    }
    Ok(unpacked)
}

/// One file to `to`: whole or not at all.
pub fn file(archive: impl Read, to: &Path) -> io::Result<Unpacked> {
    if to.is_dir() {
        return Err(named(&io::ErrorKind::IsADirectory.into(), to));
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new =
        tempfile::Builder::new().prefix(".copy-").tempfile_in(folder).map_err(|error| named(&error, folder))?;
    let mut archive = archive_of(archive);
    let mut entry = only(archive.entries()?)?;
    let bytes = whole(&mut entry, new.as_file_mut())?;
    new.as_file().set_permissions(Permissions::from_mode(entry.header().mode()? & 0o777))?;
    new.as_file().set_modified(time_of(&entry)?)?;
    new.persist(to).map_err(|error| named(&error.error, to))?;
    Ok(Unpacked { files: 1, bytes, refused: Vec::new() })
}

/// One file's content to `out`.
pub fn content(archive: impl Read, out: &mut impl Write) -> io::Result<Unpacked> {
    let mut archive = archive_of(archive);
    let mut entry = only(archive.entries()?)?;
    let bytes = whole(&mut entry, out)?;
    out.flush()?;
    Ok(Unpacked { files: 1, bytes, refused: Vec::new() })
}

/// All of an entry: an archive that broke off only looks like a shorter file.
fn whole<R: Read>(entry: &mut Entry<'_, R>, out: &mut impl Write) -> io::Result<u64> {
    let bytes = io::copy(entry, out)?;
    if bytes < entry.size() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}

fn archive_of<R: Read>(read: R) -> Archive<R> {
    let mut archive = Archive::new(read);
    archive.set_preserve_mtime(true);
    archive.set_preserve_permissions(false);
    archive
}

fn only<'a, R: Read>(mut entries: tar::Entries<'a, R>) -> io::Result<Entry<'a, R>> {
    entries.next().unwrap_or_else(|| Err(io::Error::other("the archive is empty")))
}

fn time_of<R: Read>(entry: &Entry<'_, R>) -> io::Result<SystemTime> {
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(entry.header().mtime()?))
}

/// A folder's time changed when it was filled. Nothing depends on it.
fn keep_time<R: Read>(to: &Path, entry: &Entry<'_, R>) {
    let set = || File::open(to.join(entry.path()?))?.set_modified(time_of(entry)?);
    if let Err(error) = set() {
        tracing::debug!(%error, "a folder's time could not be set");
    }
}

fn named(error: &io::Error, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

impl Unpacked {
    fn add<R: Read>(&mut self, entry: &mut Entry<'_, R>, to: &Path) -> io::Result<()> {
        let bytes = entry.size();
        if self.inside(entry, to)? {
            self.files += 1;
            self.bytes += bytes;
        }
        Ok(())
    }

    /// Unpacks an entry unless it leads out of the folder, be it over a link.
    fn inside<R: Read>(&mut self, entry: &mut Entry<'_, R>, to: &Path) -> io::Result<bool> {
        match entry.unpack_in(to) {
            Ok(true) => Ok(true),
            Ok(false) => {
                self.refuse(entry, "it leads out of the folder");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn refuse<R: Read>(&mut self, entry: &Entry<'_, R>, why: &str) {
        self.refused.push(format!("{} was not copied: {why}", String::from_utf8_lossy(&entry.path_bytes())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of entries as somebody with bad intentions would make it.
    fn archive(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, kind, text) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o640);
            header.set_mtime(1_000_000_000);
            let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
            let content = if is_link { "" } else { text };
            if is_link {
                header.set_link_name(text).unwrap();
            }
            header.set_size(content.len() as u64);
            // `set_path` would refuse what is to be refused when it is read.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            builder.append(&header, content.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn modes_times_and_links_are_kept() {
        let parent = tempfile::tempdir().unwrap();
        let to = parent.path().join("new");
        let entries = [
            ("./sub/a", EntryType::Regular, "text"),
            ("./link", EntryType::Symlink, "sub/a"),
            ("./p", EntryType::Fifo, ""),
        ];
        let unpacked = folder(&archive(&entries)[..], &to).unwrap();
        assert_eq!((unpacked.files, unpacked.bytes, unpacked.refused.len()), (2, 4, 1));
        let metadata = fs::metadata(to.join("link")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
        assert_eq!(metadata.modified().unwrap(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
    }

    #[test]
    fn nothing_is_written_beside_the_folder() {
        let parent = tempfile::tempdir().unwrap();
        let (to, outside) = (parent.path().join("to"), parent.path().join("outside"));
        fs::create_dir(&outside).unwrap();
        let away = outside.to_str().unwrap();
        for entries in [
            vec![("../outside/x", EntryType::Regular, "x")],
            vec![("way", EntryType::Symlink, away), ("way/x", EntryType::Regular, "x")],
            vec![("way", EntryType::Symlink, "../outside"), ("way/sub/x", EntryType::Regular, "x")],
        ] {
            let _ = folder(&archive(&entries)[..], &to);
            assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{entries:?}");
        }
        let absolute = outside.join("x");
        folder(&archive(&[(absolute.to_str().unwrap(), EntryType::Regular, "x")])[..], &to).unwrap();
        assert!(!absolute.exists());
    }

    #[test]
    fn a_file_that_breaks_off_changes_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let to = parent.path().join("file");
        fs::write(&to, "old").unwrap();
        let whole = archive(&[("f", EntryType::Regular, &"new".repeat(1000))]);
        assert!(file(&whole[..2000], &to).is_err());
        assert_eq!(fs::read_to_string(&to).unwrap(), "old");
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1, "nothing is left beside it");
        file(&whole[..], &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap().len(), 3000);
    }
}
