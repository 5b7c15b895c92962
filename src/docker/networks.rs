//! One bridge network per application, on a /24 of our choosing.

use std::hash::{DefaultHasher, Hash, Hasher};

use bollard::models::{Ipam, IpamConfig, Network, NetworkCreateRequest};
use bollard::query_parameters::ListNetworksOptions;

use crate::engine::runtime::{ObservedNetwork, Result, RuntimeError};
use crate::model::AppName;

use super::DockerRuntime;
use super::client::{already, status};
use super::subnets::{self, Subnet};

/// So many subnets are tried; each may be in use where we cannot see it.
const TRIES: usize = 64;

impl DockerRuntime {
    pub(super) fn network_name(&self, app: &AppName) -> String {
        self.home.name(app.as_str())
    }

    /// Networks of this home, or of one application.
    pub(super) async fn networks(&self, app: Option<&AppName>) -> Result<Vec<Network>> {
        let options = ListNetworksOptions { filters: Some(self.home.filters(app)) };
        self.client.docker.list_networks(Some(options)).await.map_err(self.client.failed("list networks"))
    }

    pub(super) async fn network(&self, app: &AppName) -> Result<Option<ObservedNetwork>> {
        Ok(self.networks(Some(app)).await?.iter().find_map(observed))
    }

    pub(super) async fn make_network(&self, app: &AppName, wanted: Option<&str>) -> Result<ObservedNetwork> {
        let _one_at_a_time = self.making_network.lock().await;
        if let Some(network) = self.network(app).await? {
            return Ok(network);
        }
        let taken = self.taken_subnets().await?;
        let wanted: Option<Subnet> = wanted.and_then(|text| text.parse().ok());
        let wanted = wanted.filter(|wanted| !taken.iter().any(|other| wanted.overlaps(*other)));
        for subnet in wanted.into_iter().chain(subnets::free(seed(&self.network_name(app)), taken)).take(TRIES) {
            if self.try_subnet(app, subnet).await? {
                break;
            }
        }
        let none = || RuntimeError::Missing { what: "free subnet between 10.201.0.0 and 10.210.255.255".to_owned() };
        self.network(app).await?.ok_or_else(none)
    }

    async fn taken_subnets(&self) -> Result<Vec<Subnet>> {
        let all = self.client.docker.list_networks(None::<ListNetworksOptions>).await;
        let all = all.map_err(self.client.failed("list networks"))?;
        let mut taken: Vec<Subnet> = all
            .into_iter()
            .flat_map(|network| network.ipam.and_then(|ipam| ipam.config).unwrap_or_default())
            .filter_map(|config| config.subnet?.parse().ok())
            .collect();
        // Absent elsewhere than on Linux, where the host's routes are not the engine's.
        let routes = tokio::fs::read_to_string("/proc/net/route").await.unwrap_or_default();
        taken.extend(subnets::of_route_table(&routes));
        Ok(taken)
    }

    /// False when the engine finds the subnet in use.
    async fn try_subnet(&self, app: &AppName, subnet: Subnet) -> Result<bool> {
        let name = self.network_name(app);
        let config = IpamConfig {
            subnet: Some(subnet.to_string()),
            ip_range: Some(subnet.dynamic()),
            gateway: Some(subnet.gateway().to_string()),
            ..Default::default()
        };
        let request = NetworkCreateRequest {
            name: name.clone(),
            driver: Some("bridge".to_owned()),
            ipam: Some(Ipam { config: Some(vec![config]), ..Default::default() }),
            labels: Some(self.home.app_labels(app)),
            ..Default::default()
        };
        match self.client.docker.create_network(request).await {
            Ok(_) => Ok(true),
            Err(error) if error.to_string().contains("overlap") => Ok(false),
            // Made meanwhile: the caller looks again.
            Err(error) if status(&error) == Some(409) => Ok(true),
            Err(error) => Err(self.client.failed(format!("create network {name}"))(error)),
        }
    }

    pub(super) async fn drop_network(&self, app: &AppName) -> Result<()> {
        for network in self.networks(Some(app)).await? {
            let id = network.id.unwrap_or_default();
            let gone = already(self.client.docker.remove_network(&id).await, &[404]);
            let attempt = format!("remove network {}", network.name.unwrap_or(id));
            gone.map_err(|error| match forgotten(&error) {
                Some(advice) => RuntimeError::Failed { attempt, source: advice.into() },
                None => self.client.failed(attempt)(error),
            })?;
        }
        Ok(())
    }
}

/// Engines lose track of containers that were removed while they started, under much load.
fn forgotten(error: &bollard::errors::Error) -> Option<String> {
    let text = error.to_string();
    text.contains("has active endpoints").then(|| {
        format!(
            "{text}. Where no container is left in it, the Docker engine has lost track of one: its next start frees \
             the network, and `dotcloud up` uses it again meanwhile"
        )
    })
}

fn observed(network: &Network) -> Option<ObservedNetwork> {
    let config = network.ipam.as_ref()?.config.as_ref()?.first()?;
    let subnet = config.subnet.clone()?;
    let gateway = match &config.gateway {
        Some(gateway) => gateway.parse().ok()?,
        None => subnet.parse::<Subnet>().ok()?.gateway(),
    };
    Some(ObservedNetwork { id: network.id.clone()?, name: network.name.clone()?, subnet, gateway })
}

/// Where the search for a subnet begins: spread by name, so that homes seldom meet.
fn seed(name: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    (hasher.finish() % u64::from(u32::MAX)) as u32
}
