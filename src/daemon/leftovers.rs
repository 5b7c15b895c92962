//! What a killed daemon left behind on disk, and no one will come back for.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Removes uploads that were never taken over (`apps/<app>/uploads/*.tar`). Call it with the
/// home's lock, before anybody can upload. A file that cannot be removed is no reason not to
/// start: it is logged.
pub fn clear_uploads(home: &Path) {
    for folder in entries(&home.join("apps")) {
        let uploads = entries(&folder.join("uploads"));
        for file in uploads.into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "tar")) {
            match fs::remove_file(&file) {
                Ok(()) => tracing::info!(file = %file.display(), "removed an upload that broke off"),
                Err(error) => tracing::warn!(file = %file.display(), %error, "cannot remove an upload that broke off"),
            }
        }
    }
}

/// None where there is no folder.
fn entries(folder: &Path) -> Vec<PathBuf> {
    match fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect()) {
        Ok(paths) => paths,
        Err(error) => {
            if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
                tracing::warn!(folder = %folder.display(), %error, "cannot look for uploads that broke off");
            }
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_that_broke_off_go_and_revisions_stay() {
        let home = tempfile::tempdir().unwrap();
        clear_uploads(home.path());
        let file = |path: &str| {
            let path = home.path().join("apps").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            path
        };
        let gone = [file("ramen/uploads/1.tar"), file("ramen/uploads/2.tar"), file("soba/uploads/3.tar")];
        let stays = [file("ramen/revisions/rsync-1.tar"), file("ramen/uploads/notes"), file("stray")];
        clear_uploads(home.path());
        assert!(gone.iter().all(|path| !path.exists()));
        assert!(stays.iter().all(|path| path.exists()));
    }
}
