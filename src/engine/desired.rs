//! From the store's record to what `plan` is told.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::{GroupStatus, ServiceName};
use crate::plan::{Desired, DesiredKind, DesiredService, GroupBrief};
use crate::store::{AppRecord, ServiceRecord};

use super::pauses;

/// What is wanted now, with what the groups say of their roles.
pub fn desired(record: &AppRecord, groups: &BTreeMap<ServiceName, GroupStatus>, now: Timestamp) -> Desired {
    let wanted = record.services.iter().filter(|service| !service.doomed);
    Desired {
        up: record.up && !record.doomed,
        services: wanted.map(|service| desired_service(service, groups.get(&service.name))).collect(),
        released: pauses::over(record, now),
    }
}

fn desired_service(service: &ServiceRecord, group: Option<&GroupStatus>) -> DesiredService {
    let kind = if service.is_data {
        DesiredKind::Data { group: group.map(brief).unwrap_or_default() }
    } else {
        DesiredKind::Code {
            serving: service.serving.as_ref().map(|version| version.generation),
            candidate: service.candidate.as_ref().map(|version| version.generation),
            handing_over: service.candidate.as_ref().map(|version| version.handing_over.clone()).unwrap_or_default(),
        }
    };
    DesiredService { name: service.name.clone(), instances: service.instances, memory: service.memory, kind }
}

/// Phases of a failover that pass within milliseconds without any member that is down. In all
/// others the group may be waiting for a member: it must be allowed to start.
const BRISK: [&str; 4] = ["gating", "fencing", "draining", "promoting"];

fn brief(status: &GroupStatus) -> GroupBrief {
    GroupBrief {
        brisk: BRISK.contains(&status.phase.as_str()),
        settled: status.settled,
        master: status.epoch.map(|epoch| epoch.master),
        bound: status.bound.clone(),
    }
}
