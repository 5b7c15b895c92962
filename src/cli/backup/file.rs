//! Where a dump goes: a file under its name only when it is complete, or standard output.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;

use crate::cli::CliError;

/// Bytes and checksum of what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    pub bytes: u64,
    /// In hexadecimal.
    pub sha256: String,
}

/// A dump as it arrives. Dropped before [`DumpFile::finish`], it leaves nothing behind.
pub struct DumpFile {
    to: To,
    bytes: u64,
    hash: Sha256,
}

enum To {
    Stdout(tokio::io::Stdout),
    File { written: tokio::fs::File, temporary: NamedTempFile, path: PathBuf, force: bool },
}

/// The file that is meant: a folder is given the default name.
pub fn named(folder: &Path, given: Option<&Path>, service: &str, extension: &str) -> PathBuf {
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let name = format!("{service}-{time}.{extension}");
    match given.map(|given| folder.join(given)) {
        None => folder.join(name),
        Some(path) if path.is_dir() => path.join(name),
        Some(path) => path,
    }
}

/// # Errors
/// The file exists and may not be replaced.
pub fn check_free(path: &Path, force: bool) -> Result<(), CliError> {
    if force || path.is_dir() || path.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(exists(path))
}

fn exists(path: &Path) -> CliError {
    CliError::failed(format!("{} exists.", path.display())).hint("`--force` replaces it, another name keeps it")
}

impl DumpFile {
    pub fn stdout() -> Self {
        Self { to: To::Stdout(tokio::io::stdout()), bytes: 0, hash: Sha256::new() }
    }

    /// Beside `path`, so that it can take that name at once.
    ///
    /// # Errors
    /// There is no such folder, or it cannot be written to.
    pub fn create(path: PathBuf, force: bool) -> Result<Self, CliError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = |error: io::Error| CliError::because(format!("cannot write to {}", folder.display()), &error);
        // With the folder in its words, and not our temporary file's name in it.
        std::fs::metadata(folder).map_err(failed)?;
        let temporary = tempfile::Builder::new().prefix(".dotcloud-").suffix(".partial").tempfile_in(folder);
        let temporary = temporary.map_err(failed)?;
        let written = tokio::fs::File::from_std(temporary.reopen().map_err(failed)?);
        Ok(Self { to: To::File { written, temporary, path, force }, bytes: 0, hash: Sha256::new() })
    }

    pub async fn write(&mut self, part: &[u8]) -> Result<(), CliError> {
        let (written, what) = match &mut self.to {
            To::Stdout(stdout) => (stdout.write_all(part).await, "standard output".to_owned()),
            To::File { written, path, .. } => (written.write_all(part).await, path.display().to_string()),
        };
        written.map_err(|error| CliError::because(format!("cannot write {what}"), &error))?;
        self.bytes += part.len() as u64;
        self.hash.update(part);
        Ok(())
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The dump is complete: on the disk, then under its name. Returns where it is.
    pub async fn finish(self) -> Result<(String, Sum), CliError> {
        let sha256 = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let sum = Sum { bytes: self.bytes, sha256 };
        match self.to {
            To::Stdout(mut stdout) => {
                let flushed = stdout.flush().await;
                flushed.map_err(|error| CliError::because("cannot write standard output", &error))?;
                Ok(("-".to_owned(), sum))
            }
            To::File { mut written, temporary, path, force } => {
                let kept = async { written.flush().await.and(written.sync_all().await) }.await;
                kept.map_err(|error| CliError::because(format!("cannot write {}", path.display()), &error))?;
                persist(temporary, &path, force)?;
                Ok((path.display().to_string(), sum))
            }
        }
    }
}

fn persist(temporary: NamedTempFile, path: &Path, force: bool) -> Result<(), CliError> {
    let kept = if force { temporary.persist(path) } else { temporary.persist_noclobber(path) };
    match kept {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(exists(path)),
        Err(error) => Err(CliError::because(format!("cannot write {}", path.display()), &error.error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dump_has_its_name_only_when_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db.rdb");
        let mut broken = DumpFile::create(path.clone(), false).unwrap();
        broken.write(b"half").await.unwrap();
        assert!(!path.exists());
        drop(broken);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");

        let mut whole = DumpFile::create(path.clone(), false).unwrap();
        whole.write(b"abc").await.unwrap();
        let (file, sum) = whole.finish().await.unwrap();
        assert_eq!((file, sum.bytes), (path.display().to_string(), 3));
        assert_eq!(sum.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
    }

    #[tokio::test]
    async fn a_file_that_appeared_meanwhile_is_not_replaced_unless_told_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db.rdb");
        let second = DumpFile::create(path.clone(), false).unwrap();
        let forced = DumpFile::create(path.clone(), true).unwrap();
        std::fs::write(&path, b"mine").unwrap();
        assert!(check_free(&path, false).is_err() && check_free(&path, true).is_ok());
        assert!(second.finish().await.unwrap_err().message.ends_with("exists."));
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        forced.finish().await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn a_folder_is_given_the_default_name() {
        let folder = tempfile::tempdir().unwrap();
        let name = |given: Option<&str>| named(folder.path(), given.map(Path::new), "db", "sql.gz");
        assert_eq!(name(Some("x.gz")), folder.path().join("x.gz"));
        for given in [None, Some("")] {
            let path = name(given);
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(name.starts_with("db-2") && name.ends_with("Z.sql.gz"), "{name}");
        }
    }
}
