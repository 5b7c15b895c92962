//! `scale`: all wishes are checked before any takes effect.

use std::sync::Arc;

use futures_util::future::join_all;

use crate::catalog::{Count, ServiceType};
use crate::model::observed::{ObservedContainer, Purpose, RunState};
use crate::model::{AppName, InstanceName, Memory};
use crate::store::{AppRecord, ServiceRecord};

use super::app::App;
use super::handle::{Engine, EngineError, Result};
use super::ports::claim::Claim;
use super::reconcile::in_full;
use super::view::{ScaleWish, Scaled};

/// Setting: limits above 4G are accepted.
const LARGE_MEMORY: &str = "allow-large-memory";
/// More instances than this on one machine are a slip of the keyboard.
const MOST_INSTANCES: u32 = 256;
/// The same of members: each is a database server with a copy of all data.
const MOST_MEMBERS: u32 = 16;

impl Engine {
    /// Returns what became of the wishes. Memory is applied when it returns;
    /// instances converge in the background ([`Engine::wait`]).
    ///
    /// # Errors
    /// `Invalid` with the reason; then nothing was changed.
    pub async fn scale(&self, app: &AppName, wishes: Vec<ScaleWish>) -> Result<Scaled> {
        let (inner, app) = (self.inner(), self.seen_app(app).await?);
        let large = inner.store.setting(LARGE_MEMORY).await?.as_deref() == Some("true");
        let record = app.record();
        let mut scaled = Scaled::default();
        let mut accepted = Vec::new();
        for wish in &wishes {
            accepted.push(self.check(&record, wish, large, &mut scaled)?);
        }
        self.check_use(&app, &accepted).await?;
        self.record_scale(&app, &accepted).await?;
        for wish in &accepted {
            for (key, value) in described(wish) {
                let details = [("service", wish.service.to_string()), ("scale", key.to_owned()), ("value", value)];
                inner.record_activity(&app.name, "service", "scale", &details).await;
            }
        }
        self.apply_memory(&app, &accepted).await?;
        Ok(scaled)
    }

    /// New instances of services with ports get numbers of the front.
    async fn record_scale(&self, app: &Arc<App>, wishes: &[ScaleWish]) -> Result<()> {
        let inner = self.inner();
        let _one_at_a_time = inner.choosing_ports.lock().await;
        let mut claim = Claim { home_id: &inner.config.home_id, app: &app.name, taken: inner.taken_ports() };
        let edit = |record: &mut AppRecord| {
            apply(record, wishes)?;
            claim.complete_newest(record, &inner.catalog).map_err(EngineError::Invalid)
        };
        app.change(&inner.store, edit).await
    }

    /// Whether limits above 4G are accepted.
    pub async fn allow_large_memory(&self, allow: bool) -> Result<()> {
        Ok(self.inner().store.set_setting(LARGE_MEMORY, &allow.to_string()).await?)
    }

    fn check(&self, record: &AppRecord, wish: &ScaleWish, large: bool, scaled: &mut Scaled) -> Result<ScaleWish> {
        let missing = || EngineError::NotFound(format!("The service \"{}\" does not exist.", wish.service));
        let service = record.service(&wish.service).ok_or_else(missing)?;
        let kind = self.inner().catalog.get(&service.type_name).ok_or_else(missing)?;
        let mut instances = wish.instances;
        if let Some(wanted) = wish.instances {
            check_instances(service, kind, wanted)?;
            if let Count::Ignored(why) = kind.count(wanted) {
                let stays = format!("{}={wanted} is ignored, it stays at {}: {why}", service.name, service.instances);
                scaled.notes.push(stays);
                scaled.ignored.push(service.name.clone());
                instances = None;
            }
        }
        let memory =
            wish.memory.map(|memory| check_memory(service, kind, memory, large, &mut scaled.notes)).transpose()?;
        Ok(ScaleWish { memory, instances, ..wish.clone() })
    }

    /// A limit below what an instance uses would kill it.
    async fn check_use(&self, app: &App, wishes: &[ScaleWish]) -> Result<()> {
        for (container, memory) in affected(app, wishes) {
            let used = self.inner().runtime.memory_used(&container.id).await?;
            let instance = &container.identity.instance;
            // A quarter is a server's own, beside its data.
            let shrinks = container.memory.is_none_or(|limit| memory < limit);
            if let Some(held) = held(app, instance).filter(|held| shrinks && *held > memory.bytes() / 4 * 3) {
                let held = Memory::from_bytes(held);
                let text = format!("{instance} holds {held} of data now: a limit of {memory} leaves no room for it.");
                return Err(EngineError::Invalid(text));
            }
            if used > memory.bytes() {
                let used = Memory::from_bytes(used);
                let text = format!("{instance} uses {used} now: a limit of {memory} would kill it.");
                return Err(EngineError::Invalid(text));
            }
        }
        Ok(())
    }

    /// At once, to all instances, without a restart. What fails here the reconciler tries again.
    async fn apply_memory(&self, app: &Arc<App>, wishes: &[ScaleWish]) -> Result<()> {
        let runtime = &self.inner().runtime;
        let containers = affected(app, wishes);
        let set = containers.iter().map(|(container, memory)| runtime.set_memory(&container.id, *memory));
        for result in join_all(set).await {
            if let Err(error) = result {
                tracing::warn!(app = %app.name, "{}", in_full(&error));
            }
        }
        app.wake();
        Ok(())
    }
}

fn check_instances(service: &ServiceRecord, kind: &ServiceType, instances: u32) -> Result<()> {
    let refuse = |why: String| Err(EngineError::Invalid(why));
    let name = &service.name;
    if !service.in_build_file {
        return refuse(format!("The service \"{name}\" is no longer in the build file: push one that has it first."));
    }
    if instances == 0 {
        return refuse(format!(
            "The service \"{name}\" needs at least 1 instance: `dotcloud destroy {name}` removes it."
        ));
    }
    let (most, what) = if service.is_data { (MOST_MEMBERS, "members") } else { (MOST_INSTANCES, "instances") };
    if instances > most {
        return refuse(format!("The service \"{name}\" cannot have {instances} {what}: one machine takes {most}."));
    }
    if let Count::Refused(why) = kind.count(instances) {
        return refuse(format!("The service \"{name}\" cannot be scaled to {instances}: {why}."));
    }
    Ok(())
}

fn check_memory(
    service: &ServiceRecord,
    kind: &ServiceType,
    wanted: Memory,
    large: bool,
    notes: &mut Vec<String>,
) -> Result<Memory> {
    use crate::model::memory::MemoryError;
    let checked = wanted.checked(large).map_err(|error| match error {
        MemoryError::NotPermitted(_) => EngineError::Invalid(format!(
            "Cannot scale memory of \"{}\": {error}. `dotcloud daemon allow-large-memory` permits it.",
            service.name
        )),
        error => EngineError::Invalid(format!("Cannot scale memory of \"{}\": {error}.", service.name)),
    })?;
    if checked != wanted {
        notes.push(format!("memory of {} was rounded from {wanted} to {checked}", service.name));
    }
    notes.extend(kind.memory_warning(checked));
    Ok(checked)
}

fn apply(record: &mut AppRecord, wishes: &[ScaleWish]) -> Result<()> {
    for wish in wishes {
        let Some(service) = record.service_mut(&wish.service) else { continue };
        service.instances = wish.instances.unwrap_or(service.instances);
        service.memory = wish.memory.unwrap_or(service.memory);
    }
    Ok(())
}

fn described(wish: &ScaleWish) -> impl Iterator<Item = (&'static str, String)> {
    let instances = wish.instances.map(|count| ("instances", count.to_string()));
    let memory = wish.memory.map(|memory| ("memory", memory.bytes().to_string()));
    [instances, memory].into_iter().flatten()
}

/// What a member says that it holds, in bytes.
fn held(app: &App, instance: &InstanceName) -> Option<u64> {
    let status = app.status.borrow();
    let members = &status.groups.get(&instance.service)?.members;
    members.iter().find(|member| member.index == instance.index)?.used_memory
}

/// Running containers whose limit a wish changes.
fn affected(app: &App, wishes: &[ScaleWish]) -> Vec<(ObservedContainer, Memory)> {
    let observed = app.status.borrow().observed.clone();
    let limited = |container: &ObservedContainer| {
        let has_limit = matches!(container.identity.purpose, Purpose::Code | Purpose::Member);
        let wish = wishes.iter().find(|wish| wish.service == container.identity.instance.service)?;
        let runs = matches!(container.state, RunState::Running | RunState::Paused);
        (has_limit && runs).then_some((container.clone(), wish.memory?))
    };
    observed.containers.iter().filter_map(limited).collect()
}
