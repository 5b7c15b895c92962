//! Build files on disk: finds them, reads them within limits, and checks what only the tree can
//! tell. What a build file means is `buildfile`'s business.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::api::home::Home;
use crate::buildfile::{self, ApprootText, Diagnostic, Outline, Parsed, Severity};

/// The name the platform looks for.
pub const FILE_NAME: &str = "dotcloud.yml";
/// Names people give it by mistake, or gave it in the platform's first year.
const NEAR_NAMES: &[&str] = &["dotcloud.yaml", "dotcloud_build.yml", "Dotcloud.yml", ".dotcloud.yml"];

/// Why there is no build file to look at.
#[derive(Debug, thiserror::Error)]
pub enum BuildFileError {
    #[error("there is no {FILE_NAME} in {}{}", dir.display(), near.map(rename_hint).unwrap_or_default())]
    NotInFolder { dir: PathBuf, near: Option<&'static str> },
    #[error("there is no {FILE_NAME} in {} or any folder above it{}", dir.display(), near.map(rename_hint).unwrap_or_default())]
    NotAbove { dir: PathBuf, near: Option<&'static str> },
    #[error("{} is a symbolic link that leads out of its folder", .0.display())]
    LeadsOut(PathBuf),
    #[error("{} is not a file", .0.display())]
    NotAFile(PathBuf),
    #[error("cannot find the current folder")]
    CurrentFolder(#[source] io::Error),
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
}

/// What an approot that does not exist is: while writing a build file an oversight, for a push
/// the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingApproot {
    Warn,
    Refuse,
}

/// The build file meant by an argument: a file is taken as it is; a folder holds it; without an
/// argument it is in the current folder or the nearest one above.
///
/// # Errors
/// Nothing is there, or it is not this folder's own file.
pub fn locate(given: Option<&Path>) -> Result<PathBuf, BuildFileError> {
    match given {
        None => {
            let dir = std::env::current_dir().map_err(BuildFileError::CurrentFolder)?;
            match dir.ancestors().find(|dir| exists(&dir.join(FILE_NAME))) {
                // Shown as people would write it.
                Some(found) if found == dir => own_file(Path::new("")),
                Some(found) => own_file(found),
                None => Err(BuildFileError::NotAbove { near: near_name(&dir), dir }),
            }
        }
        Some(dir) if dir.is_dir() => match exists(&dir.join(FILE_NAME)) {
            true => own_file(dir),
            false => Err(BuildFileError::NotInFolder { dir: dir.to_owned(), near: near_name(dir) }),
        },
        Some(file) => Ok(file.to_owned()),
    }
}

/// Reads a build file, one byte past the limit at most: `buildfile` refuses what is longer.
///
/// # Errors
/// It is a folder, a pipe or a device, or cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, BuildFileError> {
    let failed = |source| BuildFileError::Read { path: path.to_owned(), source };
    // Opening a pipe would wait for its other end.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(BuildFileError::NotAFile(path.to_owned()));
    }
    let mut text = Vec::new();
    let limit = buildfile::MAX_BYTES as u64 + 1;
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut text)).map_err(failed)?;
    Ok(text)
}

/// Parses a build file; the user's own types, folders of the home, are known beside the platform's.
pub fn parse(text: &[u8]) -> Parsed {
    let types = Home::from_environment().map(|home| own_types(&home)).unwrap_or_default();
    buildfile::parse(text, &types.iter().map(String::as_str).collect::<Vec<_>>())
}

/// None when they cannot be listed: the daemon says why when it reads them.
fn own_types(home: &Home) -> Vec<String> {
    let folders = home.templates().read_dir().into_iter().flatten().flatten();
    let types = folders.filter(|folder| folder.path().join("service.toml").is_file());
    types.filter_map(|folder| folder.file_name().into_string().ok()).collect()
}

/// Checks the approots against the tree below `root`: each is a folder inside it, symbolic links
/// followed. An error takes `parsed.stack` away.
pub fn check_tree(root: &Path, parsed: &mut Parsed, missing: MissingApproot) {
    let found: Vec<Diagnostic> =
        parsed.services.iter().filter_map(|service| check_approot(root, service, missing)).collect();
    if found.iter().any(Diagnostic::is_error) {
        parsed.stack = None;
    }
    parsed.diagnostics.extend(found);
    parsed.diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
}

fn check_approot(root: &Path, service: &Outline, missing: MissingApproot) -> Option<Diagnostic> {
    let approot = service.approot.as_ref()?;
    let path = root.join(&approot.path);
    let finding = |severity, what: &str, hint: &str| Diagnostic {
        severity,
        span: approot.span,
        message: format!("The approot {:?} {what}", approot.path),
        hint: Some(hint.to_owned()),
        service: Some(service.name.clone()),
    };
    let error = |what: &str, hint: &str| Some(finding(Severity::Error, what, hint));
    match resolve(root, approot) {
        Ok(inside) if !inside => error(
            "leads out of the tree through a symbolic link",
            "Move the code into the tree; nothing outside it is uploaded",
        ),
        Ok(_) if !path.is_dir() => error("is not a folder", "Name the folder that holds the file"),
        Ok(_) => None,
        Err(_) if path.symlink_metadata().is_ok() => {
            error("cannot be entered", "Mend the symbolic link or the permissions of the folder")
        }
        Err(_) => {
            let severity = if missing == MissingApproot::Warn { Severity::Warning } else { Severity::Error };
            Some(finding(severity, "does not exist", "Create the folder, or mend the path"))
        }
    }
}

/// Whether the approot, links followed, is inside the tree.
fn resolve(root: &Path, approot: &ApprootText) -> io::Result<bool> {
    Ok(root.join(&approot.path).canonicalize()?.starts_with(root.canonicalize()?))
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// The folder's build file, if no link leads it out of the folder.
fn own_file(dir: &Path) -> Result<PathBuf, BuildFileError> {
    let path = dir.join(FILE_NAME);
    let failed = |source| BuildFileError::Read { path: path.clone(), source };
    if path.canonicalize().map_err(failed)?.starts_with(folder_of(&path).canonicalize().map_err(failed)?) {
        Ok(path)
    } else {
        Err(BuildFileError::LeadsOut(path))
    }
}

/// The folder a build file lies in: the root of its tree.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn near_name(dir: &Path) -> Option<&'static str> {
    NEAR_NAMES.iter().copied().find(|name| exists(&dir.join(name)))
}

fn rename_hint(near: &str) -> String {
    format!(", but there is {near}: rename it to {FILE_NAME}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree(approot: &str) -> (tempfile::TempDir, Parsed) {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("www:\n  type: static\n  approot: {approot}\n");
        std::fs::write(dir.path().join(FILE_NAME), &text).unwrap();
        (dir, buildfile::parse(text.as_bytes(), &[]))
    }

    #[test]
    fn approot_that_links_out_of_the_tree_is_refused_with_its_position() {
        let (dir, mut parsed) = tree("web/linked");
        std::fs::create_dir(dir.path().join("web")).unwrap();
        symlink("/etc", dir.path().join("web/linked")).unwrap();
        check_tree(dir.path(), &mut parsed, MissingApproot::Warn);
        let [finding] = parsed.diagnostics.as_slice() else { panic!("{parsed:?}") };
        assert!(finding.is_error() && finding.message.contains("leads out of the tree"), "{finding:?}");
        assert_eq!((finding.span.line, finding.span.column, finding.span.end_column), (3, 12, 22));
        assert_eq!(parsed.stack, None);
    }

    #[test]
    fn approot_that_links_inside_the_tree_is_accepted() {
        let (dir, mut parsed) = tree("linked");
        std::fs::create_dir(dir.path().join("web")).unwrap();
        symlink("web", dir.path().join("linked")).unwrap();
        check_tree(dir.path(), &mut parsed, MissingApproot::Refuse);
        assert!(parsed.stack.is_some() && parsed.diagnostics.is_empty());
    }

    #[test]
    fn missing_approot_is_a_warning_or_an_error_as_asked() {
        let (dir, mut parsed) = tree("web");
        check_tree(dir.path(), &mut parsed, MissingApproot::Warn);
        assert!(parsed.stack.is_some() && parsed.diagnostics.len() == 1);
        parsed.diagnostics.clear();
        check_tree(dir.path(), &mut parsed, MissingApproot::Refuse);
        assert!(parsed.stack.is_none() && parsed.diagnostics[0].is_error());
    }

    #[test]
    fn approot_that_is_a_file_or_a_dead_link_is_refused() {
        let (dir, mut parsed) = tree(FILE_NAME);
        check_tree(dir.path(), &mut parsed, MissingApproot::Warn);
        assert_eq!(parsed.diagnostics[0].message, r#"The approot "dotcloud.yml" is not a folder"#);
        let (dir, mut parsed) = tree("dead");
        symlink("/nowhere/at/all", dir.path().join("dead")).unwrap();
        check_tree(dir.path(), &mut parsed, MissingApproot::Warn);
        assert!(parsed.stack.is_none());
    }

    #[test]
    fn build_file_is_found_in_the_folder_given_and_only_there() {
        let (dir, _) = tree("web");
        assert_eq!(locate(Some(dir.path())).unwrap(), dir.path().join(FILE_NAME));
        let below = dir.path().join("below");
        std::fs::create_dir(&below).unwrap();
        std::fs::write(below.join("dotcloud.yaml"), "").unwrap();
        let error = locate(Some(&below)).unwrap_err();
        assert!(error.to_string().ends_with("but there is dotcloud.yaml: rename it to dotcloud.yml"), "{error}");
    }

    #[test]
    fn build_file_that_links_out_of_its_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        symlink("/etc/passwd", dir.path().join(FILE_NAME)).unwrap();
        assert!(matches!(locate(Some(dir.path())), Err(BuildFileError::LeadsOut(_))));
    }

    #[test]
    fn no_more_than_the_limit_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(50_000_000).unwrap();
        assert_eq!(read(file.path()).unwrap().len(), buildfile::MAX_BYTES + 1);
        assert!(matches!(read(Path::new("/dev/zero")), Err(BuildFileError::NotAFile(_))));
    }
}
