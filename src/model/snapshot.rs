//! Names of snapshots, checked when made: each is a folder's name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not a snapshot's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a snapshot's name: use 1 to 64 of letters, digits, -, _ and ., starting with a letter or digit")]
pub struct SnapshotNameError(String);

/// A snapshot's name: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`. It cannot lead out of its folder, and
/// nothing that begins with a point is one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SnapshotName(String);

impl SnapshotName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SnapshotName {
    type Err = SnapshotNameError;

    fn from_str(text: &str) -> Result<Self, SnapshotNameError> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        let begins = text.bytes().next().is_some_and(|c| c.is_ascii_alphanumeric());
        let fits = begins && text.len() <= 64 && text.bytes().all(allowed);
        fits.then(|| Self(text.to_owned())).ok_or_else(|| SnapshotNameError(text.to_owned()))
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for SnapshotName {
    type Error = SnapshotNameError;

    fn try_from(text: String) -> Result<Self, SnapshotNameError> {
        text.parse()
    }
}

impl From<SnapshotName> for String {
    fn from(name: SnapshotName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_anywhere_else() {
        for wrong in ["", ".", "..", "../x", "a/b", "/x", ".hidden", "a b", "a\0", "-x", "é", &"x".repeat(65)] {
            assert!(wrong.parse::<SnapshotName>().is_err(), "{wrong:?}");
        }
        for right in ["x", "before-migration", "20261122T074047Z", "v1.2_3", "a..b"] {
            assert_eq!(right.parse::<SnapshotName>().unwrap().to_string(), right);
        }
    }
}
