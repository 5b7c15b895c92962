//! The engine's own view of a platform, and the faults that no verb of ours offers.

use std::collections::HashMap;
use std::net::IpAddr;

use bollard::Docker;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, EndpointIpamConfig, EndpointSettings, NetworkConnectRequest,
    NetworkDisconnectRequest, VolumeCreateRequest,
};
use bollard::query_parameters as query;
use futures_util::StreamExt;
use tokio::runtime::Runtime;

/// The label that says which `DOTCLOUD_HOME` an object belongs to.
const HOME: &str = "io.dotcloud-local.home";
/// The label that says which application an object belongs to.
const APP: &str = "io.dotcloud-local.app";
/// The label that says what a container is.
const PURPOSE: &str = "io.dotcloud-local.purpose";

/// The engine, asked and answered in turn.
pub struct Engine {
    runtime: Runtime,
    docker: Docker,
}

/// How many objects of a home there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Objects {
    pub containers: usize,
    pub networks: usize,
    pub volumes: usize,
}

impl Engine {
    pub fn connect() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let docker = runtime.block_on(async {
            Docker::connect_with_defaults().unwrap().negotiate_version().await.expect("a Docker engine answers")
        });
        Self { runtime, docker }
    }

    pub fn inspect(&self, container: &str) -> ContainerInspectResponse {
        self.runtime.block_on(self.docker.inspect_container(container, None)).unwrap()
    }

    /// The ids of a home's code instances.
    pub fn instances(&self, home: &str) -> Vec<String> {
        self.of_purpose(home, "code")
    }

    /// The address of a running instance that is not among the known ones.
    pub fn newcomer(&self, home: &str, known: &[String]) -> Option<String> {
        let id = self.instances(home).into_iter().find(|id| !known.contains(id))?;
        self.address(&id).map(|ip| ip.to_string())
    }

    /// The ids of a home's pods: the containers that hold the addresses of members.
    pub fn pods(&self, home: &str) -> Vec<String> {
        self.of_purpose(home, "pod")
    }

    /// The pod that a server lives in.
    pub fn pod_of(&self, server: &str) -> String {
        let mode = self.inspect(server).host_config.and_then(|host| host.network_mode).unwrap_or_default();
        mode.strip_prefix("container:").unwrap_or_else(|| panic!("{server} has a network of its own")).to_owned()
    }

    fn of_purpose(&self, home: &str, purpose: &str) -> Vec<String> {
        let mut filters = label(home);
        filters.entry("label".to_owned()).or_default().push(format!("{PURPOSE}={purpose}"));
        let options = query::ListContainersOptionsBuilder::default().filters(&filters).build();
        let listed = self.runtime.block_on(self.docker.list_containers(Some(options))).unwrap();
        listed.into_iter().filter_map(|container| container.id).collect()
    }

    /// A container's address on its network, once it has one.
    pub fn address(&self, container: &str) -> Option<IpAddr> {
        let networks = self.inspect(container).network_settings?.networks?;
        networks.into_values().find_map(|network| network.ip_address?.parse().ok())
    }

    /// Starts a container of an image on Docker's own bridge; its id.
    pub fn run(&self, name: &str, image: &str, command: &[&str]) -> String {
        let options = query::CreateContainerOptionsBuilder::default().name(name).build();
        let command = command.iter().map(|&part| part.to_owned()).collect();
        let body = ContainerCreateBody { image: Some(image.to_owned()), cmd: Some(command), ..Default::default() };
        self.runtime.block_on(async {
            let id = self.docker.create_container(Some(options), body).await.unwrap().id;
            self.docker.start_container(&id, None::<query::StartContainerOptions>).await.unwrap();
            id
        })
    }

    /// When a container stopped (RFC 3339); `None` while it runs.
    pub fn finished_at(&self, container: &str) -> Option<String> {
        let found = self.runtime.block_on(self.docker.inspect_container(container, None)).ok()?;
        let state = found.state?;
        (state.running == Some(false)).then_some(state.finished_at?)
    }

    /// The home that a container belongs to.
    pub fn home_of(&self, container: &str) -> String {
        let labels = self.inspect(container).config.and_then(|config| config.labels).unwrap_or_default();
        labels.get(HOME).unwrap_or_else(|| panic!("{container} carries no label {HOME}")).clone()
    }

    /// The host's ids of all processes of a container, ascending.
    pub fn processes(&self, container: &str) -> Vec<String> {
        self.try_processes(container).unwrap_or_else(|| panic!("{container} runs"))
    }

    /// The same; `None` where it does not run.
    pub fn try_processes(&self, container: &str) -> Option<Vec<String>> {
        let top = self.runtime.block_on(self.docker.top_processes(container, None::<query::TopOptions>)).ok()?;
        let column = top.titles.unwrap_or_default().iter().position(|title| title == "PID")?;
        let mut pids: Vec<_> = top.processes.unwrap_or_default().into_iter().map(|row| row[column].clone()).collect();
        pids.sort();
        Some(pids)
    }

    /// The names of a home's running servers and pods of data services, in order.
    pub fn data_containers(&self, home: &str) -> Vec<String> {
        let options = query::ListContainersOptionsBuilder::default().filters(&label(home)).build();
        let listed = self.runtime.block_on(self.docker.list_containers(Some(options))).unwrap();
        let of_data = listed.into_iter().filter(|container| {
            let labels = container.labels.clone().unwrap_or_default();
            labels.get(PURPOSE).is_some_and(|purpose| ["member", "pod"].contains(&purpose.as_str()))
        });
        let mut names: Vec<String> = of_data.filter_map(|container| container.names?.pop()).collect();
        names.sort();
        names.into_iter().map(|name| name.trim_start_matches('/').to_owned()).collect()
    }

    /// Whether it ran, and was killed.
    pub fn strike(&self, container: &str) -> bool {
        self.runtime.block_on(self.docker.kill_container(container, None)).is_ok()
    }

    pub fn kill(&self, container: &str) {
        self.runtime.block_on(self.docker.kill_container(container, None)).unwrap();
    }

    pub fn pause(&self, container: &str) {
        self.runtime.block_on(self.docker.pause_container(container)).unwrap();
    }

    /// Whether it ran, and is paused.
    pub fn try_pause(&self, container: &str) -> bool {
        self.runtime.block_on(self.docker.pause_container(container)).is_ok()
    }

    /// Whether it was paused and runs again now.
    pub fn unpause(&self, container: &str) -> bool {
        self.runtime.block_on(self.docker.unpause_container(container)).is_ok()
    }

    /// Whether it was there, and is removed by force.
    pub fn remove(&self, container: &str) -> bool {
        let force = query::RemoveContainerOptionsBuilder::default().force(true).build();
        self.runtime.block_on(self.docker.remove_container(container, Some(force))).is_ok()
    }

    /// Takes a container off its network; the network and the address it had there.
    pub fn disconnect(&self, container: &str) -> Option<(String, String)> {
        let found = self.runtime.block_on(self.docker.inspect_container(container, None)).ok()?;
        let (network, endpoint) = found.network_settings?.networks?.into_iter().next()?;
        let request = NetworkDisconnectRequest { container: container.to_owned(), force: Some(true) };
        self.runtime.block_on(self.docker.disconnect_network(&network, request)).ok()?;
        Some((network, endpoint.ip_address.unwrap_or_default()))
    }

    /// Puts a container onto a network with an address, if it is still there.
    pub fn reconnect(&self, container: &str, network: &str, address: String) -> bool {
        let ipam = EndpointIpamConfig { ipv4_address: Some(address), ..EndpointIpamConfig::default() };
        let endpoint_config = Some(EndpointSettings { ipam_config: Some(ipam), ..EndpointSettings::default() });
        let request = NetworkConnectRequest { container: container.to_owned(), endpoint_config };
        self.runtime.block_on(self.docker.connect_network(network, request)).is_ok()
    }

    /// A volume of this many megabytes, under the name and the labels that the platform will look for.
    ///
    /// # Errors
    /// The engine's words where it has no such volumes.
    pub fn small_volume(&self, home: &str, app: &str, instance: &str, megabytes: u32) -> Result<(), String> {
        let owned = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let options = format!("size={megabytes}m,mode=0777");
        let request = VolumeCreateRequest {
            name: Some(format!("dcl-{home}-{app}-{instance}")),
            labels: Some([owned(HOME, home), owned(APP, app)].into()),
            driver_opts: Some([owned("type", "tmpfs"), owned("device", "tmpfs"), owned("o", &options)].into()),
            ..Default::default()
        };
        self.runtime.block_on(self.docker.create_volume(request)).map(drop).map_err(|error| error.to_string())
    }

    /// Runs a command in a container; returns when it has ended.
    pub fn command(&self, container: &str, command: &[&str]) {
        let cmd = Some(command.iter().map(|&word| word.to_owned()).collect());
        let options = CreateExecOptions { cmd, attach_stdout: Some(true), ..Default::default() };
        self.runtime.block_on(async {
            let exec = self.docker.create_exec(container, options).await.unwrap().id;
            let started = self.docker.start_exec(&exec, None).await.unwrap();
            let StartExecResults::Attached { mut output, .. } = started else { panic!("not attached") };
            while output.next().await.is_some() {}
        });
    }

    pub fn has_image(&self, image: &str) -> bool {
        self.runtime.block_on(self.docker.inspect_image(image)).is_ok()
    }

    /// Gives an image one more name.
    pub fn tag(&self, image: &str, repository: &str, tag: &str) {
        let options = query::TagImageOptionsBuilder::default().repo(repository).tag(tag).build();
        self.runtime.block_on(self.docker.tag_image(image, Some(options))).unwrap();
    }

    /// Takes a name from an image.
    pub fn untag(&self, name: &str) {
        let _ = self.runtime.block_on(self.docker.remove_image(name, None::<query::RemoveImageOptions>, None));
    }

    pub fn objects(&self, home: &str) -> Objects {
        self.runtime.block_on(async {
            Objects {
                containers: self.containers(home).await.len(),
                networks: self.networks(home).await.len(),
                volumes: self.volumes(home).await.len(),
            }
        })
    }

    /// What a failed test may have left behind. Nothing without the home's label is touched.
    pub fn remove_all(&self, home: &str) {
        self.runtime.block_on(async {
            let force = query::RemoveContainerOptionsBuilder::default().force(true).v(true).build();
            for container in self.containers(home).await {
                let _ = self.docker.remove_container(&container, Some(force.clone())).await;
            }
            for network in self.networks(home).await {
                let _ = self.docker.remove_network(&network).await;
            }
            for volume in self.volumes(home).await {
                let _ = self.docker.remove_volume(&volume, None::<query::RemoveVolumeOptions>).await;
            }
            for image in self.images(home).await {
                let _ = self.docker.remove_image(&image, None::<query::RemoveImageOptions>, None).await;
            }
        });
    }

    async fn containers(&self, home: &str) -> Vec<String> {
        let options = query::ListContainersOptionsBuilder::default().all(true).filters(&label(home)).build();
        let containers = self.docker.list_containers(Some(options)).await.unwrap();
        containers.into_iter().filter_map(|container| container.id).collect()
    }

    async fn networks(&self, home: &str) -> Vec<String> {
        let options = query::ListNetworksOptionsBuilder::default().filters(&label(home)).build();
        let networks = self.docker.list_networks(Some(options)).await.unwrap();
        networks.into_iter().filter_map(|network| network.id).collect()
    }

    /// Revisions that were built for this home; images of service types belong to the machine.
    async fn images(&self, home: &str) -> Vec<String> {
        let reference = HashMap::from([("reference".to_owned(), vec![format!("dcl-{home}/*")])]);
        let options = query::ListImagesOptionsBuilder::default().filters(&reference).build();
        let images = self.docker.list_images(Some(options)).await.unwrap();
        images.into_iter().flat_map(|image| image.repo_tags).collect()
    }

    async fn volumes(&self, home: &str) -> Vec<String> {
        let options = query::ListVolumesOptionsBuilder::default().filters(&label(home)).build();
        let volumes = self.docker.list_volumes(Some(options)).await.unwrap().volumes;
        volumes.unwrap_or_default().into_iter().map(|volume| volume.name).collect()
    }
}

fn label(home: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{HOME}={home}")])])
}
