//! Names of applications, services and instances, checked when made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("{0:?} is not an application name: use 1 to 32 of a-z, 0-9, - and _, starting with a letter or digit")]
    App(String),
    #[error("{0:?} is not a service name: use 1 to 16 of a-z, 0-9 and _")]
    Service(String),
    #[error("{text:?} is an instance: here its service is meant, {service}")]
    InstanceOf { text: String, service: ServiceName },
    #[error("{0:?} is not an instance: write <service>.<number>, for example www.0")]
    Instance(String),
}

/// An application's name: `[a-z0-9][a-z0-9_-]{0,31}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppName(String);

/// A service's name: `[a-z0-9_]{1,16}` (platform.md, §1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceName(String);

/// One instance of a service: `www.0`. Instances are numbered from 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstanceName {
    pub service: ServiceName,
    pub index: u32,
}

// === impl AppName ===

impl AppName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest valid name to a folder's name; `None` when nothing of it can be kept.
    pub fn from_folder(folder: &str) -> Option<Self> {
        let kept: String = folder
            .to_ascii_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
            .collect();
        let kept: String = kept.trim_matches(['-', '_']).chars().take(32).collect();
        kept.parse().ok()
    }
}

impl FromStr for AppName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-';
        let starts_well = text.bytes().next().is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if starts_well && text.len() <= 32 && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::App(text.to_owned()))
        }
    }
}

// === impl ServiceName ===

impl ServiceName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The instance of this service with the given number.
    pub fn instance(&self, index: u32) -> InstanceName {
        InstanceName { service: self.clone(), index }
    }
}

impl FromStr for ServiceName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
        if (1..=16).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(not_a_service(text))
        }
    }
}

/// What was written instead, where that can be told: an instance or a role.
fn not_a_service(text: &str) -> NameError {
    let of = text.split_once('.').and_then(|(service, place)| {
        let numbered = !place.is_empty() && place.bytes().all(|c| c.is_ascii_digit());
        (numbered || place == "master" || place == "slave").then(|| service.parse().ok())?
    });
    let text = text.to_owned();
    match of {
        Some(service) => NameError::InstanceOf { text, service },
        None => NameError::Service(text),
    }
}

// === impl InstanceName ===

impl FromStr for InstanceName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = || NameError::Instance(text.to_owned());
        let (service, index) = text.rsplit_once('.').ok_or_else(wrong)?;
        if !index.bytes().all(|c| c.is_ascii_digit()) {
            return Err(wrong());
        }
        Ok(Self { service: service.parse()?, index: index.parse().map_err(|_| wrong())? })
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.service, self.index)
    }
}

/// Display, `TryFrom<String>` and `Into<String>` for a name that wraps one string.
macro_rules! string_name {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

string_name!(AppName);
string_name!(ServiceName);

impl TryFrom<String> for InstanceName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<InstanceName> for String {
    fn from(name: InstanceName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_names_round_trip() {
        let name: InstanceName = "www.12".parse().unwrap();
        assert_eq!(name.to_string(), "www.12");
        for wrong in ["www", "www.", "www.x", ".1", "WWW.1", "www.+1", "www.99999999999"] {
            assert!(wrong.parse::<InstanceName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_instance_in_the_place_of_a_service_is_told_from_a_wrong_name() {
        let why = |text: &str| text.parse::<ServiceName>().unwrap_err().to_string();
        assert_eq!(why("db.1"), "\"db.1\" is an instance: here its service is meant, db");
        assert_eq!(why("db.master"), "\"db.master\" is an instance: here its service is meant, db");
        for wrong in ["db.", "db.x", "DB.1", "a.b.1", "Db"] {
            assert!(why(wrong).ends_with("use 1 to 16 of a-z, 0-9 and _"), "{wrong}");
        }
    }

    #[test]
    fn folder_names_become_application_names() {
        assert_eq!(AppName::from_folder("My App.2012").unwrap().as_str(), "my-app-2012");
        assert_eq!(AppName::from_folder("--"), None);
    }
}
