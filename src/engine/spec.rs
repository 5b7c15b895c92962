//! Container specifications of instances, pods and members, from the store's record.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::catalog::{DataSpec, ServiceType};
use crate::model::observed::ObservedNetwork;
use crate::model::{InstanceName, ServiceSpec};
use crate::store::{AppRecord, ServiceRecord};

use super::deploy::approots;
use super::environment;
use super::inner::Inner;
use super::naming::internal_host;
use super::ports;
use super::runtime::{Attachment, ContainerSpec, Identity, Purpose, RuntimeError};

/// Where an instance finds the volume that keeps its `~/data` (`templates/_common/data`).
const KEPT_PATH: &str = "/var/dotcloud/kept";

/// Something the record names is not there.
fn missing(what: String) -> RuntimeError {
    RuntimeError::Missing { what }
}

/// What a specification is made from.
pub struct Specs<'a> {
    pub inner: &'a Inner,
    pub record: &'a AppRecord,
    pub network: &'a ObservedNetwork,
}

impl Specs<'_> {
    /// An instance of a code service in the version of this generation.
    pub fn instance(&self, instance: &InstanceName, generation: u64) -> Result<ContainerSpec, RuntimeError> {
        let service = self.service(instance)?;
        let version = service
            .version(generation)
            .ok_or_else(|| missing(format!("generation {generation} of {}", service.name)))?;
        let http_port = self.inner.config.http_port;
        let env = environment::of_instance(self.record, version, instance, &self.inner.catalog, http_port);
        Ok(ContainerSpec {
            // The boot script writes environment.json from this; other processes do not inherit it.
            command: Some(vec![environment_json(&env)]),
            env,
            image: version.image.clone(),
            memory: Some(service.memory),
            attachment: Attachment::Network { name: self.network.name.clone(), ip: None },
            volumes: vec![(self.inner.naming.volume(&self.record.name, instance), KEPT_PATH.to_owned())],
            shared: self.shared(&version.spec),
            overlay: version.overlay.as_ref().map(|overlay| overlay.file.clone()),
            ..self.base(instance, Purpose::Code, generation)
        })
    }

    fn shared(&self, spec: &ServiceSpec) -> Vec<(String, String)> {
        let volume = |name: &String| self.inner.naming.shared_volume(&self.record.name, name);
        spec.shared_folders.iter().map(|(name, path)| (volume(name), path.clone())).collect()
    }

    /// The idle container that owns a member's address. It has the member's volume as well, so that
    /// the disk can be looked at while the server does not run.
    pub fn pod(&self, instance: &InstanceName, image: String) -> Result<ContainerSpec, RuntimeError> {
        let service = self.service(instance)?;
        let kind = self.kind(service)?;
        Ok(ContainerSpec {
            image,
            command: Some(kind.pod_command()),
            attachment: Attachment::Network { name: self.network.name.clone(), ip: None },
            volumes: self.data_volume(instance, self.data(kind)?),
            ..self.base(instance, Purpose::Pod, 0)
        })
    }

    /// A member's server, in the namespace of its pod. It boots safe: never writable.
    pub fn member(&self, instance: &InstanceName, pod: &str, image: String) -> Result<ContainerSpec, RuntimeError> {
        let service = self.service(instance)?;
        let kind = self.kind(service)?;
        let data = self.data(kind)?;
        let password = service.password.as_deref().unwrap_or_default();
        let command = kind.member_command(instance.index, password, service.memory);
        Ok(ContainerSpec {
            image,
            command: Some(kind.configured(command, &service.spec.config)),
            overlay: data.approot.then(|| approots::file(&self.inner.config.home, self.record, &service.name)),
            attachment: Attachment::Pod(pod.to_owned()),
            memory: Some(service.memory),
            volumes: self.data_volume(instance, data),
            hostname: None,
            hosts: Vec::new(),
            ..self.base(instance, Purpose::Member, 0)
        })
    }

    fn data_volume(&self, instance: &InstanceName, data: &DataSpec) -> Vec<(String, String)> {
        vec![(self.inner.naming.volume(&self.record.name, instance), data.data_path.clone())]
    }

    pub fn type_name(&self, instance: &InstanceName) -> Result<String, RuntimeError> {
        Ok(self.service(instance)?.type_name.clone())
    }

    fn base(&self, instance: &InstanceName, purpose: Purpose, generation: u64) -> ContainerSpec {
        let app = &self.record.name;
        ContainerSpec {
            identity: Identity { app: app.clone(), instance: instance.clone(), purpose, generation },
            name: self.inner.naming.container(app, instance, purpose, generation),
            image: String::new(),
            command: None,
            env: BTreeMap::new(),
            hostname: Some(format!("{app}-default-{}-{}", instance.service, instance.index)),
            hosts: self.hosts(),
            attachment: Attachment::Default,
            memory: None,
            volumes: Vec::new(),
            shared: Vec::new(),
            overlay: None,
        }
    }

    /// Docker's `host-gateway` is the wrong bridge, so every name leads to this network's gateway.
    fn hosts(&self) -> Vec<(String, IpAddr)> {
        let app = &self.record.name;
        let ports = |service: &ServiceRecord| {
            let kind = self.inner.catalog.get(&service.type_name);
            kind.map(|kind| ports::of(service.newest_spec(), kind)).unwrap_or_default()
        };
        let mut names = BTreeSet::new();
        for service in &self.record.services {
            names.insert(internal_host(app, &service.name));
            names.extend(ports(service).iter().flat_map(|port| port.internal_hosts(app, &service.name)));
        }
        names.into_iter().map(|name| (name, IpAddr::V4(self.network.gateway))).collect()
    }

    fn service(&self, instance: &InstanceName) -> Result<&ServiceRecord, RuntimeError> {
        self.record.service(&instance.service).ok_or_else(|| missing(format!("service {}", instance.service)))
    }

    fn kind(&self, service: &ServiceRecord) -> Result<&ServiceType, RuntimeError> {
        let kind = self.inner.catalog.get(&service.type_name);
        kind.ok_or_else(|| missing(format!("service type {}", service.type_name)))
    }

    fn data<'a>(&self, kind: &'a ServiceType) -> Result<&'a DataSpec, RuntimeError> {
        kind.data.as_ref().ok_or_else(|| missing(format!("data section of service type {}", kind.name)))
    }
}

/// One key per line: applications of 2012 read the file line by line.
fn environment_json(env: &BTreeMap<String, String>) -> String {
    serde_json::to_string_pretty(env).unwrap_or_default()
}
