//! The home as a folder that nobody else may enter: whoever reaches the socket in it commands
//! the daemon.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use super::Home;

impl Home {
    /// Makes the folder, with what is missing above it, for its owner alone (0700). One that is
    /// there is closed to others when it is empty or holds nothing but a home.
    ///
    /// # Errors
    /// `PermissionDenied` when others may enter a folder that holds something else: it may be in
    /// use by more than us (`/tmp`), so only its owner can say that closing it is right.
    pub fn make_private(&self) -> io::Result<()> {
        make_private(self.dir())
    }
}

fn make_private(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mode = std::fs::metadata(folder)?.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        Ok(())
    } else if holds_only_a_home(folder)? {
        std::fs::set_permissions(folder, Permissions::from_mode(0o700))
    } else {
        Err(open_to_others(folder, mode))
    }
}

/// What a daemon or the CLI writes there, by the beginnings of the names.
const OURS: [&str; 6] = ["daemon.", "store.db", "api-key", "apps", "snapshots", "registry-unreachable"];

fn holds_only_a_home(folder: &Path) -> io::Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        if !OURS.iter().any(|ours| name.to_string_lossy().starts_with(ours)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn open_to_others(folder: &Path, mode: u32) -> io::Error {
    let folder = folder.display();
    let text = format!(
        "others have access to {folder} (mode {mode:o}): set DOTCLOUD_HOME to a folder of its own, \
         or run `chmod 700 {folder}` if nothing else uses it"
    );
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(folder: &Path) -> u32 {
        std::fs::metadata(folder).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_new_folder_is_its_owners_alone() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("a/b");
        make_private(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700);
        make_private(&folder).unwrap();
    }

    #[test]
    fn an_empty_folder_and_an_older_home_are_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        for content in [None, Some("store.db-wal"), Some("apps")] {
            std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
            content.into_iter().for_each(|name| std::fs::write(folder.path().join(name), "").unwrap());
            make_private(folder.path()).unwrap();
            assert_eq!(mode(folder.path()), 0o700, "{content:?}");
        }
    }

    #[test]
    fn a_folder_that_others_use_is_refused_and_left_alone() {
        let shared = tempfile::tempdir().unwrap();
        std::fs::write(shared.path().join("letter.txt"), "").unwrap();
        std::fs::set_permissions(shared.path(), Permissions::from_mode(0o1777)).unwrap();
        let error = make_private(shared.path()).unwrap_err();
        let mend = format!("`chmod 700 {}`", shared.path().display());
        assert!(error.to_string().contains(&mend) && error.to_string().contains("1777"), "{error}");
        assert_eq!(mode(shared.path()), 0o1777);
    }
}
