//! Changed files in memory: one change, and what many changes since a build add up to.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Component, Path};

use bytes::Bytes;
use tar::{Archive, Builder, EntryType, Header};

/// The entry of an upload that lists deleted paths, separated by NUL.
const DELETED: &str = ".dotcloud/deleted";
/// The user that everything in an instance belongs to.
const OWNER: u64 = 1000;

/// Why an upload is no change.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    #[error("the change is no tar archive")]
    Read(#[source] io::Error),
    #[error("the change holds {0:?}, which is no path within a tree")]
    Path(String),
    #[error("the change holds a name that is not UTF-8: {0:?}")]
    Name(String),
    #[error("the change holds {0:?}, which is neither a file nor a folder nor a link within the tree")]
    Kind(String),
}

/// Files by their path, relative to the tree's root, and what is gone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
    deleted: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    mode: u32,
    /// Seconds since 1970.
    mtime: u64,
    content: Content,
}

#[derive(Debug, Clone, PartialEq)]
enum Content {
    Folder,
    File(Bytes),
    Link(String),
}

// === impl Tree ===

impl Tree {
    /// Reads an upload.
    ///
    /// # Errors
    /// Anything that could leave the tree or is no plain part of one.
    pub fn read(tar: &[u8]) -> Result<Self, TreeError> {
        let mut tree = Self::default();
        let mut archive = Archive::new(tar);
        for entry in archive.entries().map_err(TreeError::Read)? {
            tree.take(&mut entry.map_err(TreeError::Read)?)?;
        }
        Ok(tree)
    }

    fn take(&mut self, entry: &mut tar::Entry<'_, &[u8]>) -> Result<(), TreeError> {
        let raw = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if raw == DELETED {
            let mut list = Vec::new();
            entry.read_to_end(&mut list).map_err(TreeError::Read)?;
            for path in list.split(|byte| *byte == 0).filter(|path| !path.is_empty()) {
                self.deleted.insert(within(&String::from_utf8_lossy(path))?);
            }
            return Ok(());
        }
        if raw.trim_end_matches('/') == "." {
            return Ok(());
        }
        let path = within(&raw)?;
        let content = content(entry, &path)?;
        let header = entry.header();
        let mode = header.mode().map_err(TreeError::Read)? & 0o777;
        let mtime = header.mtime().map_err(TreeError::Read)?;
        self.entries.insert(path, Entry { mode, mtime, content });
        Ok(())
    }

    /// Everything that was changed or deleted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().chain(&self.deleted).map(String::as_str)
    }

    /// How many files were changed or deleted.
    pub fn files(&self) -> usize {
        self.entries.values().filter(|entry| entry.content != Content::Folder).count() + self.deleted.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.deleted.is_empty()
    }

    /// What is gone, for the instances.
    pub fn deleted(&self) -> &BTreeSet<String> {
        &self.deleted
    }

    /// Gives all files this time: of whole seconds that grow with every change, so that what
    /// caches by time (Python, browsers) sees every one of them.
    pub fn set_time(&mut self, seconds: u64) {
        self.entries.values_mut().for_each(|entry| entry.mtime = seconds);
    }

    /// Adds a later change.
    pub fn merge(&mut self, later: &Self) {
        for path in &later.deleted {
            self.forget(path);
            self.deleted.insert(path.clone());
        }
        for (path, entry) in &later.entries {
            self.make_room(path, entry);
            self.entries.insert(path.clone(), entry.clone());
        }
    }

    /// Drops a path and everything below it.
    fn forget(&mut self, path: &str) {
        self.entries.remove(path);
        let below = format!("{path}/");
        self.entries.retain(|other, _| !other.starts_with(&below));
    }

    /// A file may come where a folder was, and a folder where a file was.
    fn make_room(&mut self, path: &str, entry: &Entry) {
        if entry.content != Content::Folder {
            self.forget(path);
            // Deletions come first when an overlay is unpacked.
            self.deleted.insert(path.to_owned());
        }
        let parents = path.match_indices('/').map(|(at, _)| &path[..at]);
        for parent in parents {
            if self.entries.get(parent).is_some_and(|entry| entry.content != Content::Folder) {
                self.entries.remove(parent);
                self.deleted.insert(parent.to_owned());
            }
        }
    }

    /// The files as a tar archive.
    ///
    /// # Errors
    /// A path is longer than the format permits.
    pub fn tar(&self) -> io::Result<Vec<u8>> {
        let mut archive = Builder::new(Vec::new());
        for (path, entry) in &self.entries {
            let mut header = header(entry.mode, entry.mtime);
            match &entry.content {
                Content::Folder => {
                    header.set_entry_type(EntryType::Directory);
                    archive.append_data(&mut header, path, io::empty())?;
                }
                Content::File(bytes) => {
                    header.set_size(bytes.len() as u64);
                    archive.append_data(&mut header, path, &bytes[..])?;
                }
                Content::Link(target) => {
                    header.set_entry_type(EntryType::Symlink);
                    archive.append_link(&mut header, path, target)?;
                }
            }
        }
        archive.into_inner()
    }

    /// What is put into the home of an instance before it boots (`templates/_common/boot`): the
    /// number of the last change, the files, and what is to be removed before they come.
    ///
    /// # Errors
    /// As [`Tree::tar`].
    pub fn overlay(&self, change: u64) -> io::Result<Vec<u8>> {
        let mut archive = Builder::new(Vec::new());
        let mut folder = header(0o755, change);
        folder.set_entry_type(EntryType::Directory);
        archive.append_data(&mut folder, ".dotcloud/live", io::empty())?;
        let deleted: String = self.deleted.iter().map(|path| format!("{path}\0")).collect();
        let parts =
            [("change", change.to_string().into_bytes()), ("deleted", deleted.into_bytes()), ("tree.tar", self.tar()?)];
        for (name, bytes) in parts {
            let mut header = header(0o644, change);
            header.set_size(bytes.len() as u64);
            archive.append_data(&mut header, format!(".dotcloud/live/{name}"), &bytes[..])?;
        }
        archive.into_inner()
    }
}

impl Tree {
    /// Reads what [`Tree::overlay`] has written.
    ///
    /// # Errors
    /// As [`Tree::read`].
    pub fn read_overlay(bytes: &[u8]) -> Result<Self, TreeError> {
        let (mut tree, mut deleted) = (Self::default(), String::new());
        for entry in Archive::new(bytes).entries().map_err(TreeError::Read)? {
            let mut entry = entry.map_err(TreeError::Read)?;
            let path = entry.path_bytes().into_owned();
            if path.ends_with(b"/tree.tar") {
                let mut inner = Vec::new();
                entry.read_to_end(&mut inner).map_err(TreeError::Read)?;
                tree = Self::read(&inner)?;
            } else if path.ends_with(b"/deleted") {
                entry.read_to_string(&mut deleted).map_err(TreeError::Read)?;
            }
        }
        tree.deleted = deleted.split_terminator('\0').map(within).collect::<Result<_, _>>()?;
        Ok(tree)
    }
}

fn header(mode: u32, mtime: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(mode);
    header.set_mtime(mtime);
    header.set_uid(OWNER);
    header.set_gid(OWNER);
    header.set_size(0);
    header
}

/// A path in its plain form; no other leads anywhere but into the tree.
fn within(path: &str) -> Result<String, TreeError> {
    let wrong = || TreeError::Path(path.to_owned());
    let mut parts = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(name) => parts.push(name.to_str().ok_or_else(wrong)?),
            _ => return Err(wrong()),
        }
    }
    let ours = parts.first().is_some_and(|first| *first == ".dotcloud");
    if path.contains('\u{fffd}') {
        return Err(TreeError::Name(path.to_owned()));
    }
    if parts.is_empty() || ours || path.contains('\0') {
        return Err(wrong());
    }
    Ok(parts.join("/"))
}

fn content(entry: &mut tar::Entry<'_, &[u8]>, path: &str) -> Result<Content, TreeError> {
    let wrong = || TreeError::Kind(path.to_owned());
    match entry.header().entry_type() {
        EntryType::Directory => Ok(Content::Folder),
        EntryType::Regular => {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(TreeError::Read)?;
            Ok(Content::File(bytes.into()))
        }
        EntryType::Symlink => {
            let target = entry.link_name().map_err(TreeError::Read)?.ok_or_else(wrong)?;
            let target = target.to_str().ok_or_else(wrong)?;
            if stays_inside(path, target) { Ok(Content::Link(target.to_owned())) } else { Err(wrong()) }
        }
        _ => Err(wrong()),
    }
}

/// Relative, and never above the tree on its way.
fn stays_inside(link: &str, target: &str) -> bool {
    let mut depth = link.matches('/').count();
    for part in Path::new(target).components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            _ => return false,
        }
    }
    !target.is_empty()
}

#[cfg(test)]
mod tests;
