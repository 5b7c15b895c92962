//! What went live, on disk beside the version it belongs to: instances that are made later, by
//! scaling, after a crash or by a daemon that was started again, get it before they boot.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::engine::app::App;
use crate::engine::handle::{EngineError, Result};
use crate::engine::inner::Inner;
use crate::engine::reconcile::in_full;
use crate::model::ServiceName;
use crate::store::{AppRecord, Overlay, ServiceRecord};

use super::tree::Tree;

/// Bytes of all that may go live on one version; more is built.
const LARGEST: usize = 256 << 20;

/// The overlays after a change, of versions that are known by their generation.
pub struct Overlays {
    change: u64,
    files: BTreeMap<ServiceName, (u64, PathBuf)>,
}

/// Adds a change to the overlay of every service. Blocking; what is written is on the disk.
///
/// # Errors
/// An overlay cannot be read or written. What was written then is pruned later.
pub fn write(folder: &Path, services: &[ServiceRecord], tree: &Tree, change: u64) -> io::Result<Overlays> {
    fs::create_dir_all(folder)?;
    let mut files = BTreeMap::new();
    for service in services {
        let Some(version) = &service.serving else { continue };
        let mut all = match &version.overlay {
            Some(overlay) => Tree::read_overlay(&fs::read(&overlay.file)?).map_err(io::Error::other)?,
            None => Tree::default(),
        };
        all.merge(tree);
        let bytes = all.overlay(change)?;
        if bytes.len() > LARGEST {
            let text = format!("more than {} MiB have changed since the push", LARGEST >> 20);
            return Err(io::Error::other(text));
        }
        let path = folder.join(format!("{}-{}-{change}.tar", service.name, version.generation));
        let mut file = fs::File::create(&path)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        files.insert(service.name.clone(), (version.generation, path));
    }
    fs::File::open(folder)?.sync_all()?;
    Ok(Overlays { change, files })
}

impl Overlays {
    /// Makes them part of the versions.
    ///
    /// # Errors
    /// `Conflict` when another version serves meanwhile.
    pub async fn adopt(self, inner: &Inner, app: &Arc<App>) -> Result<()> {
        let edit = |record: &mut AppRecord| {
            // Saving it would bring a destroyed application back.
            if record.doomed {
                return Err(EngineError::Conflict("the application is being destroyed".to_owned()));
            }
            for (name, (generation, file)) in self.files {
                let serving = record.service_mut(&name).and_then(|service| service.serving.as_mut());
                let Some(version) = serving.filter(|version| version.generation == generation) else {
                    return Err(EngineError::Conflict(format!("another version of {name} serves now")));
                };
                version.overlay = Some(Overlay { change: self.change, file });
            }
            Ok(())
        };
        app.change(&inner.store, edit).await
    }
}

/// Where an application's overlays are.
pub fn folder(inner: &Inner, app: &App) -> PathBuf {
    inner.config.home.join("apps").join(app.name.as_str()).join("live")
}

/// Removes overlays that no version has.
pub async fn prune(inner: &Inner, app: &App) {
    let record = app.record();
    let versions = record.services.iter().flat_map(ServiceRecord::versions);
    let used: BTreeSet<PathBuf> = versions.filter_map(|version| Some(version.overlay.as_ref()?.file.clone())).collect();
    let folder = folder(inner, app);
    let pruned = tokio::task::spawn_blocking(move || remove_others(&folder, &used)).await;
    if let Ok(Err(error)) = pruned {
        tracing::warn!(app = %app.name, "old live changes stay on the disk: {}", in_full(&error));
    }
}

fn remove_others(folder: &Path, used: &BTreeSet<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if !used.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
