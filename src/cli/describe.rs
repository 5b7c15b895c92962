//! Applications and services as text: what `info` prints.

use std::fmt::Write as _;

use crate::api::types::{Application, Failover, Group, Instance, Member, Service, SharedFolder, Traffic};

use super::receipt;
use super::table::{row, size, table};

pub fn application(app: &Application) -> String {
    let mut text = format!("=== {}\n", app.name);
    field(&mut text, "flavor", &app.flavor);
    field(&mut text, "state", &app.state);
    if let Some(revision) = &app.revision {
        field(&mut text, "revision", revision);
    }
    for hold in &app.holds {
        field(&mut text, "waiting", hold);
    }
    if !app.services.is_empty() {
        let head = row(["name", "type", "containers", "reserved memory", "used memory", "state"]);
        let rows: Vec<_> = std::iter::once(head).chain(app.services.iter().map(overview)).collect();
        let _ = write!(text, "services:\n{}", indent(&table(&rows)));
    }
    text.trim_end().to_owned()
}

fn overview(service: &Service) -> Vec<String> {
    vec![
        service.name.clone(),
        service.service_type.clone(),
        service.instance_count.to_string(),
        service.reserved_memory.map(size).unwrap_or_default(),
        service.memory_used.map_or("-".to_owned(), size),
        summary(service),
    ]
}

/// `3 of 4 up`, with what a group has to say.
pub fn summary(service: &Service) -> String {
    let up = service.instances.iter().filter(|instance| instance.state == "up").count();
    let mut text = format!("{up} of {} up", service.instance_count);
    if let Some(group) = service.group.as_ref().filter(|group| !group.settled) {
        let _ = write!(text, ", {}", group.phase);
    }
    if let Some(worst) = ["full", "low"].into_iter().find(|state| has_disk(service, state)) {
        let _ = write!(text, ", disk {worst}");
    }
    if !service.in_build_file {
        text.push_str(", not in the build file");
    }
    text
}

fn has_disk(service: &Service, state: &str) -> bool {
    service.instances.iter().filter_map(|instance| instance.disk.as_ref()).any(|disk| disk.state == state)
}

pub fn service(service: &Service) -> String {
    let mut text = format!("== {}\n", service.name);
    field(&mut text, "type", &service.service_type);
    field(&mut text, "instances", &service.instance_count.to_string());
    field(&mut text, "reserved memory", &service.reserved_memory.map(size).unwrap_or_default());
    if let Some(used) = service.memory_used {
        // The limit above is one instance's.
        let together = (service.instance_count > 1).then(|| format!(", {} instances together", service.instance_count));
        field(&mut text, "used memory", &format!("{}{}", size(used), together.unwrap_or_default()));
    }
    if !service.in_build_file {
        field(&mut text, "note", "not in the build file: it cannot be scaled until it is back in it");
    }
    list(&mut text, "config", service.runtime_config.iter().map(|(key, value)| format!("{key}: {value}")));
    let folder = |folder: &SharedFolder| format!("{}: {} (volume {})", folder.name, folder.path, folder.volume);
    list(&mut text, "shared folders", service.shared_folders.iter().map(folder));
    list(&mut text, "URLs", service.urls.iter().map(|url| format!("- {url}")));
    if let Some(address) = &service.address {
        field(&mut text, "address", address);
    }
    if let Some(traffic) = &service.traffic {
        field(&mut text, "connections", &connections(traffic));
    }
    if let Some(members) = &service.group {
        group(&mut text, &service.name, members);
    }
    failovers(&mut text, service);
    for one in &service.instances {
        instance(&mut text, &service.name, one);
    }
    text.trim_end().to_owned()
}

fn connections(of: &Traffic) -> String {
    let Traffic { open, opened, refused, parked, cut, received, sent } = of;
    let (received, sent) = (size(*received), size(*sent));
    format!(
        "{open} open, {parked} waiting; {opened} opened, {cut} cut by changes of master, {refused} refused; \
         {received} received, {sent} sent"
    )
}

fn group(text: &mut String, service: &str, group: &Group) {
    let epoch = group.epoch.map(|epoch| format!(", epoch {}", epoch.number)).unwrap_or_default();
    let reason = group.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    field(text, "replication", &format!("{}{epoch}{reason}", group.phase));
    let head = row(["instance", "role", "state", "replication_lag", "position", "server"]);
    let rows: Vec<_> = std::iter::once(head).chain(group.members.iter().map(|one| member(service, one))).collect();
    let _ = writeln!(text, "{}", indent(&table(&rows)));
}

fn member(service: &str, member: &Member) -> Vec<String> {
    let known = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    vec![
        format!("{service}.{}", member.instance_id),
        member.role.clone(),
        member.percent.map_or(member.state.clone(), |percent| format!("{} {percent}%", member.state)),
        known(member.replication_lag_seconds.map(|lag| format!("{lag:.1}s"))),
        known(member.position.map(|position| position.to_string())),
        known(member.server_version.clone()),
    ]
}

/// The last one; the others are for those who ask.
fn failovers(text: &mut String, service: &Service) {
    if let Some((last, others)) = service.receipts.split_last() {
        failover(text, last);
        if !others.is_empty() {
            let _ = writeln!(text, "  … and {} more: dotcloud info {} --json", others.len(), service.name);
        }
    }
}

fn failover(text: &mut String, last: &Failover) {
    field(text, "failover", &receipt::head(last));
    for line in receipt::steps(last) {
        let _ = writeln!(text, "  {line}");
    }
}

fn instance(text: &mut String, service: &str, instance: &Instance) {
    let _ = write!(text, "\n=== {service}.{}\n", instance.instance_id);
    field(text, "state", &instance.state);
    field(text, "datacenter", &instance.datacenter);
    field(text, "host", &instance.host);
    field(text, "container", &instance.container_name);
    if let (Some(used), Some(limit)) = (instance.memory_used, instance.memory_limit) {
        field(text, "memory", &format!("{} of {}", size(used), size(limit)));
    }
    if let Some(disk) = &instance.disk {
        field(text, "disk", &disk.text);
    }
    field(text, "image", &instance.image_version);
    if let Some(revision) = &instance.revision {
        field(text, "revision", revision);
    }
    let ports = instance.ports.iter().filter(|port| port.name != "http");
    list(text, "ports", ports.map(|port| format!("{}: {}", port.name, port.url)));
}

/// `name:            value`, the value in dotCloud's column; nothing without a value.
fn field(text: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        let _ = writeln!(text, "{:16} {value}", format!("{name}:"));
    }
}

fn list(text: &mut String, name: &str, items: impl Iterator<Item = String>) {
    let mut items = items.peekable();
    if items.peek().is_some() {
        let _ = writeln!(text, "{name}:");
        items.for_each(|item| {
            let _ = writeln!(text, "  {item}");
        });
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service from JSON, as a client gets it.
    fn db() -> Service {
        serde_json::from_value(serde_json::json!({
            "name": "db", "service_type": "redis", "instance_count": 2, "reserved_memory": 268_435_456_u64,
            "memory_used": 5_242_880, "runtime_config": {"maxmemory-policy": "noeviction"}, "stateful": true,
            "address": "redis://root:secret@127.0.0.1:20001", "domains": [], "in_build_file": true,
            "group": {
                "phase": "steady", "settled": true, "epoch": {"number": 3, "master": 1},
                "members": [
                    {"instance_id": 0, "role": "slave", "state": "synchronizing", "percent": 43, "replication_lag_seconds": 0.25, "position": 5120},
                    {"instance_id": 1, "role": "master", "state": "synchronized", "position": 9001, "server_version": "8.0.2"},
                ],
            },
            "receipts": [{
                "service": "db", "detected_at": "2026-11-22T01:02:03.000004Z", "cause": "container died",
                "old_master": 0, "new_master": 1, "epoch": 3, "fenced_ms": 3.2, "promoted_ms": 21.7, "opened_ms": 22.4,
                "first_write_ms": 31.0, "resynchronised_ms": null,
                "old_position": 8990, "old_heard_ms": 412.3, "new_position": 9001, "lost_bytes": 0,
            }],
            "instances": [{
                "instance_id": 0, "container_name": "ramen-db-0", "datacenter": "local", "host": "localhost",
                "image_version": "dotcloud/redis:1", "state": "up", "memory_used": 2_621_440, "memory_limit": 268_435_456_u64,
                "ports": [{"name": "redis", "url": "redis://root:secret@127.0.0.1:20001"}, {"name": "http", "url": "http://x"}],
            }],
        }))
        .unwrap()
    }

    #[test]
    fn data_service_shows_its_roles_and_its_last_failover() {
        insta::assert_snapshot!(service(&db()), @r"
        == db
        type:            redis
        instances:       2
        reserved memory: 256.0 M
        used memory:     5.0 M, 2 instances together
        config:
          maxmemory-policy: noeviction
        address:         redis://root:secret@127.0.0.1:20001
        replication:     steady, epoch 3
          instance  role    state              replication_lag  position  server
          db.0      slave   synchronizing 43%  0.2s             5120      -
          db.1      master  synchronized       -                9001      8.0.2
        failover:        db.0 -> db.1 at 2026-11-22T01:02:03.000004Z (epoch 3): container died
          fenced 3 ms, promoted 22 ms, opened 22 ms, first write 31 ms, db.0 not resynchronised yet
          went on at 9001; the old master was at 8990, 412 ms before: 0 of that lost

        === db.0
        state:           up
        datacenter:      local
        host:            localhost
        container:       ramen-db-0
        memory:          2.5 M of 256.0 M
        image:           dotcloud/redis:1
        ports:
          redis: redis://root:secret@127.0.0.1:20001
        ");
    }

    #[test]
    fn shared_folders_are_listed_with_their_volumes() {
        let mut www = db();
        let (name, path, volume) = ("uploads".into(), "/home/dotcloud/store".into(), "dcl-1-ramen.uploads".into());
        www.shared_folders = vec![SharedFolder { name, path, volume }];
        let listed = "shared folders:\n  uploads: /home/dotcloud/store (volume dcl-1-ramen.uploads)\n";
        assert!(service(&www).contains(listed), "{}", service(&www));
    }

    #[test]
    fn earlier_failovers_are_counted_alone() {
        let mut db = db();
        let last = db.receipts[0].clone();
        db.receipts.splice(0..0, [1, 2].map(|epoch| Failover { epoch, ..last.clone() }));
        let text = service(&db);
        assert_eq!(text.matches("failover:").count(), 1);
        assert!(text.contains("(epoch 3)") && text.contains("\n  … and 2 more: dotcloud info db --json\n"), "{text}");
    }

    #[test]
    fn application_shows_its_services_and_what_it_waits_for() {
        let mut www = db();
        (www.name, www.service_type, www.group, www.memory_used) = ("www".into(), "python".into(), None, None);
        (www.instance_count, www.in_build_file) = (4, false);
        let app = Application {
            name: "ramen".into(),
            flavor: "live".into(),
            billing: Default::default(),
            services: vec![www, db()],
            state: "up".into(),
            revision: Some("rsync-1353777298695".into()),
            holds: vec!["www.3 waits until www.2 answers".into()],
            failed_requests: 0,
        };
        insta::assert_snapshot!(application(&app), @r"
        === ramen
        flavor:          live
        state:           up
        revision:        rsync-1353777298695
        waiting:         www.3 waits until www.2 answers
        services:
          name  type    containers  reserved memory  used memory  state
          www   python  4           256.0 M          -            1 of 4 up, not in the build file
          db    redis   2           256.0 M          5.0 M        1 of 2 up
        ");
    }
}
