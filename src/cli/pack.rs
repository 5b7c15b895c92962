//! Packs a source tree for the upload: what rsync would have sent, as a stream of tar.
//!
//! Nothing is kept in memory but one entry's header and a buffer. What must stay behind is in
//! `ignore`.

mod delta;
mod ignore;

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use rustix::fs::OFlags;
use walkdir::{DirEntry, WalkDir};

use crate::watch::Rules;

pub use delta::{Delta, delta};
use ignore::Ignore;

/// The patterns of what stays behind, in the tree's root; rsync's syntax.
pub const IGNORE_FILE: &str = ".dotcloudignore";

/// What was packed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct PackReport {
    /// Regular files.
    pub files: u64,
    /// Their content, in bytes.
    pub bytes: u64,
    /// What was left out although no pattern says so.
    pub skipped: Vec<Skipped>,
}

/// One entry that cannot be uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Relative to the tree.
    pub path: PathBuf,
    pub why: &'static str,
}

/// Why a tree could not be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error("cannot open the folder {}", path.display())]
    OpenTree { path: PathBuf, source: io::Error },
    #[error("cannot read {IGNORE_FILE}")]
    ReadIgnoreFile(#[source] io::Error),
    #[error("cannot list {}", path.display())]
    List { path: PathBuf, source: io::Error },
    #[error("cannot read {}: make it readable, or exclude it in {IGNORE_FILE}", path.display())]
    ReadFile { path: PathBuf, source: io::Error },
    #[error("cannot send {}", path.display())]
    Send { path: PathBuf, source: io::Error },
    #[error("cannot finish the upload")]
    Finish(#[source] io::Error),
}

/// Writes the tree below `root` as an uncompressed tar: modes and times as they are, owner 0,
/// names in order, so that equal trees give equal bytes. Symbolic links inside the tree are kept.
///
/// # Errors
/// A file of the tree cannot be read, or `out` takes no more.
pub fn pack(root: &Path, out: impl Write) -> Result<PackReport, PackError> {
    let real = opened(root)?;
    let ignore = Ignore::new(&read_ignore_file(&real)?);
    pack_tree(&real, Some(&ignore), out)
}

/// The same with nothing left out but what cannot be sent.
///
/// # Errors
/// A file of the tree cannot be read, or `out` takes no more.
pub fn pack_whole(root: &Path, out: impl Write) -> Result<PackReport, PackError> {
    let real = root.canonicalize().map_err(|source| PackError::OpenTree { path: root.to_owned(), source })?;
    pack_tree(&real, None, out)
}

/// One file, under the name that the other end expects.
///
/// # Errors
/// It cannot be read, or `out` takes no more.
pub fn pack_file(file: &Path, name: &str, out: impl Write) -> Result<PackReport, PackError> {
    let root = file.parent().unwrap_or(Path::new("/"));
    let mut packer = Packer { root, tar: tar::Builder::new(out), report: PackReport::default() };
    packer.add_file_as(Path::new(file.file_name().unwrap_or_default()), Path::new(name))?;
    packer.finish()
}

fn pack_tree(real: &Path, ignore: Option<&Ignore>, out: impl Write) -> Result<PackReport, PackError> {
    let mut packer = Packer { root: real, tar: tar::Builder::new(out), report: PackReport::default() };
    let entries = WalkDir::new(real).min_depth(1).sort_by_file_name().into_iter();
    let kept = |entry: &DirEntry| {
        let path = entry.path().strip_prefix(real).unwrap_or(entry.path()).as_os_str().as_bytes();
        entry.depth() == 0 || ignore.is_none_or(|ignore| !ignore.excludes(path, entry.file_type().is_dir()))
    };
    for entry in entries.filter_entry(kept) {
        packer.add_entry(&entry.map_err(|error| cannot_list(real, error))?)?;
    }
    packer.finish()
}

/// What no watch looks at by the bytes of an ignore file, given paths relative to the tree, and
/// whether they are folders: what stays behind, what is this program's own, and the folders of
/// Python's caches, whose files stay behind.
pub fn rules(file: &[u8]) -> Rules {
    let ignore = Ignore::new(file);
    Box::new(move |path, folder| {
        let is_cache = folder && path.file_name().is_some_and(|name| name == "__pycache__");
        is_cache || is_ours(path) || ignore.excludes(path.as_os_str().as_bytes(), folder)
    })
}

/// Where `connect` writes, at the tree's root.
fn is_ours(path: &Path) -> bool {
    path.starts_with(".dotcloud")
}

fn opened(root: &Path) -> Result<PathBuf, PackError> {
    let opened = root.canonicalize().and_then(|real| real.read_dir().map(|_| real));
    opened.map_err(|source| PackError::OpenTree { path: root.to_owned(), source })
}

fn read_ignore_file(root: &Path) -> Result<Vec<u8>, PackError> {
    match std::fs::read(root.join(IGNORE_FILE)) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(PackError::ReadIgnoreFile(error)),
    }
}

fn cannot_list(root: &Path, error: walkdir::Error) -> PackError {
    let path = error.path().and_then(|path| path.strip_prefix(root).ok()).unwrap_or(root).to_owned();
    let source = error.into_io_error().unwrap_or_else(|| io::Error::other("a loop of symbolic links"));
    PackError::List { path, source }
}

struct Packer<'r, W: Write> {
    root: &'r Path,
    tar: tar::Builder<W>,
    report: PackReport,
}

impl<W: Write> Packer<'_, W> {
    fn add_entry(&mut self, entry: &DirEntry) -> Result<(), PackError> {
        let path = entry.path().strip_prefix(self.root).unwrap_or(entry.path());
        let metadata = entry.metadata().map_err(|error| cannot_list(self.root, error))?;
        self.add(path, &metadata)
    }

    /// Adds the entry at a path relative to the tree; the metadata are its own, not a link's
    /// target's.
    fn add(&mut self, path: &Path, metadata: &Metadata) -> Result<(), PackError> {
        let kind = metadata.file_type();
        if kind.is_file() {
            return self.add_file(path);
        }
        if kind.is_dir() {
            let mut header = header(metadata, tar::EntryType::Directory, 0);
            return self.sent(path, |tar| tar.append_data(&mut header, path, io::empty()));
        }
        if kind.is_symlink() {
            return self.add_link(path, metadata);
        }
        self.skip(path.to_owned(), unsendable(kind));
        Ok(())
    }

    fn add_file(&mut self, path: &Path) -> Result<(), PackError> {
        self.add_file_as(path, path)
    }

    fn add_file_as(&mut self, path: &Path, name: &Path) -> Result<(), PackError> {
        let unreadable = |source| PackError::ReadFile { path: path.to_owned(), source };
        // Between listing and opening the file may have become a link or a pipe.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(self.root.join(path)).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            self.skip(path.to_owned(), unsendable(metadata.file_type()));
            return Ok(());
        }
        let size = metadata.len();
        let mut header = header(&metadata, tar::EntryType::Regular, size);
        let mut content = Content { file, left: size, failed: None };
        let sent = self.tar.append_data(&mut header, name, &mut content);
        if let Some(source) = content.failed {
            return Err(unreadable(source));
        }
        sent.map_err(|source| PackError::Send { path: path.to_owned(), source })?;
        self.report.files += 1;
        self.report.bytes += size;
        Ok(())
    }

    fn add_link(&mut self, path: &Path, metadata: &Metadata) -> Result<(), PackError> {
        let full = self.root.join(path);
        let target = full.read_link().map_err(|source| PackError::ReadFile { path: path.to_owned(), source })?;
        if !stays_inside(self.root, path, &target) {
            self.skip(path.to_owned(), "is a symbolic link that leads out of the tree");
            return Ok(());
        }
        let mut header = header(metadata, tar::EntryType::Symlink, 0);
        self.sent(path, |tar| tar.append_link(&mut header, path, &target))
    }

    fn sent(
        &mut self,
        path: &Path,
        append: impl FnOnce(&mut tar::Builder<W>) -> io::Result<()>,
    ) -> Result<(), PackError> {
        append(&mut self.tar).map_err(|source| PackError::Send { path: path.to_owned(), source })
    }

    fn finish(self) -> Result<PackReport, PackError> {
        self.tar.into_inner().and_then(|mut out| out.flush()).map_err(PackError::Finish)?;
        Ok(self.report)
    }

    fn skip(&mut self, path: PathBuf, why: &'static str) {
        self.report.skipped.push(Skipped { path, why });
    }
}

fn header(metadata: &Metadata, kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(metadata.mode() & 0o7777);
    header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn unsendable(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_socket() => "is a socket",
        kind if kind.is_fifo() => "is a named pipe",
        kind if kind.is_block_device() || kind.is_char_device() => "is a device",
        _ => "is neither a file nor a folder nor a link",
    }
}

/// rsync's `--safe-links`: relative, and never above the tree on its way. A link that exists must
/// also end inside, whatever other links it passes.
fn stays_inside(root: &Path, link: &Path, target: &Path) -> bool {
    if target.as_os_str().is_empty() {
        return false;
    }
    let mut depth = link.components().count() - 1;
    for component in target.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    root.join(link).canonicalize().map_or(true, |end| end.starts_with(root))
}

/// Exactly as many bytes as the header promises, of a file that may change meanwhile.
struct Content {
    file: File,
    left: u64,
    /// Why reading failed: tells a bad file from a broken upload.
    failed: Option<io::Error>,
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        match self.file.read(&mut buffer[..wanted]) {
            Ok(0) => Err(self.fail(io::Error::other("it became shorter while it was read"))),
            Ok(count) => {
                self.left -= count as u64;
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(self.fail(error)),
        }
    }
}

impl Content {
    fn fail(&mut self, error: io::Error) -> io::Error {
        self.failed = Some(error);
        io::Error::other("the file could not be read")
    }
}

#[cfg(test)]
mod tests;
