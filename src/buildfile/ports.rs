//! `ports` of a service: names and kinds.

use std::collections::BTreeMap;

use super::diagnostic::quoted;
use super::node::Content;
use super::reader::{Entry, Reader};
use super::suggest;
use crate::model::{DATA_TYPES, PortKind, ServiceSpec, port_variable};

/// Names are part of host names, whose labels have 63 characters at most.
const LONGEST_NAME: usize = 32;

/// Custom ports by name, as written: `MC` stays `MC`.
pub(super) fn ports(reader: &mut Reader, owner: &Entry, type_name: Option<&str>) -> BTreeMap<String, PortKind> {
    let mut ports = BTreeMap::new();
    let entries = reader.entries(owner, "\"ports\"");
    if let Some(data) = type_name.filter(|name| DATA_TYPES.contains(name) && !entries.is_empty()) {
        let message = format!("A {data} service has no \"ports\": it has an address of its own");
        reader.error(owner.key_bytes.clone(), message, "Only code services may ask for ports: remove it");
    }
    for entry in entries {
        check_name(reader, &entry);
        check_taken(reader, &entry, &ports);
        if let Some(kind) = port_kind(reader, &entry) {
            check_http(reader, &entry, kind);
            ports.insert(entry.key, kind);
        }
    }
    ports
}

fn check_name(reader: &mut Reader, entry: &Entry) {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let named = (1..=LONGEST_NAME).contains(&entry.key.len()) && entry.key.bytes().all(allowed);
    if !named {
        let message = format!("{} is not a port's name", quoted(&entry.key));
        let hint = "Use 1 to 32 letters, digits and _; the variable PORT_<NAME> is made of it";
        reader.error(entry.key_bytes.clone(), message, hint);
    } else if port_variable(&entry.key) == "SSH" {
        let message = "PORT_SSH belongs to the platform";
        reader.error(entry.key_bytes.clone(), message, "Choose another name for the port");
    }
}

/// Two names that make one variable would be one port.
fn check_taken(reader: &mut Reader, entry: &Entry, known: &BTreeMap<String, PortKind>) {
    let variable = port_variable(&entry.key);
    if let Some(other) = known.keys().find(|other| **other != entry.key && port_variable(other) == variable) {
        let message = format!("The ports {} and {} are the same", quoted(other), quoted(&entry.key));
        let hint = format!("Both are PORT_{variable}: rename one of the two");
        reader.error(entry.key_bytes.clone(), message, hint);
    }
}

/// `DOTCLOUD_<SERVICE>_HTTP_URL` is where the service answers HTTP.
fn check_http(reader: &mut Reader, entry: &Entry, kind: PortKind) {
    if kind != PortKind::Http && port_variable(&entry.key) == "HTTP" {
        let hint = format!("Write \"{}: http\", or choose another name", entry.key);
        reader.error(reader.place(entry), "A port called \"http\" carries HTTP", hint);
    }
}

/// The platform's variables win over those of the build file.
pub(super) fn check_variable(reader: &mut Reader, entry: &Entry, ports: &BTreeMap<String, PortKind>) {
    if ports.keys().any(|name| format!("PORT_{}", port_variable(name)) == entry.key) {
        let message = format!("{} is a port of this service and set by the platform", quoted(&entry.key));
        reader.warn(entry.key_bytes.clone(), message, "Remove it: programs get the platform's number");
    }
}

/// The port `api` of `www` and the service `www_api` both are `DOTCLOUD_WWW_API_…` to others.
pub(super) fn warn_of_shared_variables(reader: &mut Reader, services: &[(&Entry, &ServiceSpec)]) {
    let variable = |spec: &ServiceSpec| spec.name.as_str().to_ascii_uppercase();
    let prefixes = |spec: &ServiceSpec| {
        spec.ports.keys().map(|name| format!("{}_{}", variable(spec), port_variable(name))).collect::<Vec<_>>()
    };
    for (entry, spec) in services {
        let others = || services.iter().filter(|(_, other)| other.name != spec.name);
        for prefix in prefixes(spec) {
            let clash = others().find(|(_, other)| variable(other) == prefix || prefixes(other).contains(&prefix));
            if let Some((_, other)) = clash {
                reader.service = Some(entry.key.clone());
                let message = format!("The services \"{}\" and \"{}\" share variables", spec.name, other.name);
                let hint = format!("A port of one makes DOTCLOUD_{prefix}_… of both: rename the port");
                reader.warn(entry.key_bytes.clone(), message, hint);
            }
        }
    }
}

fn port_kind(reader: &mut Reader, entry: &Entry) -> Option<PortKind> {
    let tree = reader.tree;
    let written = match tree.content(entry.value) {
        Content::Scalar { text, .. } => text.as_str(),
        _ => "",
    };
    match written.to_ascii_lowercase().as_str() {
        "http" => return Some(PortKind::Http),
        "tcp" => return Some(PortKind::Tcp),
        "udp" => return Some(PortKind::Udp),
        _ => {}
    }
    let number = !written.is_empty() && written.bytes().all(|byte| byte.is_ascii_digit());
    let (message, hint) = if number {
        let hint = format!(
            "Write \"{}: http\" (or tcp, udp) and let the program listen on $PORT_{}",
            entry.key,
            entry.key.to_uppercase()
        );
        ("A port has a kind here, not a number: the platform chooses the number".to_owned(), hint)
    } else {
        let near = suggest::nearest(written, ["http", "tcp", "udp"]);
        let hint = near.map_or("Write http, tcp or udp".to_owned(), |near| format!("Did you mean \"{near}\"?"));
        (format!("Unknown kind of port {}", quoted(written)), hint)
    };
    reader.error(reader.place(entry), message, hint);
    None
}
