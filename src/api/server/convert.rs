//! The engine's views as wire types.

use std::collections::BTreeMap;

use crate::api::types;
use crate::engine::traffic::TcpUse;
use crate::engine::view::{
    ActivityView, AppLogLine, AppView, ConnectionView, DeployLine, DeploymentState, DeploymentView, Finding,
    FindingLevel, InstanceState, InstanceView, Scaled, ServiceView, SharedFolderView,
};
use crate::model::{
    AppName, CountedWrites, DiskState, GroupStatus, MemberDisk, MemberStatus, Receipt, Role, SyncState,
};

pub(super) fn application(view: AppView) -> types::Application {
    types::Application {
        name: view.name.to_string(),
        flavor: view.flavor,
        billing: types::Billing::default(),
        state: if view.up { "up" } else { "down" }.to_owned(),
        revision: view.revision,
        holds: view.holds,
        failed_requests: view.failed_requests,
        services: view.services.into_iter().map(service).collect(),
    }
}

pub(super) fn service(view: ServiceView) -> types::Service {
    let used: Vec<u64> = view.instances.iter().filter_map(|instance| instance.memory_used).collect();
    let ports = ports(&view);
    types::Service {
        name: view.name.to_string(),
        service_type: view.type_name,
        instance_count: view.instance_count,
        reserved_memory: Some(view.memory.bytes()),
        runtime_config: view.config.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
        domains: view.urls.iter().filter_map(|url| domain(url)).collect(),
        instances: view.instances.into_iter().map(|view| instance(view, &ports)).collect(),
        stateful: view.is_data,
        shared_folders: view.shared_folders.into_iter().map(shared_folder).collect(),
        urls: view.urls,
        address: view.address,
        memory_used: (!used.is_empty()).then(|| used.iter().sum()),
        in_build_file: view.in_build_file,
        group: view.group.map(group),
        receipts: view.receipts.into_iter().map(failover).collect(),
        traffic: view.traffic.map(traffic),
    }
}

fn traffic(of: TcpUse) -> types::Traffic {
    let TcpUse { open, opened, refused, parked, cut, received, sent } = of;
    types::Traffic { open, opened, refused, parked, cut, received, sent }
}

pub(super) fn scaled(scaled: Scaled) -> types::Scaled {
    types::Scaled { notes: scaled.notes, ignored: scaled.ignored.iter().map(ToString::to_string).collect() }
}

pub(super) fn connection(view: ConnectionView) -> types::Connection {
    let ConnectionView { peer, since, epoch, received, sent } = view;
    types::Connection { peer, since, epoch, received, sent }
}

fn shared_folder(view: SharedFolderView) -> types::SharedFolder {
    types::SharedFolder { name: view.name, path: view.path, volume: view.volume }
}

/// Every instance of a service is reached at the service's stable addresses; ports of its own
/// come behind them.
fn ports(view: &ServiceView) -> Vec<types::Port> {
    let http = view.urls.first().map(|url| types::Port { name: "http".to_owned(), url: url.clone() });
    let data = view.address.as_ref().map(|url| types::Port { name: view.type_name.clone(), url: url.clone() });
    http.into_iter().chain(data).collect()
}

/// `http://host:port/` -> `host:port`, which the original client prints after `http://`.
fn domain(url: &str) -> Option<types::Domain> {
    let domain = url.strip_prefix("http://")?.trim_end_matches('/');
    let plain = !domain.is_empty() && !domain.contains(['/', ' ']);
    plain.then(|| types::Domain { domain: domain.to_owned() })
}

fn instance(view: InstanceView, ports: &[types::Port]) -> types::Instance {
    let own = view.ports.into_iter().map(|port| types::Port { name: port.name, url: port.url });
    types::Instance {
        instance_id: view.name.index,
        container_name: view.container_name,
        datacenter: "local".to_owned(),
        host: "localhost".to_owned(),
        image_version: view.image,
        image_upgrade: Some(false),
        revision: view.revision,
        hibernating: false,
        ports: ports.iter().cloned().chain(own).collect(),
        state: state(view.state).to_owned(),
        container_id: view.container,
        booted: view.started_at,
        memory_limit: view.memory_limit.map(|memory| memory.bytes()),
        memory_used: view.memory_used,
        disk: view.disk.map(disk),
        ip: view.ip.map(|ip| ip.to_string()),
        pid: view.pid,
    }
}

fn disk(of: MemberDisk) -> types::Disk {
    let MemberDisk { space, state } = of;
    let text = if state == DiskState::Ample { space.to_string() } else { format!("{}, {space}", state.name()) };
    types::Disk { size: space.size, free: space.free, state: state.name().to_owned(), text }
}

fn state(state: InstanceState) -> &'static str {
    match state {
        InstanceState::Starting => "starting",
        InstanceState::Up => "up",
        InstanceState::Paused => "paused",
        InstanceState::Down => "down",
    }
}

/// The status of one instance: dotCloud knew `up`, `down` and `hibernating` alone.
pub(super) fn status(service: &types::Service, instance: &types::Instance) -> types::InstanceStatus {
    let status = if instance.state == "up" { "up" } else { "down" };
    let mut custom = BTreeMap::new();
    if instance.state != status {
        custom.insert("state".to_owned(), instance.state.clone());
    }
    let members = service.group.iter().flat_map(|group| &group.members);
    if let Some(member) = members.into_iter().find(|member| member.instance_id == instance.instance_id) {
        custom.insert("role".to_owned(), member.role.clone());
        custom.insert("replication".to_owned(), member.state.clone());
        if let Some(lag) = member.replication_lag_seconds {
            custom.insert("replication_lag".to_owned(), format!("{lag:.1}s"));
        }
    }
    types::InstanceStatus { status: status.to_owned(), custom }
}

fn group(status: GroupStatus) -> types::Group {
    types::Group {
        phase: status.phase,
        settled: status.settled,
        reason: status.reason,
        epoch: status.epoch.map(|epoch| types::EpochNumber { number: epoch.number, master: epoch.master }),
        members: status.members.into_iter().map(member).collect(),
    }
}

fn member(status: MemberStatus) -> types::Member {
    let role = match status.role {
        Role::Master => "master",
        Role::Slave => "slave",
        Role::Unknown => "unknown",
    };
    let (state, percent) = match status.sync {
        SyncState::Down => ("down", None),
        SyncState::Detached => ("detached", None),
        SyncState::Synchronizing { percent } => ("synchronizing", percent),
        SyncState::Synchronized => ("synchronized", None),
    };
    types::Member {
        instance_id: status.index,
        role: role.to_owned(),
        state: state.to_owned(),
        percent,
        replication_lag_seconds: status.lag_seconds,
        position: status.position,
        server_version: status.server_version,
        used_memory: status.used_memory,
    }
}

pub(super) fn failover(receipt: Receipt) -> types::Failover {
    types::Failover {
        service: receipt.service,
        detected_at: receipt.detected_at,
        cause: receipt.cause,
        old_master: receipt.old_master,
        new_master: receipt.new_master,
        epoch: receipt.epoch,
        fenced_ms: receipt.fenced_ms,
        promoted_ms: receipt.promoted_ms,
        opened_ms: receipt.opened_ms,
        first_write_ms: receipt.first_write_ms,
        resynchronised_ms: receipt.resynchronised_ms,
        old_position: receipt.continuity.map(|joint| joint.old_position),
        old_heard_ms: receipt.continuity.map(|joint| joint.old_heard_ms),
        new_position: receipt.continuity.map(|joint| joint.new_position),
        lost_bytes: receipt.continuity.map(|joint| joint.lost()),
        because: receipt.because,
        writes: receipt.writes.map(counted),
    }
}

pub(super) fn counted(writes: CountedWrites) -> types::CountedWrites {
    types::CountedWrites { acknowledged: writes.acknowledged, lost: writes.lost }
}

pub(super) fn deployment(view: DeploymentView) -> types::Deployment {
    let state = match view.state {
        DeploymentState::Running => "running",
        DeploymentState::Succeeded => "succeeded",
        DeploymentState::Failed => "failed",
    };
    types::Deployment {
        deploy_id: view.id,
        revision: view.revision,
        created_at: view.created_at,
        state: state.to_owned(),
    }
}

pub(super) fn deploy_record(line: DeployLine) -> types::LogRecord {
    let status = line.end.and_then(|end| match end {
        DeploymentState::Running => None,
        DeploymentState::Succeeded => Some("deploy_end"),
        DeploymentState::Failed => Some("deploy_fail"),
    });
    types::LogRecord {
        created_at: Some(line.created_at),
        service: line.service.map(String::from),
        instance: line.index,
        process: None,
        level: Some(level(line.error)),
        message: line.message,
        status: status.map(str::to_owned),
    }
}

pub(super) fn log_record(line: AppLogLine) -> types::LogRecord {
    types::LogRecord {
        created_at: Some(line.created_at),
        instance: Some(line.instance.index),
        service: Some(line.instance.service.into()),
        process: line.process,
        level: Some(level(line.error)),
        message: line.message,
        status: None,
    }
}

fn level(error: bool) -> String {
    if error { "ERROR" } else { "INFO" }.to_owned()
}

/// The original client reads `revision` and `build` of a deployment, `value` as a number.
pub(super) fn activity(view: ActivityView, app: Option<&AppName>) -> types::ActivityRecord {
    let mut details: serde_json::Map<String, serde_json::Value> = view
        .details
        .into_iter()
        .map(|(key, value)| match (key.as_str(), value.parse::<u64>()) {
            ("value" | "epoch" | "acknowledged" | "lost", Ok(number)) => (key, number.into()),
            _ => (key, value.into()),
        })
        .collect();
    let of_details = details.remove("application").and_then(|value| value.as_str().map(str::to_owned));
    if view.category == "app" && view.action == "deploy" {
        details.entry("revision").or_insert_with(|| "".into());
        details.entry("build").or_insert_with(|| "".into());
    }
    types::ActivityRecord {
        created_at: view.created_at,
        category: view.category,
        action: view.action,
        application: app.map(AppName::to_string).or(of_details).unwrap_or_default(),
        user: None,
        receipt: view.receipt.map(failover),
        details,
    }
}

pub(super) fn finding(finding: Finding) -> types::Finding {
    let level = match finding.level {
        FindingLevel::Ok => types::Level::Ok,
        FindingLevel::Warning => types::Level::Warning,
        FindingLevel::Error => types::Level::Error,
    };
    types::Finding { subject: finding.subject, level, text: finding.text, mend: finding.mend }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Memory;

    fn www(urls: &[&str]) -> ServiceView {
        ServiceView {
            name: "www".parse().unwrap(),
            type_name: "python".to_owned(),
            is_data: false,
            instance_count: 2,
            memory: Memory::DEFAULT,
            config: [("uwsgi_processes", "8"), ("empty", "")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            shared_folders: Vec::new(),
            urls: urls.iter().map(|url| (*url).to_owned()).collect(),
            address: None,
            in_build_file: true,
            instances: Vec::new(),
            group: None,
            receipts: Vec::new(),
            traffic: None,
        }
    }

    #[test]
    fn domains_are_what_the_original_client_can_print_after_http() {
        let urls = [
            "http://www.ramen.localhost:8080/",
            "https://www.ramen.localhost:8443",
            "http://127.0.0.1:8080 with a Host header",
        ];
        let service = service(www(&urls));
        let domains: Vec<&str> = service.domains.iter().map(|domain| domain.domain.as_str()).collect();
        assert_eq!(domains, ["www.ramen.localhost:8080"]);
        assert_eq!(service.urls.len(), 3);
    }

    #[test]
    fn empty_configuration_values_are_left_out() {
        let service = service(www(&[]));
        assert_eq!(service.runtime_config.keys().collect::<Vec<_>>(), ["uwsgi_processes"]);
        assert_eq!(service.memory_used, None);
    }

    #[test]
    fn activity_keeps_its_details_beside_the_keys_of_the_original() {
        let view = ActivityView {
            created_at: "2013-01-02T03:04:05.000000Z".to_owned(),
            category: "service".to_owned(),
            action: "scale".to_owned(),
            details: [("service", "www"), ("scale", "instances"), ("value", "3")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
            receipt: None,
        };
        let json = serde_json::to_value(activity(view, Some(&"ramen".parse().unwrap()))).unwrap();
        assert_eq!(
            (&json["application"], &json["value"], &json["service"]),
            (&"ramen".into(), &3.into(), &"www".into())
        );
    }
}
