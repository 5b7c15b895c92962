//! The environment of an instance (platform.md, §4): who it is, where the others are, what the
//! user set. The same variables go into environment.json and every process.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Catalog, DataSpec, ServiceType};
use crate::model::{InstanceName, PortKind, ServiceName, ServiceSpec};
use crate::store::{AppRecord, ServiceRecord, Version};

use super::naming::internal_host;
use super::ports::{self, Port, members};

/// Variables of one instance of a code service in the given version.
pub fn of_instance(
    record: &AppRecord,
    version: &Version,
    instance: &InstanceName,
    catalog: &Catalog,
    http_port: u16,
) -> BTreeMap<String, String> {
    let mut variables = of_services(record, catalog, http_port);
    variables.extend(version.spec.environment.clone());
    variables.extend(version.environment.clone());
    if let Some(kind) = catalog.get(&version.spec.type_name) {
        variables.extend(to_bind(&version.spec, kind));
    }
    variables.extend(identity(record, &instance.service, instance.index));
    variables
}

/// Where every service is, and what the user set for the whole application: what no single service
/// or instance has to itself.
pub fn of_app(record: &AppRecord, catalog: &Catalog, http_port: u16) -> BTreeMap<String, String> {
    let mut variables = of_services(record, catalog, http_port);
    variables.extend(record.environment.clone());
    variables
}

fn of_services(record: &AppRecord, catalog: &Catalog, http_port: u16) -> BTreeMap<String, String> {
    record.services.iter().flat_map(|service| addresses(record, service, catalog, http_port)).collect()
}

/// The numbers of the front that every instance's variables name: when others are to be named,
/// what runs has to be deployed again to know.
pub fn told_fronts(record: &AppRecord, catalog: &Catalog) -> BTreeSet<u16> {
    let of_service = |service: &ServiceRecord| {
        let ports = catalog.get(&service.type_name).map(|kind| ports::of(service.newest_spec(), kind));
        let direct = ports.unwrap_or_default().into_iter().filter(|port| port.kind != PortKind::Http);
        let told = service.instances as usize;
        direct
            .flat_map(|port| {
                service.custom_fronts.get(&port.label()).cloned().unwrap_or_default().into_iter().take(told)
            })
            .collect::<Vec<u16>>()
    };
    record.services.iter().flat_map(of_service).chain(members::told(record, catalog)).collect()
}

fn identity(record: &AppRecord, service: &ServiceName, index: u32) -> impl Iterator<Item = (String, String)> {
    [
        ("DOTCLOUD_PROJECT", record.name.to_string()),
        ("DOTCLOUD_SERVICE_NAME", service.to_string()),
        ("DOTCLOUD_SERVICE_ID", index.to_string()),
        ("DOTCLOUD_ENVIRONMENT", "default".to_owned()),
        ("DOTCLOUD_FLAVOR", record.flavor.clone()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
}

/// `PORT_<NAME>`: where the instance listens. A declared port that is the type's own has the
/// variable of the type as well.
fn to_bind(spec: &ServiceSpec, kind: &ServiceType) -> BTreeMap<String, String> {
    let own = kind.http_port.map(|port| (kind.own_port_variable().to_owned(), port.to_string()));
    let port = |port: Port| (format!("PORT_{}", port.variable), port.number.to_string());
    own.into_iter().chain(ports::of(spec, kind).into_iter().map(port)).collect()
}

/// How the other services find this one.
fn addresses(
    record: &AppRecord,
    service: &ServiceRecord,
    catalog: &Catalog,
    http_port: u16,
) -> BTreeMap<String, String> {
    let Some(kind) = catalog.get(&service.type_name) else { return BTreeMap::new() };
    let prefix = format!("DOTCLOUD_{}", service.name.as_str().to_ascii_uppercase());
    let host = internal_host(&record.name, &service.name);
    if let Some(data) = &kind.data {
        return data_addresses(record, &prefix, &host, service, data);
    }
    let mut variables = BTreeMap::new();
    for port in ports::of(service.newest_spec(), kind) {
        let named = format!("{prefix}_{}", port.variable);
        match port.kind {
            PortKind::Http => variables.extend(http_addresses(record, service, &port, &prefix, &named, http_port)),
            PortKind::Tcp => variables.extend(direct_addresses("tcp", &host, service, &port, &named)),
            PortKind::Udp => variables.extend(direct_addresses("udp", &host, service, &port, &named)),
        }
    }
    variables
}

/// `DOTCLOUD_WWW_HTTP_URL` for the main port, `DOTCLOUD_WWW_ADMIN_HTTP_URL` for every declared one.
fn http_addresses(
    record: &AppRecord,
    service: &ServiceRecord,
    port: &Port,
    prefix: &str,
    named: &str,
    http_port: u16,
) -> Vec<(String, String)> {
    let prefixes =
        [(port.main, prefix), (port.declared, named)].into_iter().filter_map(|(is, prefix)| is.then_some(prefix));
    let hosts = port.internal_hosts(&record.name, &service.name);
    let pair = |(prefix, host): (&str, String)| {
        let authority = format!("{host}:{http_port}");
        [(format!("{prefix}_HTTP_URL"), format!("http://{authority}/")), (format!("{prefix}_HTTP_HOST"), authority)]
    };
    prefixes.zip(hosts).flat_map(pair).collect()
}

/// `DOTCLOUD_WWW_LOGS_{HOST,PORT,URL}` for instance 0; of a scaled service also with `_<n>` for
/// each instance.
fn direct_addresses(
    scheme: &str,
    host: &str,
    service: &ServiceRecord,
    port: &Port,
    named: &str,
) -> Vec<(String, String)> {
    let numbers = service.custom_fronts.get(&port.label()).into_iter().flatten().zip(0..service.instances);
    let of_instance = |(number, index): (&u16, u32)| {
        let plain = (index == 0).then(String::new);
        let suffixed = (service.instances > 1).then(|| format!("_{index}"));
        let number = *number;
        plain.into_iter().chain(suffixed).flat_map(move |suffix| {
            [
                (format!("{named}_HOST{suffix}"), host.to_owned()),
                (format!("{named}_PORT{suffix}"), number.to_string()),
                (format!("{named}_URL{suffix}"), format!("{scheme}://{host}:{number}")),
            ]
        })
    };
    numbers.flat_map(of_instance).collect()
}

fn data_addresses(
    record: &AppRecord,
    prefix: &str,
    host: &str,
    service: &ServiceRecord,
    data: &DataSpec,
) -> BTreeMap<String, String> {
    let port = service.front_port.unwrap_or_default();
    let password = service.password.as_deref().unwrap_or_default();
    let prefix = format!("{prefix}_{}", data.kind_variable);
    let mut variables = BTreeMap::from([
        (format!("{prefix}_HOST"), host.to_owned()),
        (format!("{prefix}_PORT"), port.to_string()),
        (format!("{prefix}_URL"), data_url(record, data, service, host)),
    ]);
    if !data.login.is_empty() {
        variables.insert(format!("{prefix}_LOGIN"), data.login.clone());
        variables.insert(format!("{prefix}_PASSWORD"), password.to_owned());
    }
    variables
}

/// `redis://root:pw@host:port`; of a service whose members have addresses of their own, all of
/// them, which are the same in containers and on the host.
pub fn data_url(record: &AppRecord, data: &DataSpec, service: &ServiceRecord, host: &str) -> String {
    let password = service.password.as_deref().unwrap_or_default();
    let members = if data.member_ports { members::addresses(record, service) } else { Vec::new() };
    if members.is_empty() {
        return data.url(password, &[format!("{host}:{}", service.front_port.unwrap_or_default())]);
    }
    data.url(password, &members)
}
