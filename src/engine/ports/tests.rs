use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::buildfile;
use crate::catalog::Catalog;
use crate::engine::environment;
use crate::engine::serving::Serving;
use crate::engine::traffic::{Peers, Service};
use crate::model::observed::{Identity, ObservedApp, ObservedContainer, Purpose, RunState};
use crate::model::{Memory, TcpState};
use crate::plan::Failure;
use crate::store::{AppRecord, ServiceRecord, Version};

use super::claim::Claim;
use super::*;

const APP: &str = "shop";

/// A type with a front (`web`), one whose application listens itself (`node`), one with nothing.
fn catalog() -> Catalog {
    let kind = |name: &str, text: &str| {
        let toml = format!("kind = \"code\"\nsummary = \"x\"\n{text}\n[images]\nfrom = \"_common\"\n");
        (PathBuf::from(format!("{name}/service.toml")), Cow::Owned(toml.into_bytes()))
    };
    let node = "http_port = 8080\nport_variable = \"PORT_NODEJS\"";
    let kinds = [kind("web", "http_port = 80"), kind("node", node), kind("bare", "")];
    Catalog::embedded().unwrap().with_folder(kinds).unwrap()
}

fn spec(kind: &str, ports: &str) -> ServiceSpec {
    let text = format!("svc:\n  type: {kind}\n  ports: {{{ports}}}\n");
    let parsed = buildfile::parse(text.as_bytes(), &["web", "node", "bare"]);
    parsed.stack.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics)).services.remove(0)
}

fn ports_of(kind: &str, ports: &str) -> Vec<Port> {
    of(&spec(kind, ports), catalog().get(kind).unwrap())
}

/// `WWW 42800 main`, in order.
fn told(ports: &[Port]) -> Vec<String> {
    let main = |port: &Port| if port.main { " main" } else { "" };
    ports.iter().map(|port| format!("{} {}{}", port.variable, port.number, main(port))).collect()
}

fn version(kind: &str, ports: &str, generation: u64) -> Version {
    Version {
        generation,
        revision: "r".to_owned(),
        image: "i".to_owned(),
        handing_over: Default::default(),
        overlay: None,
        spec: spec(kind, ports),
        environment: [("PORT_LOGS".to_owned(), "1".to_owned())].into(),
        told_fronts: BTreeSet::new(),
    }
}

/// An application of one service that is deployed, with its numbers.
fn record(kind: &str, ports: &str, instances: u32) -> AppRecord {
    let service = ServiceRecord {
        name: "svc".parse().unwrap(),
        type_name: kind.to_owned(),
        is_data: false,
        spec: spec(kind, ports),
        instances,
        memory: Memory::DEFAULT,
        in_build_file: true,
        password: None,
        front_port: None,
        custom_fronts: BTreeMap::new(),
        serving: Some(version(kind, ports, 1)),
        candidate: None,
        doomed: false,
    };
    let mut record = AppRecord {
        name: APP.parse().unwrap(),
        flavor: "live".to_owned(),
        created_at: String::new(),
        up: true,
        pauses: Default::default(),
        doomed: false,
        discard_data: false,
        subnet: None,
        services: vec![service],
        environment: BTreeMap::new(),
        generation: 1,
    };
    claim(&mut record, BTreeSet::new());
    record
}

fn claim(record: &mut AppRecord, taken: BTreeSet<u16>) {
    let app = record.name.clone();
    Claim { home_id: "test", app: &app, taken }.complete_newest(record, &catalog()).unwrap();
}

fn variables(record: &AppRecord) -> BTreeMap<String, String> {
    let service = &record.services[0];
    let version = service.serving.clone().unwrap();
    environment::of_instance(record, &version, &service.name.instance(0), &catalog(), 8080)
}

// === numbers in the instance ===

#[test]
fn custom_ports_are_numbered_from_42800_by_name() {
    let ports = ports_of("bare", "www: http, logs: tcp, control: tcp, peek: udp");
    assert_eq!(told(&ports), ["WWW 42803 main", "CONTROL 42800", "LOGS 42801", "PEEK 42802"]);
    assert_eq!(told(&ports_of("bare", "mc-Admin: tcp")), ["MC_ADMIN 42800"]);
    assert_eq!(told(&ports_of("bare", "api: http, web: http")), ["API 42800 main", "WEB 42801"]);
}

#[test]
fn the_front_of_a_type_stays_the_main_port_beside_custom_ones() {
    assert_eq!(told(&ports_of("web", "www2: http")), ["HTTP 80 main", "WWW2 42800"]);
    assert_eq!(told(&ports_of("web", "http: http, logs: tcp")), ["HTTP 80 main", "LOGS 42801"]);
    assert!(ports_of("redis", "").is_empty());
}

#[test]
fn an_application_that_listens_itself_may_read_either_variable() {
    assert_eq!(told(&ports_of("node", "www: http")), ["WWW 8080 main"]);
    assert_eq!(told(&ports_of("node", "api: http, www: http")), ["WWW 8080 main", "API 42800"]);
    let variables = variables(&record("node", "www: http", 1));
    assert_eq!((&*variables["PORT_WWW"], &*variables["PORT_NODEJS"]), ("8080", "8080"));
    assert!(!variables.contains_key("PORT_HTTP"));
}

#[test]
fn readiness_is_asked_of_http_ports_else_of_tcp_ports() {
    let asked = |kind: &str, ports: &str| told(&asked(&spec(kind, ports), catalog().get(kind).unwrap()));
    assert_eq!(asked("web", "www2: http, logs: tcp"), ["HTTP 80 main", "WWW2 42801"]);
    assert_eq!(asked("bare", "logs: tcp, more: tcp, peek: udp"), ["LOGS 42800", "MORE 42801"]);
    assert_eq!(asked("bare", "peek: udp"), [""; 0]);
    assert_eq!(asked("node", ""), ["NODEJS 8080 main"]);
    assert_eq!(asked("node", "server: tcp"), ["SERVER 42800"], "it may not listen on 8080 at all");
}

// === names and variables ===

#[test]
fn every_http_port_has_a_name_of_its_own() {
    let (app, service) = (APP.parse().unwrap(), "svc".parse().unwrap());
    let hosts = |port: &Port| port.public_hosts(&app, &service);
    let ports = ports_of("web", "www2: http, logs: tcp");
    let all: Vec<_> = ports.iter().flat_map(hosts).collect();
    assert_eq!(all, ["svc.shop.localhost", "www2-svc.shop.localhost"]);
    let single = &ports_of("bare", "www: http")[0];
    assert_eq!(single.internal_hosts(&app, &service), ["svc.shop.dc.internal", "www-svc.shop.dc.internal"]);
}

#[test]
fn variables_tell_what_to_bind_and_where_to_connect() {
    let record = record("bare", "www: http, logs: tcp, peek: udp", 1);
    let variables = variables(&record);
    let get = |name: &str| variables.get(name).map(String::as_str);
    assert_eq!(get("PORT_LOGS"), Some("42800"), "the user's variable of that name does not win");
    assert_eq!(get("PORT_WWW"), Some("42802"));
    let number = record.services[0].custom_fronts["logs"][0].to_string();
    assert_eq!(get("DOTCLOUD_SVC_LOGS_HOST"), Some("svc.shop.dc.internal"));
    assert_eq!(get("DOTCLOUD_SVC_LOGS_PORT"), Some(&*number));
    assert_eq!(get("DOTCLOUD_SVC_LOGS_URL"), Some(&*format!("tcp://svc.shop.dc.internal:{number}")));
    assert!(get("DOTCLOUD_SVC_PEEK_URL").unwrap().starts_with("udp://svc.shop.dc.internal:"));
    assert_eq!(get("DOTCLOUD_SVC_HTTP_URL"), Some("http://svc.shop.dc.internal:8080/"));
    assert_eq!(get("DOTCLOUD_SVC_WWW_HTTP_HOST"), Some("www-svc.shop.dc.internal:8080"));
    assert_eq!(get("DOTCLOUD_SVC_LOGS_URL_0"), None, "one instance needs no number");
}

#[test]
fn a_scaled_service_has_an_address_for_each_instance() {
    let variables = variables(&record("bare", "logs: tcp", 3));
    let url = |suffix: &str| variables.get(&format!("DOTCLOUD_SVC_LOGS_URL{suffix}"));
    assert_eq!(url(""), url("_0"));
    let different: BTreeSet<_> = ["_0", "_1", "_2"].map(|suffix| url(suffix).unwrap()).into();
    assert_eq!(different.len(), 3);
    assert_eq!(url("_3"), None);
}

#[test]
fn what_runs_is_out_of_date_once_there_are_more_addresses() {
    let mut record = record("bare", "www: http, logs: tcp", 1);
    let before = environment::told_fronts(&record, &catalog());
    assert_eq!(before.len(), 1, "HTTP keeps its name");
    record.services[0].instances = 2;
    claim(&mut record, before.clone());
    assert!(environment::told_fronts(&record, &catalog()).is_superset(&before));
    assert_eq!(environment::told_fronts(&record, &catalog()).len(), 2);
}

// === numbers of the front ===

#[test]
fn numbers_are_kept_and_grow_with_the_service() {
    let mut record = record("bare", "www: http, logs: tcp", 2);
    let before = record.services[0].clone();
    assert_eq!(before.custom_fronts["logs"].len(), 2);
    claim(&mut record, before.front_ports().collect());
    assert_eq!(record.services[0], before);
    record.services[0].instances = 1;
    claim(&mut record, before.front_ports().collect());
    assert_eq!(record.services[0].custom_fronts, before.custom_fronts, "scaled away, not given away");
    record.services[0].instances = 3;
    claim(&mut record, before.front_ports().collect());
    let all: BTreeSet<u16> = record.services[0].front_ports().collect();
    assert_eq!(all.len(), 4, "www and three of logs, all different");
    assert_eq!(record.services[0].custom_fronts["logs"][..2], before.custom_fronts["logs"]);
}

#[test]
fn two_applications_never_share_a_number() {
    let first = record("bare", "logs: tcp", 2);
    let mut second = record("bare", "logs: tcp", 2);
    second.services[0].custom_fronts.clear();
    let taken: BTreeSet<u16> = first.services[0].front_ports().collect();
    claim(&mut second, taken.clone());
    assert!(second.services[0].front_ports().all(|number| !taken.contains(&number)));
}

// === where the front leads ===

fn container(index: u32, generation: u64, state: RunState) -> ObservedContainer {
    ObservedContainer {
        id: format!("c{index}g{generation}"),
        name: String::new(),
        identity: Identity {
            app: APP.parse().unwrap(),
            instance: format!("svc.{index}").parse().unwrap(),
            purpose: Purpose::Code,
            generation,
        },
        image: String::new(),
        state,
        pid: Some(1),
        ip: Some([10, 0, 0, 10 + index as u8].into()),
        memory: None,
        pod: None,
        started_at: None,
    }
}

/// What the numbers of the one TCP port lead to, by instance.
fn states(record: &AppRecord, containers: Vec<ObservedContainer>, responsive: &[&str]) -> Vec<TcpState> {
    let observed = ObservedApp { containers, ..ObservedApp::default() };
    let responsive = responsive.iter().map(|id| (*id).to_owned()).collect();
    let failure = Failure { retry_at: std::time::Duration::ZERO, why: "it keeps ending".to_owned() };
    let serving = Serving {
        record,
        observed: &observed,
        responsive: &responsive,
        leaving: BTreeMap::new(),
        failures: &[("c1g1".to_owned(), failure)].into(),
    };
    let routes = routes::direct(&serving, &catalog());
    let numbers = &record.services[0].custom_fronts["logs"];
    numbers.iter().map(|number| routes.tcp[number].state.clone()).collect()
}

fn leads_to(state: &TcpState) -> String {
    match state {
        TcpState::Instance(backend) => format!("{} {}", backend.id, backend.addr),
        state => format!("{state:?}"),
    }
}

#[test]
fn each_number_leads_to_its_own_instance_of_the_serving_version() {
    let mut record = record("bare", "logs: tcp", 2);
    let running = |index, generation| container(index, generation, RunState::Running);
    let all = || vec![running(0, 1), running(1, 1), running(0, 2), running(1, 2)];
    let ready = ["c0g1", "c1g1", "c0g2", "c1g2"];
    let to: Vec<_> = states(&record, all(), &ready).iter().map(leads_to).collect();
    assert_eq!(to, ["c0g1 10.0.0.10:42800", "c1g1 10.0.0.11:42800"]);
    record.services[0].serving.as_mut().unwrap().generation = 2;
    let to: Vec<_> = states(&record, all(), &ready).iter().map(leads_to).collect();
    assert_eq!(to, ["c0g2 10.0.0.10:42800", "c1g2 10.0.0.11:42800"]);
}

#[test]
fn connections_wait_for_an_instance_and_are_refused_when_it_keeps_ending() {
    let record = record("bare", "logs: tcp", 2);
    let ended = RunState::Exited { code: 1, oom_killed: false };
    let starting = vec![container(0, 1, RunState::Running), container(1, 1, ended)];
    let refused = TcpState::Refused { why: "it keeps ending".to_owned() };
    assert_eq!(states(&record, starting, &[]), [TcpState::Gated, refused]);
}

#[test]
fn an_instance_that_was_scaled_away_is_not_listened_for() {
    let mut record = record("bare", "logs: tcp, peek: udp, www: http", 2);
    record.services[0].instances = 1;
    let gateway = ([10, 0, 0, 1].into(), Peers::Subnet { base: [10, 0, 0, 0].into(), prefix: 24 });
    let wanted = routes::listeners(&record, &catalog(), Some(gateway));
    let count = |is: fn(&Service) -> bool| wanted.iter().filter(|wanted| is(&wanted.service)).count();
    assert_eq!(count(|service| matches!(service, Service::Tcp { .. })), 2, "loopback and gateway");
    assert_eq!(count(|service| matches!(service, Service::Udp { .. })), 2);
    let host = Some("svc.shop.localhost".to_owned());
    assert!(wanted.iter().any(|wanted| wanted.service == Service::Http { default_host: host.clone() }));
    let gone = record.services[0].custom_fronts["logs"][1];
    assert!(wanted.iter().all(|wanted| wanted.addr.port() != gone));
    let why = TcpState::Refused { why: "svc is scaled to 1".to_owned() };
    assert_eq!(states(&record, Vec::new(), &[])[1], why);
}

// === members of data services ===

/// Three members of a set, of which `leaving` more are still there.
fn members(leaving: u32) -> (AppRecord, ObservedApp) {
    let mut record = record("mongodb", "", 3 + leaving);
    record.subnet = Some("10.201.7.0/24".to_owned());
    let service = &mut record.services[0];
    (service.is_data, service.serving, service.password) = (true, None, Some("pw".to_owned()));
    service.instances = 3;
    let pod = |index: u32| ObservedContainer {
        identity: Identity { purpose: Purpose::Pod, ..container(index, 0, RunState::Running).identity },
        ..container(index, 0, RunState::Running)
    };
    (record, ObservedApp { containers: (0..3 + leaving).map(pod).collect(), ..ObservedApp::default() })
}

#[test]
fn members_are_listed_by_addresses_that_are_the_same_everywhere() {
    let (record, _) = members(0);
    let service = &record.services[0];
    let numbers = service.custom_fronts["member"].clone();
    let catalog = catalog();
    let data = catalog.get("mongodb").unwrap().data.as_ref().unwrap();
    let hosts: Vec<String> = numbers.iter().map(|number| format!("10.201.7.1:{number}")).collect();
    let url = environment::data_url(&record, data, service, "127.0.0.1");
    assert_eq!(url, format!("mongodb://root:pw@{}/?replicaSet=dotcloud", hosts.join(",")));
    assert_eq!(environment::told_fronts(&record, &catalog), numbers.into_iter().collect());
}

#[test]
fn a_member_that_leaves_is_reached_until_it_is_gone() {
    let (record, observed) = members(2);
    let numbers = record.services[0].custom_fronts["member"].clone();
    let catalog = catalog();
    let routes = super::members::routes(&record, &catalog, &observed);
    let leads = |number: &u16| match &routes.get(number)?.state {
        TcpState::Instance(backend) => Some(backend.addr.to_string()),
        _ => None,
    };
    assert!(numbers.iter().all(|number| leads(number).is_some_and(|addr| addr.ends_with(":27017"))), "{routes:?}");
    let gateway = Some(("10.201.7.1".parse().unwrap(), Peers::All));
    assert_eq!(super::members::listeners(&record, &catalog, &observed, gateway).len(), 10);
    let gone = ObservedApp { containers: observed.containers[..2].to_vec(), ..ObservedApp::default() };
    assert_eq!(super::members::listeners(&record, &catalog, &gone, gateway).len(), 6);
    let routes = super::members::routes(&record, &catalog, &gone);
    assert_eq!(routes[&numbers[2]].state, TcpState::Gated, "it is to come back");
    assert!(!routes.contains_key(&numbers[3]));
}
