//! What is there: one list by labels, then a look at each container. Nothing is cached, so
//! that a process id is never yesterday's.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use bollard::models::{ContainerInspectResponse, ContainerState};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptions};
use futures_util::future::try_join_all;

use crate::engine::runtime::{EngineInfo, ObservedApp, ObservedContainer, Result, RunState};
use crate::model::{AppName, Memory};

use super::DockerRuntime;
use super::client::status;
use super::labels::{self, Labels};

impl DockerRuntime {
    pub(super) async fn engine_info(&self) -> Result<EngineInfo> {
        let asked = async { tokio::try_join!(self.client.docker.version(), self.client.docker.info()) };
        let (version, info) = asked.await.map_err(self.client.failed("ask the engine what it is"))?;
        Ok(EngineInfo {
            endpoint: self.client.endpoint.clone(),
            version: version.version.unwrap_or_default(),
            api_version: self.client.docker.client_version().to_string(),
            free_disk: info.docker_root_dir.and_then(|dir| free_bytes(&dir)),
            cgroup_version: info.cgroup_version.map(|version| version.to_string()).unwrap_or_default(),
        })
    }

    pub(super) async fn observe_app(&self, app: &AppName) -> Result<ObservedApp> {
        let (containers, network, volumes) =
            tokio::try_join!(self.containers(app), self.network(app), self.volumes(Some(app)))?;
        Ok(ObservedApp { containers, network, volumes: volumes.into_iter().map(|(name, _)| name).collect() })
    }

    async fn containers(&self, app: &AppName) -> Result<Vec<ObservedContainer>> {
        let listed = self.list(Some(app)).await?;
        let looks = listed.into_iter().map(|(id, _)| async move { self.look(&id).await });
        let found: Vec<_> = try_join_all(looks).await?.into_iter().flatten().collect();
        self.remember(found.iter().map(|container| container.id.clone()));
        Ok(found)
    }

    /// Ids and labels of this home's containers.
    pub(super) async fn list(&self, app: Option<&AppName>) -> Result<Vec<(String, Labels)>> {
        let options = ListContainersOptions { all: true, filters: Some(self.home.filters(app)), ..Default::default() };
        let listed = self.client.docker.list_containers(Some(options)).await;
        let listed = listed.map_err(self.client.failed("list containers"))?;
        Ok(listed.into_iter().filter_map(|c| Some((c.id?, c.labels.unwrap_or_default()))).collect())
    }

    /// One container by name or id; `None` when it is gone or not ours.
    pub(super) async fn look(&self, container: &str) -> Result<Option<ObservedContainer>> {
        match self.client.docker.inspect_container(container, None::<InspectContainerOptions>).await {
            Ok(found) => Ok(self.observed(found)),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(self.client.failed(format!("look at container {container}"))(error)),
        }
    }

    fn observed(&self, found: ContainerInspectResponse) -> Option<ObservedContainer> {
        let config = found.config?;
        let identity = self.home.identity(config.labels.as_ref()?)?;
        let state = found.state?;
        let host = found.host_config.unwrap_or_default();
        let network = self.network_name(&identity.app);
        let networks = found.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        Some(ObservedContainer {
            id: found.id?,
            name: found.name?.trim_start_matches('/').to_owned(),
            identity,
            image: config.image.unwrap_or_default(),
            state: run_state(&state),
            pid: state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0),
            ip: networks.get(&network).and_then(|at| at.ip_address.as_ref()?.parse::<Ipv4Addr>().ok()),
            memory: host.memory.and_then(|bytes| u64::try_from(bytes).ok()).filter(|b| *b > 0).map(Memory::from_bytes),
            pod: host.network_mode.and_then(|mode| mode.strip_prefix("container:").map(str::to_owned)),
            started_at: state.started_at.filter(|at| !at.starts_with("0001-")),
        })
    }

    pub(super) async fn app_names(&self) -> Result<Vec<AppName>> {
        let (containers, networks, volumes) =
            tokio::try_join!(self.list(None), self.networks(None), self.volumes(None))?;
        let of_containers = containers.into_iter().filter_map(|(_, mut labels)| labels.remove(labels::APP));
        let of_networks = networks.into_iter().filter_map(|network| network.labels?.remove(labels::APP));
        let of_volumes = volumes.into_iter().filter_map(|(_, app)| app);
        let names = of_containers.chain(of_networks).chain(of_volumes);
        let names: BTreeSet<AppName> = names.filter_map(|name| name.parse().ok()).collect();
        Ok(names.into_iter().collect())
    }
}

fn run_state(state: &ContainerState) -> RunState {
    use bollard::models::ContainerStateStatusEnum as Status;
    match state.status {
        Some(Status::CREATED) => RunState::Created,
        _ if state.paused == Some(true) => RunState::Paused,
        _ if state.running == Some(true) => RunState::Running,
        _ => RunState::Exited {
            code: state.exit_code.unwrap_or_default(),
            oom_killed: state.oom_killed.unwrap_or_default(),
        },
    }
}

/// `None` when the folder is not on this machine.
fn free_bytes(folder: &str) -> Option<u64> {
    let at = rustix::fs::statvfs(folder).ok()?;
    Some(at.f_bavail * at.f_frsize)
}
