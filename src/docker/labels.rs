//! Labels and names: how an object says whose it is. Labels hold identity only, since they
//! cannot change.

use std::collections::HashMap;

use crate::engine::runtime::{Identity, Purpose};
use crate::model::AppName;

pub(super) const HOME: &str = "io.dotcloud-local.home";
pub(super) const APP: &str = "io.dotcloud-local.app";
const SERVICE: &str = "io.dotcloud-local.service";
const INSTANCE: &str = "io.dotcloud-local.instance";
const PURPOSE: &str = "io.dotcloud-local.purpose";
const GENERATION: &str = "io.dotcloud-local.generation";

/// Every label of a container. Docker copies an image's labels to its containers, so an image
/// that is committed from a container of ours has these emptied.
pub(super) const ALL: [&str; 6] = [HOME, APP, SERVICE, INSTANCE, PURPOSE, GENERATION];

/// One `DOTCLOUD_HOME`, as labels and names spell it.
#[derive(Debug, Clone)]
pub(super) struct Home {
    id: String,
}

pub(super) type Labels = HashMap<String, String>;
pub(super) type Filters = HashMap<String, Vec<String>>;

// === impl Home ===

impl Home {
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned() }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// `dcl-<6 hex>-<rest>`.
    pub fn name(&self, rest: &str) -> String {
        let short: String = self.id.chars().take(6).collect();
        format!("dcl-{short}-{rest}")
    }

    /// Labels of what belongs to a whole application.
    pub fn app_labels(&self, app: &AppName) -> Labels {
        [(HOME.to_owned(), self.id.clone()), (APP.to_owned(), app.to_string())].into()
    }

    pub fn labels(&self, identity: &Identity) -> Labels {
        let mut labels = self.app_labels(&identity.app);
        labels.insert(SERVICE.to_owned(), identity.instance.service.to_string());
        labels.insert(INSTANCE.to_owned(), identity.instance.index.to_string());
        labels.insert(PURPOSE.to_owned(), purpose_name(identity.purpose).to_owned());
        labels.insert(GENERATION.to_owned(), identity.generation.to_string());
        labels
    }

    /// Who a container says it is; `None` when it is not ours.
    pub fn identity(&self, labels: &Labels) -> Option<Identity> {
        let get = |key: &str| labels.get(key).map(String::as_str);
        if get(HOME)? != self.id {
            return None;
        }
        Some(Identity {
            app: get(APP)?.parse().ok()?,
            instance: format!("{}.{}", get(SERVICE)?, get(INSTANCE)?).parse().ok()?,
            purpose: purpose(get(PURPOSE)?)?,
            generation: get(GENERATION)?.parse().ok()?,
        })
    }

    pub fn owns(&self, labels: Option<&Labels>) -> bool {
        labels.and_then(|labels| labels.get(HOME)).is_some_and(|home| *home == self.id)
    }

    /// A filter for everything of this home or of one of its applications.
    pub fn filters(&self, app: Option<&AppName>) -> Filters {
        let mut wanted = vec![format!("{HOME}={}", self.id)];
        wanted.extend(app.map(|app| format!("{APP}={app}")));
        [("label".to_owned(), wanted)].into()
    }
}

fn purpose_name(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Code => "code",
        Purpose::Pod => "pod",
        Purpose::Member => "member",
        Purpose::Build => "build",
    }
}

fn purpose(name: &str) -> Option<Purpose> {
    [Purpose::Code, Purpose::Pod, Purpose::Member, Purpose::Build].into_iter().find(|p| purpose_name(*p) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_round_trip_and_other_homes_are_strangers() {
        let home = Home::new("abcdef0123");
        let identity = Identity {
            app: "shop".parse().unwrap(),
            instance: "www.3".parse().unwrap(),
            purpose: Purpose::Build,
            generation: 7,
        };
        let labels = home.labels(&identity);
        assert_eq!(home.identity(&labels), Some(identity));
        assert_eq!(Home::new("other").identity(&labels), None);
        assert!(!Home::new("other").owns(Some(&labels)));
        assert_eq!(home.name("shop"), "dcl-abcdef-shop");
    }
}
