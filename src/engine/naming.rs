//! Names of Docker objects and hosts. Containers are found by their labels, never by name;
//! names are for people, and unique per home.

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

    /// The data of one member.
    pub fn volume(&self, app: &AppName, instance: &InstanceName) -> String {
        format!("dcl-{}-{app}-{}-{}", self.home_id, instance.service, instance.index)
    }

    /// The image of a built revision of a service.
    pub fn image(&self, app: &AppName, service: &ServiceName, revision: &str, generation: u64) -> String {
        format!("dcl-{}/{app}-{service}:{revision}-g{generation}", self.home_id)
    }
}

/// What containers call a service: an explicit hosts entry to the application's gateway.
pub fn internal_host(app: &AppName, service: &ServiceName) -> String {
    format!("{service}.{app}.dc.internal")
}

/// What browsers call a service.
pub fn public_host(app: &AppName, service: &ServiceName) -> String {
    format!("{service}.{app}.localhost")
}
