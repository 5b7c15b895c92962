//! Numbers of the front for a service's ports: chosen once, kept until the service goes.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use crate::catalog::{Catalog, ServiceType};
use crate::model::{AppName, PortKind, ServiceSpec};
use crate::store::{AppRecord, ServiceRecord};

use super::{Port, members};

/// Ports of the front: below the range that the kernel hands out by itself.
const NUMBERS: std::ops::Range<u16> = 20000..30000;

/// What numbers are chosen among.
pub struct Claim<'a> {
    pub home_id: &'a str,
    pub app: &'a AppName,
    /// Of all applications; grows with what is chosen.
    pub taken: BTreeSet<u16>,
}

impl Claim<'_> {
    /// Gives a service the numbers that it lacks, for the ports of `spec` and its instances.
    /// What it has it keeps, so that doing it twice changes nothing more.
    ///
    /// # Errors
    /// No number is left.
    pub fn complete(
        &mut self,
        service: &mut ServiceRecord,
        spec: &ServiceSpec,
        kind: &ServiceType,
    ) -> Result<(), String> {
        let ports = super::of(spec, kind);
        let has_main = kind.data.is_some() || ports.iter().any(|port| port.main);
        if service.front_port.is_none() && has_main {
            service.front_port = Some(self.number(service.name.as_str())?);
        }
        for port in ports.iter().filter(|port| !port.main) {
            self.complete_port(service, port)?;
        }
        if kind.data.as_ref().is_some_and(|data| data.member_ports) {
            self.complete_numbers(service, members::LABEL, service.instances as usize)?;
        }
        Ok(())
    }

    /// The same for all services, as they are deployed or being deployed.
    ///
    /// # Errors
    /// No number is left.
    pub fn complete_newest(&mut self, record: &mut AppRecord, catalog: &Catalog) -> Result<(), String> {
        for service in record.services.iter_mut().filter(|service| !service.doomed) {
            let Some(kind) = catalog.get(&service.type_name) else { continue };
            self.complete(service, &service.newest_spec().clone(), kind)?;
        }
        Ok(())
    }

    fn complete_port(&mut self, service: &mut ServiceRecord, port: &Port) -> Result<(), String> {
        let wanted = if port.kind == PortKind::Http { 1 } else { service.instances as usize };
        self.complete_numbers(service, &port.label(), wanted)
    }

    fn complete_numbers(&mut self, service: &mut ServiceRecord, label: &str, wanted: usize) -> Result<(), String> {
        let numbers = service.custom_fronts.entry(label.to_owned()).or_default();
        while numbers.len() < wanted {
            numbers.push(self.number(&format!("{}/{label}/{}", service.name, numbers.len()))?);
        }
        Ok(())
    }

    /// The same name gets the same number on every machine, as long as it is free.
    fn number(&mut self, name: &str) -> Result<u16, String> {
        let start = first_choice(&[self.home_id, "/", self.app.as_str(), "/", name].concat());
        let is_free = |number: &u16| !self.taken.contains(number) && nobody_listens(*number);
        let number = (start..NUMBERS.end).chain(NUMBERS.start..start).find(is_free);
        let number = number.ok_or("no port between 20000 and 29999 is free on 127.0.0.1")?;
        self.taken.insert(number);
        Ok(number)
    }
}

fn first_choice(name: &str) -> u16 {
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(16_777_619);
    let hash = name.bytes().fold(2_166_136_261, mix);
    NUMBERS.start + u16::try_from(hash % u32::from(NUMBERS.end - NUMBERS.start)).unwrap_or_default()
}

/// Asked of both protocols: a port may change its kind.
fn nobody_listens(number: u16) -> bool {
    let addr = (Ipv4Addr::LOCALHOST, number);
    TcpListener::bind(addr).is_ok() && UdpSocket::bind(addr).is_ok()
}
