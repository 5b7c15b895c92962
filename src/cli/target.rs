//! A service or one of its instances, as an argument: `www`, `www.1`.

use crate::model::{InstanceName, ServiceName};

use super::CliError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub service: ServiceName,
    /// `None`: no instance was named.
    pub instance: Option<u32>,
}

impl Target {
    pub fn parse(text: &str) -> Result<Self, CliError> {
        let wrong = |why: crate::model::NameError| CliError::usage(why.to_string());
        if text.contains('.') {
            let name: InstanceName = text.parse().map_err(wrong)?;
            Ok(Self { service: name.service, instance: Some(name.index) })
        } else {
            Ok(Self { service: text.parse().map_err(wrong)?, instance: None })
        }
    }
}

/// An instance by number or by role: `www`, `www.1`, `db.master`, `db.slave`. What it means is the
/// daemon's to say; here only its form is checked, because it becomes part of a request.
pub fn role(text: &str) -> Result<String, String> {
    let (service, rest) = text.split_once('.').unwrap_or((text, "0"));
    let fits = !rest.is_empty() && rest.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    match service.parse::<ServiceName>() {
        Ok(_) if fits => Ok(text.to_owned()),
        _ => Err("write SERVICE, SERVICE.N, SERVICE.master or SERVICE.slave".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_instances_and_roles_are_told_apart() {
        let target = Target::parse("www.2").unwrap();
        assert_eq!((target.service.as_str(), target.instance), ("www", Some(2)));
        assert_eq!(Target::parse("db").unwrap().instance, None);
        assert!(Target::parse("db.master").is_err() && Target::parse("Www").is_err());
        assert!(["www", "www.1", "db.master", "db.slave"].iter().all(|text| role(text).is_ok()));
        assert!(["", ".", "www.", "a b", "www.1&x", "www/../x"].iter().all(|text| role(text).is_err()));
    }
}
