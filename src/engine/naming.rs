//! Names of Docker objects and hosts. Containers are found by their labels, never by name;
//! names are for people, and unique per home.

use std::fmt::Display;

use crate::model::{AppName, InstanceName, ServiceName};

use super::runtime::Purpose;

/// Makes names for the objects of one home.
#[derive(Debug, Clone)]
pub struct Naming {
    home_id: String,
}

impl Naming {
    pub fn new(home_id: &str) -> Self {
        Self { home_id: home_id.to_owned() }
    }

    pub fn container(&self, app: &AppName, instance: &InstanceName, purpose: Purpose, generation: u64) -> String {
        let base = format!("dcl-{}-{app}-{}-{}", self.home_id, instance.service, instance.index);
        match purpose {
            Purpose::Code => format!("{base}-g{generation}"),
            Purpose::Pod => format!("{base}-pod"),
            Purpose::Member => base,
            Purpose::Build => format!("{base}-build"),
        }
    }

    /// The data of one member, or what a code instance keeps.
    pub fn volume(&self, app: &AppName, instance: &InstanceName) -> String {
        format!("dcl-{}-{app}-{}-{}", self.home_id, instance.service, instance.index)
    }

    /// A folder that services share. Application names have no point, so it is nothing else's name.
    pub fn shared_volume(&self, app: &AppName, folder: &str) -> String {
        format!("dcl-{}-{app}.{folder}", self.home_id)
    }

    /// The image of a built revision of a service.
    pub fn image(&self, app: &AppName, service: &ServiceName, revision: &str, generation: u64) -> String {
        format!("dcl-{}/{}:{revision}-g{generation}", self.home_id, repository(app, service))
    }
}

/// `shop-www`; in hexadecimal, with a point between, when either name has its separators where
/// a Docker repository may not: `_w`, `shop_`. One pair of names per repository: services have
/// no `-`, names no point.
fn repository(app: &AppName, service: &ServiceName) -> String {
    let (app, service) = (app.as_str(), service.as_str());
    if fits_repository(app) && fits_repository(service) {
        format!("{app}-{service}")
    } else {
        format!("{}.{}", hexadecimal(app), hexadecimal(service))
    }
}

/// Between letters and digits Docker takes `_`, `__` and any number of `-`; elsewhere nothing.
fn fits_repository(name: &str) -> bool {
    let mut runs = name.split(|c: char| c.is_ascii_alphanumeric()).filter(|run| !run.is_empty());
    let ends = !name.starts_with(['-', '_']) && !name.ends_with(['-', '_']);
    ends && runs.all(|run| matches!(run, "_" | "__") || run.bytes().all(|c| c == b'-'))
}

fn hexadecimal(name: &str) -> String {
    name.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// What containers call a service or one of its ports: an explicit hosts entry to the
/// application's gateway.
pub fn internal_host(app: &AppName, name: impl Display) -> String {
    format!("{name}.{app}.dc.internal")
}

/// What browsers call a service or one of its ports.
pub fn public_host(app: &AppName, name: impl Display) -> String {
    format!("{name}.{app}.localhost")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn image(app: &str, service: &str) -> String {
        let (app, service) = (app.parse().unwrap(), service.parse().unwrap());
        Naming::new("abc123").image(&app, &service, "rsync-1349049600000", u64::MAX)
    }

    /// The grammar of Docker's references (distribution/reference), written once more.
    fn is_component(text: &str) -> bool {
        let mut rest = text;
        loop {
            let word = rest.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit()).unwrap_or(rest.len());
            if word == 0 {
                return false;
            }
            rest = &rest[word..];
            rest = match rest.chars().next() {
                None => return true,
                Some('-') => rest.trim_start_matches('-'),
                Some('_') => rest.strip_prefix("__").unwrap_or(&rest[1..]),
                Some('.') => &rest[1..],
                Some(_) => return false,
            };
        }
    }

    fn is_reference(text: &str) -> bool {
        let (repository, tag) = text.split_once(':').unwrap();
        let tag_ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let tag_fits = tag.len() <= 128 && !tag.starts_with(['.', '-']) && tag.chars().all(tag_ok);
        repository.len() <= 255 && repository.split('/').all(is_component) && tag_fits
    }

    #[test]
    fn ordinary_names_can_be_read_in_the_image() {
        assert!(image("my-shop_2", "www__a").starts_with("dcl-abc123/my-shop_2-www__a:rsync-"));
        assert!(image("shop_", "_w").starts_with("dcl-abc123/73686f705f.5f77:rsync-"));
    }

    proptest! {
        #[test]
        fn every_name_makes_a_valid_image(app in "[a-z0-9][a-z0-9_-]{0,31}", service in "[a-z0-9_]{1,16}") {
            let image = image(&app, &service);
            prop_assert!(is_reference(&image), "{image}");
        }

        /// Of a small alphabet, so that names that nearly meet are found.
        #[test]
        fn other_names_make_another_image(
            one in ("[a6][a6_-]{0,4}", "[a6_]{1,3}"),
            other in ("[a6][a6_-]{0,4}", "[a6_]{1,3}"),
        ) {
            prop_assert_eq!(one == other, image(&one.0, &one.1) == image(&other.0, &other.1));
        }
    }
}
