//! What a snapshot consists of, beside its files.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::model::{AppName, InstanceName, ServiceName, SnapshotName};

use super::super::handle::{EngineError, Result};

pub const FILE: &str = "manifest.json";

/// A whole snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub app: AppName,
    pub name: SnapshotName,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// Of the code that served then.
    pub revision: Option<String>,
    pub parts: Vec<Part>,
}

/// One file of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub content: Content,
    /// Its name in the snapshot's folder.
    pub file: String,
    pub bytes: u64,
    /// In hexadecimal.
    pub sha256: String,
}

/// What a part holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Content {
    /// A dump of a data service, taken from this member.
    Service { service: ServiceName, type_name: String, member: InstanceName },
    /// A tar of a folder that services share.
    Shared { folder: String },
    /// A tar of an instance's `~/data`.
    Data { instance: InstanceName },
}

impl Content {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Service { .. } => "service",
            Self::Shared { .. } => "shared",
            Self::Data { .. } => "data",
        }
    }

    /// The service, the folder or the instance.
    pub fn name(&self) -> String {
        match self {
            Self::Service { service, .. } => service.to_string(),
            Self::Shared { folder } => folder.clone(),
            Self::Data { instance } => instance.to_string(),
        }
    }
}

impl Manifest {
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    /// # Errors
    /// `NotFound` when there is no such snapshot; `Store` when it cannot be read.
    pub async fn read(folder: &Path, name: &SnapshotName) -> Result<Self> {
        match tokio::fs::read(folder.join(FILE)).await {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| unreadable(folder, error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(EngineError::NotFound(format!("There is no snapshot {name}: `dotcloud snapshot list`.")))
            }
            Err(error) => Err(unreadable(folder, error)),
        }
    }

    pub async fn write(&self, folder: &Path) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        let mut sink = Sink::create(folder.join(FILE)).await?;
        sink.write(&bytes).await?;
        sink.finish().await.map(drop)
    }

    /// Reads every file once.
    ///
    /// # Errors
    /// `Invalid` with the file that is not what was saved.
    pub async fn check(&self, folder: &Path) -> Result<()> {
        for part in &self.parts {
            let path = folder.join(&part.file);
            // Nobody but us writes manifests; a path in one would lead elsewhere.
            let plain = Path::new(&part.file).components().count() == 1;
            let sum =
                if plain { digest(&path).await.map_err(|error| unreadable(&path, error))? } else { String::new() };
            if sum != part.sha256 {
                let text =
                    format!("{} is not what was saved: its checksum differs. Nothing was changed.", path.display());
                return Err(EngineError::Invalid(text));
            }
        }
        Ok(())
    }
}

fn unreadable(path: &Path, error: io::Error) -> EngineError {
    EngineError::Invalid(format!("Cannot read {}: {error}. Nothing was changed.", path.display()))
}

async fn digest(path: &Path) -> io::Result<String> {
    let mut file = tokio::fs::File::open(path).await?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        match file.read(&mut buffer).await? {
            0 => return Ok(hexadecimal(hash)),
            read => hash.update(&buffer[..read]),
        }
    }
}

fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file of a snapshot that is being written.
pub struct Sink {
    path: PathBuf,
    file: tokio::fs::File,
    hash: Sha256,
    bytes: u64,
}

impl Sink {
    pub async fn create(path: PathBuf) -> Result<Self> {
        let file = tokio::fs::File::create(&path).await.map_err(|error| unwritable(&path, error))?;
        Ok(Self { path, file, hash: Sha256::new(), bytes: 0 })
    }

    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).await.map_err(|error| unwritable(&self.path, error))?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// On disk when it returns: (bytes, checksum).
    pub async fn finish(mut self) -> Result<(u64, String)> {
        let kept = async { self.file.flush().await.and(self.file.sync_all().await) }.await;
        kept.map_err(|error| unwritable(&self.path, error))?;
        Ok((self.bytes, hexadecimal(self.hash)))
    }
}

/// A full disk above all; said with the path.
pub fn unwritable(path: &Path, error: io::Error) -> EngineError {
    EngineError::Invalid(format!("Cannot write {}: {error}.", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn saved(folder: &Path) -> Manifest {
        let mut sink = Sink::create(folder.join("db.rdb")).await.unwrap();
        sink.write(b"REDIS").await.unwrap();
        let (bytes, sha256) = sink.finish().await.unwrap();
        let content = Content::Service {
            service: "db".parse().unwrap(),
            type_name: "redis".to_owned(),
            member: "db.1".parse().unwrap(),
        };
        let part = Part { content, file: "db.rdb".to_owned(), bytes, sha256 };
        let (app, name) = ("shop".parse().unwrap(), "x".parse().unwrap());
        let manifest = Manifest { app, name, created_at: "t".to_owned(), revision: None, parts: vec![part] };
        manifest.write(folder).await.unwrap();
        manifest
    }

    #[tokio::test]
    async fn a_manifest_round_trips_and_notices_every_changed_byte() {
        let folder = tempfile::tempdir().unwrap();
        let name: SnapshotName = "x".parse().unwrap();
        assert!(matches!(Manifest::read(folder.path(), &name).await, Err(EngineError::NotFound(_))));
        let manifest = saved(folder.path()).await;
        let read = Manifest::read(folder.path(), &name).await.unwrap();
        assert_eq!((&read, read.bytes()), (&manifest, 5));
        read.check(folder.path()).await.unwrap();
        std::fs::write(folder.path().join("db.rdb"), b"REDIT").unwrap();
        assert!(read.check(folder.path()).await.unwrap_err().to_string().contains("checksum differs"));
        std::fs::remove_file(folder.path().join("db.rdb")).unwrap();
        assert!(read.check(folder.path()).await.is_err());
    }

    #[tokio::test]
    async fn a_manifest_cannot_name_files_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let mut manifest = saved(folder.path()).await;
        manifest.parts[0].file = format!("../{}/db.rdb", folder.path().file_name().unwrap().to_str().unwrap());
        assert!(manifest.check(folder.path()).await.is_err());
    }
}
