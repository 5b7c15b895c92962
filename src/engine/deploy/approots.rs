//! The approots of data services whose server is configured by one: kept as they were when the
//! service was created, beside the application's other files.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::engine::reconcile::in_full;
use crate::model::{ServiceName, ServiceSpec};
use crate::store::AppRecord;

use super::perform::{Deployment, Failed};
use super::tree::Tree;

/// Where a service's approot is kept, as tar.
pub fn file(home: &Path, record: &AppRecord, service: &ServiceName) -> PathBuf {
    let folder = home.join("apps").join(record.name.as_str());
    folder.join("approots").join(format!("{service}.tar"))
}

/// Keeps the approots of services that are new. Doing it twice changes nothing more.
pub async fn keep(deployment: &Deployment<'_>, tree: &Tree) -> Result<(), Failed> {
    let (inner, record) = (deployment.inner, deployment.app.record());
    let wants = |spec: &&ServiceSpec| {
        let kind = inner.catalog.get(&spec.type_name);
        kind.and_then(|kind| kind.data.as_ref()).is_some_and(|data| data.approot)
            && record.service(&spec.name).is_none()
    };
    for spec in tree.stack.services.iter().filter(wants) {
        let uploaded = inner.store.revision_file(&record.name, &deployment.record.revision).await;
        let uploaded = uploaded.map_err(|error| Failed(in_full(&error)))?;
        let uploaded = uploaded.ok_or_else(|| Failed(format!("revision {} is gone", deployment.record.revision)))?;
        let (to, approot) = (file(&inner.config.home, &record, &spec.name), spec.approot.clone());
        let cut = tokio::task::spawn_blocking(move || cut_out(&uploaded, &approot, &to)).await;
        let failed = |error: &(dyn std::error::Error + 'static)| {
            Failed(format!("cannot keep the approot of \"{}\": {}", spec.name, in_full(error)))
        };
        cut.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Writes what is below `approot` in a tree to a tar of its own. Blocking; whole or not at all.
fn cut_out(tree: &Path, approot: &str, to: &Path) -> io::Result<()> {
    let folder = to.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let draft = to.with_extension("draft");
    let mut archive = tar::Builder::new(File::create(&draft)?);
    for entry in tar::Archive::new(File::open(tree)?).entries()? {
        let entry = entry?;
        let path = entry.path()?.into_owned();
        let path = path.strip_prefix("./").unwrap_or(&path);
        let below = if approot == "." { path } else { path.strip_prefix(approot).unwrap_or(Path::new("")) };
        let kind = entry.header().entry_type();
        if below.as_os_str().is_empty() || !(kind.is_file() || kind.is_dir()) {
            continue;
        }
        let (mut header, below) = (entry.header().clone(), below.to_owned());
        // The server runs as another user than the one who pushed.
        header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 | (header.mode()? & 0o111) });
        archive.append_data(&mut header, below, entry)?;
    }
    archive.into_inner()?.sync_all()?;
    fs::rename(&draft, to)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(folder: &Path) -> PathBuf {
        let path = folder.join("tree.tar");
        let mut archive = tar::Builder::new(File::create(&path).unwrap());
        for (name, text) in [("dotcloud.yml", "x"), ("solr/solr.xml", "<solr/>"), ("solrless/conf", "no")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o600);
            archive.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        archive.into_inner().unwrap();
        path
    }

    fn names(path: &Path) -> Vec<(String, u32)> {
        let mut archive = tar::Archive::new(File::open(path).unwrap());
        let entries = archive.entries().unwrap().map(Result::unwrap);
        entries.map(|entry| (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap())).collect()
    }

    #[test]
    fn an_approot_is_cut_out_and_everybody_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let (tree, to) = (tree(folder.path()), folder.path().join("approots/search.tar"));
        cut_out(&tree, "solr", &to).unwrap();
        assert_eq!(names(&to), [("solr.xml".to_owned(), 0o644)]);
        cut_out(&tree, ".", &to).unwrap();
        assert_eq!(names(&to).len(), 3);
    }
}
