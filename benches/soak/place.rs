//! The members of a service as they are now, with the containers that carry them.

use fastrand::Rng;
use serde_json::Value;

use crate::fault::Aim;
use crate::support::platform::text;

#[derive(Debug, Clone)]
pub struct Place {
    pub number: u64,
    role: String,
    /// Names of containers. A server that is gone has one nevertheless.
    pub server: String,
    pub pod: String,
    pub ip: String,
}

// === impl Place ===

impl Place {
    /// `prefix`: what the names of the service's containers begin with.
    pub fn all(info: &Value, prefix: &str) -> Vec<Self> {
        let members = info["group"]["members"].as_array().cloned().unwrap_or_default();
        let instances = info["instances"].as_array().cloned().unwrap_or_default();
        let ip = |number: &Value| {
            let instance = instances.iter().find(|instance| instance["instance_id"] == *number);
            instance.map(|instance| text(&instance["ip"])).unwrap_or_default()
        };
        let of_member = |member: &Value| {
            let number = member["instance_id"].as_u64()?;
            let (server, ip) = (format!("{prefix}-{number}"), ip(&member["instance_id"]));
            Some(Self { number, role: text(&member["role"]), pod: format!("{server}-pod"), server, ip })
        };
        members.iter().filter_map(of_member).collect()
    }

    pub fn is_master(&self) -> bool {
        self.role == "master"
    }

    /// The one with this role; by chance where nobody has it.
    pub fn with<'a>(places: &'a [Self], aim: Aim, rng: &mut Rng) -> Option<&'a Self> {
        let master = matches!(aim, Aim::Master | Aim::MastersPod);
        let fit: Vec<_> = places.iter().filter(|place| place.is_master() == master).collect();
        let among = if fit.is_empty() { places.iter().collect() } else { fit };
        (!among.is_empty()).then(|| among[rng.usize(..among.len())])
    }
}
