//! Which application a folder is connected with: `.dotcloud/config`, in the format of the
//! original client, searched for upward.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::AppName;

use super::error::CliError;

/// A connected folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    pub application: AppName,
    /// The folder that holds `.dotcloud`.
    pub folder: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Config {
    application: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    push_protocol: Option<String>,
    #[serde(default)]
    push_branch: Option<String>,
}

/// The connection of `folder` or of the nearest folder above it.
///
/// # Errors
/// A configuration that cannot be read: a guess could destroy the wrong application.
pub fn find(folder: &Path) -> Result<Option<Connection>, CliError> {
    for above in folder.ancestors() {
        let path = config(above);
        match fs::read_to_string(&path) {
            Ok(text) => {
                return parse(&path, &text)
                    .map(|application| Some(Connection { application, folder: above.to_owned() }));
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(CliError::because(format!("cannot read {}", path.display()), &error)),
        }
    }
    Ok(None)
}

/// Connects a folder.
pub fn connect(folder: &Path, application: &AppName) -> Result<(), CliError> {
    let content = Config {
        application: application.to_string(),
        // The original client's own version: it warns about any other.
        version: "0.9.8".to_owned(),
        push_protocol: Some("rsync".to_owned()),
        push_branch: None,
    };
    let path = config(folder);
    let write = || -> io::Result<()> {
        fs::create_dir_all(folder.join(".dotcloud"))?;
        fs::write(&path, serde_json::to_vec(&content)?)
    };
    write().map_err(|error| CliError::because(format!("cannot write {}", path.display()), &error))
}

/// Removes the connection that [`find`] finds; `None` when there is none.
pub fn disconnect(folder: &Path) -> Result<Option<Connection>, CliError> {
    let Some(found) = find(folder)? else { return Ok(None) };
    let path = config(&found.folder);
    fs::remove_file(&path).map_err(|error| CliError::because(format!("cannot remove {}", path.display()), &error))?;
    // Someone else may keep files there.
    let _ = fs::remove_dir(found.folder.join(".dotcloud"));
    Ok(Some(found))
}

/// The application that a folder is when it is connected with none: the one of its own name.
pub fn from_folder(folder: &Path) -> Option<AppName> {
    folder.file_name().and_then(|name| AppName::from_folder(&name.to_string_lossy()))
}

fn config(folder: &Path) -> PathBuf {
    folder.join(".dotcloud").join("config")
}

fn parse(path: &Path, text: &str) -> Result<AppName, CliError> {
    let wrong = |why: String| {
        CliError::usage(format!("cannot read {}: {why}", path.display()))
            .hint("`dotcloud connect APPLICATION` writes it anew")
    };
    let config: Config = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    config.application.parse().map_err(|error: crate::model::NameError| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_is_found_from_below_and_removed() {
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join("a/b");
        fs::create_dir_all(&below).unwrap();
        assert_eq!(find(&below).unwrap(), None);
        connect(root.path(), &"ramen".parse().unwrap()).unwrap();
        let found = find(&below).unwrap().unwrap();
        assert_eq!((found.application.as_str(), found.folder.as_path()), ("ramen", root.path()));
        assert_eq!(disconnect(&below).unwrap(), Some(found));
        assert_eq!(find(&below).unwrap(), None);
        assert!(!root.path().join(".dotcloud").exists());
    }

    #[test]
    fn configuration_of_the_original_client_is_understood() {
        let text = r#"{"push_protocol": "git", "application": "ramen", "version": "0.9.8", "push_branch": "master"}"#;
        assert_eq!(parse(Path::new("config"), text).unwrap().as_str(), "ramen");
        assert!(parse(Path::new("config"), "{}").is_err());
        assert!(parse(Path::new("config"), r#"{"application": "../etc"}"#).is_err());
    }
}
