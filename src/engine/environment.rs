//! The environment of an instance (platform.md, §4): who it is, where the others are, what the
//! user set. The same variables go into environment.json and every process.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, DataSpec};
use crate::model::{InstanceName, ServiceName};
use crate::store::{AppRecord, ServiceRecord, Version};

use super::naming::internal_host;

/// Variables of one instance of a code service in the given version.
pub fn of_instance(
    record: &AppRecord,
    version: &Version,
    instance: &InstanceName,
    catalog: &Catalog,
    http_port: u16,
) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for service in &record.services {
        variables.extend(addresses(record, service, catalog, http_port));
    }
    variables.extend(version.spec.environment.clone());
    variables.extend(version.environment.clone());
    let own = catalog.get(&version.spec.type_name).and_then(|kind| kind.http_port);
    variables.extend(own.map(|port| ("PORT_HTTP".to_owned(), port.to_string())));
    variables.extend(identity(record, &instance.service, instance.index));
    variables
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
        return data_addresses(&prefix, &host, service, data);
    }
    if kind.http_port.is_none() {
        return BTreeMap::new();
    }
    let authority = format!("{host}:{http_port}");
    [(format!("{prefix}_HTTP_URL"), format!("http://{authority}/")), (format!("{prefix}_HTTP_HOST"), authority)].into()
}

fn data_addresses(prefix: &str, host: &str, service: &ServiceRecord, data: &DataSpec) -> BTreeMap<String, String> {
    let port = service.front_port.unwrap_or_default();
    let password = service.password.as_deref().unwrap_or_default();
    let prefix = format!("{prefix}_{}", data.kind_variable);
    [
        (format!("{prefix}_HOST"), host.to_owned()),
        (format!("{prefix}_PORT"), port.to_string()),
        (format!("{prefix}_LOGIN"), data.login.clone()),
        (format!("{prefix}_PASSWORD"), password.to_owned()),
        (format!("{prefix}_URL"), data_url(data, host, port, password)),
    ]
    .into()
}

/// `redis://root:pw@host:port`.
pub fn data_url(data: &DataSpec, host: &str, port: u16, password: &str) -> String {
    format!("{}://{}:{password}@{host}:{port}", data.url_scheme, data.login)
}
