//! The ports of a code service: the type's own and those of the build file (platform.md, §6).
//!
//! Inside the instance a port has a number to bind, which depends on the service alone. Outside,
//! HTTP ports have names that the front routes by, and every TCP and UDP port of every instance
//! has a number of the front (`claim`), which stays as long as the service.

pub mod claim;
pub mod members;
pub mod routes;

use std::collections::BTreeMap;

use crate::catalog::ServiceType;
use crate::model::{AppName, PortKind, ServiceName, ServiceSpec, port_variable};

use super::naming::{internal_host, public_host};

/// The number of the first custom port, as in 2012.
const FIRST: u16 = 42800;
/// Of several HTTP ports, the one that has the service's name for itself.
const MAIN: &str = "WWW";

/// One port of every instance of a code service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// `WWW`: part of `PORT_WWW` and of what others connect to.
    pub variable: String,
    pub kind: PortKind,
    /// To be bound in the instance.
    pub number: u16,
    /// In the build file, not only the type's.
    pub declared: bool,
    /// HTTP: answers under the name of the service.
    pub main: bool,
}

/// All ports of a service, the main one first; none for data services.
///
/// - Custom ports are numbered from 42800, in the order of their names.
/// - The main HTTP port is the type's own, else `www`, else the first.
/// - A declared HTTP port *is* the type's own port when it has its name (`http`), and, where the
///   application itself listens on that (`port_variable`), when it is the first: so
///   `ports: {www: http}` of a nodejs service works whichever of both variables is read.
pub fn of(spec: &ServiceSpec, kind: &ServiceType) -> Vec<Port> {
    if kind.data.is_some() {
        return Vec::new();
    }
    let variable_of_own = kind.own_port_variable().trim_start_matches("PORT_");
    let mut ports = declared(spec);
    if let Some(number) = kind.http_port {
        let named = ports.iter().position(|port| port.variable == variable_of_own && port.kind == PortKind::Http);
        let own = named.or_else(|| main_of(&ports).filter(|_| kind.port_variable.is_some()));
        match own {
            Some(at) => (ports[at].number, ports[at].main) = (number, true),
            None => {
                let variable = variable_of_own.to_owned();
                ports.push(Port { variable, kind: PortKind::Http, number, declared: false, main: true });
            }
        }
    } else if let Some(at) = main_of(&ports) {
        ports[at].main = true;
    }
    ports.sort_by_key(|port| !port.main);
    ports
}

/// By name, none of them the main one yet.
fn declared(spec: &ServiceSpec) -> Vec<Port> {
    let named: BTreeMap<String, PortKind> =
        spec.ports.iter().map(|(name, kind)| (port_variable(name), *kind)).collect();
    let port = |((variable, kind), number)| Port { variable, kind, number, declared: true, main: false };
    named.into_iter().zip(FIRST..).map(port).collect()
}

fn main_of(ports: &[Port]) -> Option<usize> {
    let http = |port: &Port| port.kind == PortKind::Http;
    let named = ports.iter().position(|port| http(port) && port.variable == MAIN);
    named.or_else(|| ports.iter().position(http))
}

/// The ports that tell whether an instance is ready: its HTTP ports, which must answer, else its
/// TCP ports, which must accept. UDP cannot be asked. Where the application itself listens on the
/// type's port, it need not when the build file names other ports that can be asked.
pub fn asked(spec: &ServiceSpec, kind: &ServiceType) -> Vec<Port> {
    let mut ports = of(spec, kind);
    ports.retain(|port| port.kind != PortKind::Udp);
    if kind.port_variable.is_some() && ports.iter().any(|port| port.declared) {
        ports.retain(|port| port.declared);
    }
    if ports.iter().any(|port| port.kind == PortKind::Http) {
        ports.retain(|port| port.kind == PortKind::Http);
    }
    ports
}

// === impl Port ===

impl Port {
    /// `www`: part of host names, and the name in `info`.
    pub fn label(&self) -> String {
        self.variable.to_ascii_lowercase()
    }

    /// What browsers call an HTTP port: the main one `<service>.<app>.localhost`, every declared
    /// one `<port>-<service>.<app>.localhost` as well. Services have no `-` in their names, so no
    /// two ports of an application have the same name.
    pub fn public_hosts(&self, app: &AppName, service: &ServiceName) -> Vec<String> {
        self.hosts(service, |name| public_host(app, name))
    }

    /// The same for containers, under `.dc.internal`.
    pub fn internal_hosts(&self, app: &AppName, service: &ServiceName) -> Vec<String> {
        self.hosts(service, |name| internal_host(app, name))
    }

    fn hosts(&self, service: &ServiceName, host: impl Fn(&str) -> String) -> Vec<String> {
        let is = |condition: bool| condition && self.kind == PortKind::Http;
        let plain = is(self.main).then(|| host(service.as_str()));
        let named = is(self.declared).then(|| host(&format!("{}-{service}", self.label())));
        plain.into_iter().chain(named).collect()
    }
}

#[cfg(test)]
mod tests;
