//! Answers to `info`, `list`, `url`, `status`.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use crate::model::observed::{ObservedContainer, Purpose, RunState};
use crate::model::{AppName, InstanceName, PortKind, ServiceName};
use crate::store::{ServiceRecord, Version};

use super::app::{App, AppStatus};
use super::environment::data_url;
use super::handle::{Engine, EngineError, Result};
use super::ports::Port;
use super::ports::routes::{Front, fronts};
use super::view::{AppView, InstanceState, InstanceView, PortView, ServiceView, SharedFolderView};

impl Engine {
    pub async fn apps(&self) -> Result<Vec<AppView>> {
        let views = self.inner().all_apps().into_iter().map(|app| async move { self.view(&app).await });
        join_all(views).await.into_iter().collect()
    }

    pub async fn app(&self, app: &AppName) -> Result<AppView> {
        let app = self.seen_app(app).await?;
        self.view(&app).await
    }

    pub async fn service(&self, app: &AppName, service: &ServiceName) -> Result<ServiceView> {
        let app = self.seen_app(app).await?;
        let record = app.record();
        let missing = || EngineError::NotFound(format!("The service \"{service}\" does not exist."));
        let service = record.service(service).ok_or_else(missing)?;
        self.service_view(&app, service).await
    }

    async fn view(&self, app: &App) -> Result<AppView> {
        let record = app.record();
        let services = join_all(record.services.iter().map(|service| self.service_view(app, service))).await;
        let mut revisions = record.services.iter().filter_map(|service| Some(service.serving.as_ref()?.label()));
        Ok(AppView {
            name: record.name.clone(),
            flavor: record.flavor.clone(),
            revision: revisions.next(),
            up: record.up,
            services: services.into_iter().collect::<Result<_>>()?,
            holds: app.status.borrow().holds.clone(),
            failed_requests: self.inner().traffic.refusals(&app.name),
        })
    }

    async fn service_view(&self, app: &App, service: &ServiceRecord) -> Result<ServiceView> {
        let status = app.status.borrow().clone();
        let instances = (0..service.instances).map(|index| self.instance_view(app, service, index, &status));
        let kind = self.inner().catalog.get(&service.type_name);
        let data = kind.and_then(|kind| kind.data.as_ref());
        let address = data
            .filter(|_| service.front_port.is_some())
            .map(|data| data_url(&app.record(), data, service, "127.0.0.1"));
        Ok(ServiceView {
            name: service.name.clone(),
            type_name: service.type_name.clone(),
            is_data: service.is_data,
            instance_count: service.instances,
            memory: service.memory,
            config: config_text(service),
            shared_folders: self.shared_folders(app, service),
            urls: self.urls(app, service),
            address,
            in_build_file: service.in_build_file,
            instances: join_all(instances).await,
            group: status.groups.get(&service.name).cloned(),
            receipts: self.inner().store.receipts(&app.name, &service.name).await?,
            traffic: service.front_port.filter(|_| service.is_data).and_then(|port| self.inner().traffic.tcp(port)),
        })
    }

    fn shared_folders(&self, app: &App, service: &ServiceRecord) -> Vec<SharedFolderView> {
        let view = |(name, path): (&String, &String)| SharedFolderView {
            name: name.clone(),
            path: path.clone(),
            volume: self.inner().naming.shared_volume(&app.name, name),
        };
        service.spec.shared_folders.iter().map(view).collect()
    }

    fn urls(&self, app: &App, service: &ServiceRecord) -> Vec<String> {
        let fronts = fronts(service, &self.inner().catalog).into_iter();
        let urls = |front: Front<'_>| {
            let named = self.named_url(app, service, &front.port);
            named.into_iter().chain([format!("http://127.0.0.1:{}", front.number)])
        };
        fronts.filter(|front| front.port.kind == PortKind::Http).flat_map(urls).collect()
    }

    fn named_url(&self, app: &App, service: &ServiceRecord, port: &Port) -> Option<String> {
        let host = port.public_hosts(&app.name, &service.name).into_iter().next()?;
        Some(format!("http://{host}:{}", self.inner().config.http_port))
    }

    /// The main HTTP port is the service's, not among them.
    fn own_ports(&self, app: &App, service: &ServiceRecord, index: u32) -> Vec<PortView> {
        let view = |front: Front<'_>| {
            let url = match front.port.kind {
                PortKind::Http => self.named_url(app, service, &front.port)?,
                PortKind::Tcp => format!("tcp://127.0.0.1:{}", front.number),
                PortKind::Udp => format!("udp://127.0.0.1:{}", front.number),
            };
            Some(PortView { name: front.port.label(), url })
        };
        let of_instance =
            |front: &Front<'_>| !front.port.main && (front.port.kind == PortKind::Http || front.index == index);
        fronts(service, &self.inner().catalog).into_iter().filter(of_instance).filter_map(view).collect()
    }

    async fn instance_view(&self, app: &App, service: &ServiceRecord, index: u32, status: &AppStatus) -> InstanceView {
        let name = service.name.instance(index);
        let generation = service.serving.as_ref().map(|version| version.generation);
        let revision = service.serving.as_ref().map(Version::label);
        let disk = app.disks.of(&name);
        let Some(container) =
            find(status, &name, Purpose::Member, None).or_else(|| find(status, &name, Purpose::Code, generation))
        else {
            return InstanceView { disk, ..absent(name, revision) };
        };
        let ports = self.own_ports(app, service, index);
        let running = matches!(container.state, RunState::Running | RunState::Paused);
        let memory_used = match running {
            true => self.inner().runtime.memory_used(&container.id).await.ok(),
            false => None,
        };
        let pod = find(status, &container.identity.instance, Purpose::Pod, None);
        InstanceView {
            name,
            container: container.id.clone(),
            container_name: container.name.clone(),
            image: container.image.clone(),
            revision,
            state: state_of(container, status),
            memory_limit: container.memory,
            memory_used,
            disk,
            ports,
            ip: container.ip.or_else(|| pod.and_then(|pod| pod.ip)),
            pid: container.pid,
            started_at: container.started_at.clone(),
        }
    }
}

fn find<'a>(
    status: &'a AppStatus,
    instance: &InstanceName,
    purpose: Purpose,
    generation: Option<u64>,
) -> Option<&'a ObservedContainer> {
    status.observed.containers.iter().find(|container| {
        let identity = &container.identity;
        let same_generation = purpose != Purpose::Code || Some(identity.generation) == generation;
        identity.purpose == purpose && identity.instance == *instance && same_generation
    })
}

fn state_of(container: &ObservedContainer, status: &AppStatus) -> InstanceState {
    let answers = container.identity.purpose != Purpose::Code || status.responsive.contains(&container.id);
    match container.state {
        RunState::Running if answers => InstanceState::Up,
        RunState::Running | RunState::Created => InstanceState::Starting,
        RunState::Paused => InstanceState::Paused,
        RunState::Exited { .. } => InstanceState::Down,
    }
}

fn absent(name: InstanceName, revision: Option<String>) -> InstanceView {
    InstanceView {
        name,
        container: String::new(),
        container_name: String::new(),
        image: String::new(),
        revision,
        state: InstanceState::Down,
        memory_limit: None,
        memory_used: None,
        disk: None,
        ip: None,
        ports: Vec::new(),
        pid: None,
        started_at: None,
    }
}

fn config_text(service: &ServiceRecord) -> BTreeMap<String, String> {
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    service.spec.config.iter().map(|(key, value)| (key.clone(), text(value))).collect()
}
