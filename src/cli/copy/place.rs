//! Where a copy comes from or goes to.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use crate::faults::Aim;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Local(PathBuf),
    /// In an instance, or in each instance of a service. The path is relative to `~`.
    Remote {
        aim: Aim,
        path: String,
    },
    /// Standard input or output.
    Stream,
}

impl FromStr for Place {
    type Err = Infallible;

    /// `www:x` is in an instance; `./www:x` is a file of that name.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        if text == "-" {
            return Ok(Self::Stream);
        }
        Ok(match text.split_once(':').map(|(aim, path)| (aim.parse(), path)) {
            Some((Ok(aim), path)) => Self::Remote { aim, path: relative(path) },
            _ => Self::Local(PathBuf::from(text)),
        })
    }
}

impl From<OsString> for Place {
    /// What is no text is a file of this machine.
    fn from(argument: OsString) -> Self {
        match argument.to_str().map(str::parse) {
            Some(Ok(place)) => place,
            _ => Self::Local(argument.into()),
        }
    }
}

/// A path that no command takes for an option and that `~` leads.
fn relative(path: &str) -> String {
    match path.strip_prefix("~/").unwrap_or(path) {
        "" | "~" => ".".to_owned(),
        absolute if absolute.starts_with('/') => absolute.to_owned(),
        path => format!("./{path}"),
    }
}

/// The name that a copy gets in a folder that exists; empty when it is the folder's content.
pub fn name_of(path: &str) -> &str {
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if matches!(name, "." | "..") { "" } else { name }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    #[test]
    fn services_and_paths_are_told_apart() {
        let remote = |text: &str| match text.parse().unwrap() {
            Place::Remote { aim, path } => format!("{aim} {path}"),
            other => format!("{other:?}"),
        };
        assert_eq!(remote("www.0:logs/a b"), "www.0 ./logs/a b");
        assert_eq!(remote("www:"), "www .");
        assert_eq!(remote("db.master:/tmp/-x"), "db.master /tmp/-x");
        assert_eq!(remote("www:-rf"), "www ./-rf");
        assert_eq!(remote("www:~/data"), "www ./data");
        assert_eq!("./www:x".parse(), Ok(Place::Local("./www:x".into())));
        assert_eq!("C:x".parse(), Ok(Place::Local("C:x".into())));
        assert_eq!("-".parse(), Ok(Place::Stream));
        let no_text = OsString::from_vec(b"www:\xff".to_vec());
        assert_eq!(Place::from(no_text.clone()), Place::Local(no_text.into()));
    }

    #[test]
    fn the_last_part_of_a_path_is_its_name() {
        assert_eq!(
            ["a/b", "a/b/", "b", "./b", "a/.", "..", "/", ""].map(name_of),
            ["b", "b", "b", "b", "", "", "", ""]
        );
    }
}
