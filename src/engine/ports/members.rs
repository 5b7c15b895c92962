//! Addresses of single members, for data services whose members name one another (`member_ports`
//! of the type): a number of the front for each, on loopback and on the application's gateway. The
//! gateway's address with this number is what everybody calls the member by: clients in
//! containers and on the host, and the other members.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::catalog::{Catalog, DataSpec};
use crate::engine::fronts::{Wanted, parse_subnet};
use crate::engine::traffic::{Peers, Service};
use crate::model::observed::{ObservedApp, ObservedContainer, Purpose, RunState};
use crate::model::{Backend, TcpRoute, TcpState};
use crate::store::{AppRecord, ServiceRecord};

/// The numbers' name among a service's other ones.
pub const LABEL: &str = "member";

/// Whether the members of this service have numbers.
pub fn of<'a>(service: &ServiceRecord, catalog: &'a Catalog) -> Option<&'a DataSpec> {
    let data = catalog.get(&service.type_name)?.data.as_ref()?;
    data.member_ports.then_some(data)
}

/// The gateway's address with a member's number.
pub fn address(record: &AppRecord, service: &ServiceRecord, index: u32) -> Option<SocketAddr> {
    let number = service.custom_fronts.get(LABEL)?.get(index as usize)?;
    let (base, _) = parse_subnet(record.subnet.as_ref()?)?;
    Some(SocketAddr::from((Ipv4Addr::from_bits(base.to_bits() + 1), *number)))
}

/// Where all members of a service are found that are to stay.
pub fn addresses(record: &AppRecord, service: &ServiceRecord) -> Vec<String> {
    (0..service.instances).filter_map(|index| Some(address(record, service, index)?.to_string())).collect()
}

/// A member's number leads to its pod for as long as that is there: who leaves is one of a
/// majority until the others agreed to do without it.
pub fn routes(record: &AppRecord, catalog: &Catalog, observed: &ObservedApp) -> BTreeMap<u16, Arc<TcpRoute>> {
    let route = |member: Member<'_>| {
        let state = match member.pod.and_then(|pod| backend(pod, member.data.port)) {
            Some(backend) => TcpState::Instance(backend),
            None => TcpState::Gated,
        };
        let route =
            TcpRoute { app: record.name.clone(), service: member.service.name.clone(), state, refusal: Arc::default() };
        (member.number, Arc::new(route))
    };
    members(record, catalog, observed).map(route).collect()
}

pub fn listeners(
    record: &AppRecord,
    catalog: &Catalog,
    observed: &ObservedApp,
    gateway: Option<(Ipv4Addr, Peers)>,
) -> Vec<Wanted> {
    let addresses: Vec<(Ipv4Addr, Peers)> = [(Ipv4Addr::LOCALHOST, Peers::All)].into_iter().chain(gateway).collect();
    let wanted = |member: Member<'_>| {
        let number = member.number;
        let service = Service::Tcp { front_port: number };
        let wanted = |(ip, peers): &(Ipv4Addr, Peers)| Wanted {
            addr: SocketAddr::from((*ip, number)),
            service: service.clone(),
            peers: *peers,
        };
        addresses.iter().map(wanted).collect::<Vec<_>>()
    };
    members(record, catalog, observed).flat_map(wanted).collect()
}

struct Member<'a> {
    service: &'a ServiceRecord,
    data: &'a DataSpec,
    number: u16,
    pod: Option<&'a ObservedContainer>,
}

/// Members that are to be there, and those that are still.
fn members<'a>(
    record: &'a AppRecord,
    catalog: &'a Catalog,
    observed: &'a ObservedApp,
) -> impl Iterator<Item = Member<'a>> {
    let with_numbers = |service: &'a ServiceRecord| Some((service, of(service, catalog)?)).filter(|_| !service.doomed);
    record.services.iter().filter_map(with_numbers).flat_map(move |(service, data)| {
        let numbers = service.custom_fronts.get(LABEL).into_iter().flatten().zip(0..);
        numbers.filter_map(move |(number, index)| {
            let pod = pod(service, index, observed);
            let here = index < service.instances || pod.is_some();
            here.then_some(Member { service, data, number: *number, pod })
        })
    })
}

fn pod<'a>(service: &ServiceRecord, index: u32, observed: &'a ObservedApp) -> Option<&'a ObservedContainer> {
    let instance = service.name.instance(index);
    observed.containers.iter().find(|container| {
        let identity = &container.identity;
        identity.purpose == Purpose::Pod && identity.instance == instance && container.state == RunState::Running
    })
}

fn backend(pod: &ObservedContainer, port: u16) -> Option<Backend> {
    Some(Backend {
        id: pod.id.as_str().into(),
        instance: pod.identity.instance.clone(),
        addr: SocketAddr::from((pod.ip?, port)),
    })
}

/// The numbers that every instance's variables name.
pub fn told<'a>(record: &'a AppRecord, catalog: &'a Catalog) -> impl Iterator<Item = u16> + 'a {
    let services = record.services.iter().filter(|service| of(service, catalog).is_some());
    services.flat_map(|service| {
        let numbers = service.custom_fronts.get(LABEL).into_iter().flatten();
        numbers.take(service.instances as usize).copied()
    })
}
