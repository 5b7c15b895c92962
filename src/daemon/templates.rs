//! The user's own service types: folders below `templates/` of the home, which add to the
//! embedded ones or replace them file by folder.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::catalog::{Catalog, CatalogError};

#[derive(Debug, thiserror::Error)]
pub enum TemplatesError {
    #[error("cannot read the service types in {}", folder.display())]
    Read {
        folder: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("a service type is wrong")]
    Wrong(#[from] CatalogError),
}

/// All types: ours and those in this folder, if there is one. Blocking; read once, when the daemon starts.
///
/// # Errors
/// A file that cannot be read, or a `service.toml` that is wrong: better no start than a type
/// that is silently missing.
pub fn load(folder: &Path) -> Result<Catalog, TemplatesError> {
    let embedded = Catalog::embedded()?;
    if !folder.is_dir() {
        return Ok(embedded);
    }
    let failed = |source| TemplatesError::Read { folder: folder.to_owned(), source };
    let contents = read(folder).map_err(failed)?;
    Ok(embedded.with_folder(contents)?)
}

fn read(folder: &Path) -> std::io::Result<Vec<(PathBuf, Cow<'static, [u8]>)>> {
    let mut contents = Vec::new();
    for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
        let entry = entry?;
        if entry.file_type().is_file() {
            let path = entry.path().strip_prefix(folder).unwrap_or(entry.path()).to_owned();
            contents.push((path, std::fs::read(entry.path())?.into()));
        }
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_the_home_is_a_type() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("mine");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("service.toml"), "kind = 1").unwrap();
        assert!(load(home.path()).unwrap_err().to_string().contains("wrong"));
        std::fs::write(
            folder.join("service.toml"),
            "kind = \"code\"\nsummary = \"x\"\n[images]\nsame_as = \"static\"\n",
        )
        .unwrap();
        assert!(load(home.path()).unwrap().get("mine").is_some());
    }
}
