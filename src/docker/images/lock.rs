//! One maker per image and machine: a second daemon waits instead of doing the same work.

use std::fs::{File, OpenOptions};
use std::path::Path;

/// Held until dropped. `None` when the lock cannot be had (somebody else's file): then work
/// may be done twice, which is harmless, since images are named by their contents.
pub(super) async fn machine_wide(what: &str) -> Option<File> {
    let name: String = what.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let path = std::env::temp_dir().join(format!("{name}.lock"));
    let taken = tokio::task::spawn_blocking(move || {
        let file = open(&path)?;
        file.lock().map(|()| file)
    });
    taken.await.ok()?.ok()
}

/// An existing file is opened for reading only: in a shared folder it may be another user's.
fn open(path: &Path) -> std::io::Result<File> {
    File::open(path).or_else(|_| OpenOptions::new().create(true).append(true).open(path))
}
