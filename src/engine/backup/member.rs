//! Whose data is read, and whose is written.

use crate::catalog::{DataSpec, ServiceType};
use crate::model::observed::{ObservedContainer, RunState};
use crate::model::{GroupStatus, InstanceName, MemberStatus, Role, ServiceName, SyncState};
use crate::store::ServiceRecord;

use super::super::app::App;
use super::super::handle::{Engine, EngineError, Result};
use super::super::power::server;
use super::super::runtime::ExecSpec;

/// A data service as dumps need it.
pub struct Source {
    pub service: ServiceRecord,
    pub kind: ServiceType,
    pub data: DataSpec,
}

impl Source {
    /// # Errors
    /// `NotFound` when there is no such service; `Invalid` when it is no data service, or its
    /// type has no dumps.
    pub fn find(engine: &Engine, app: &App, name: &ServiceName) -> Result<Self> {
        let record = app.record();
        let missing = || EngineError::NotFound(format!("The service \"{name}\" does not exist."));
        let service = record.service(name).ok_or_else(missing)?.clone();
        let kind = engine.inner().catalog.get(&service.type_name).ok_or_else(missing)?.clone();
        let Some(data) = kind.data.clone() else {
            let text = format!("{name} is no data service: `dotcloud snapshot save` keeps its files.");
            return Err(EngineError::Invalid(text));
        };
        let down = format!("The application {} is down: `dotcloud up` starts it.", app.name);
        record.up.then_some(Self { service, kind, data }).ok_or(EngineError::Invalid(down))
    }

    pub fn has_dumps(&self) -> bool {
        !self.data.backup_command.is_empty() && !self.data.restore_command.is_empty()
    }

    pub fn check_has_dumps(&self) -> Result<()> {
        let text = || format!("{} keeps nothing that could be kept: it is of type {}.", self.name(), self.kind.name);
        self.has_dumps().then_some(()).ok_or_else(|| EngineError::Invalid(text()))
    }

    pub fn name(&self) -> &ServiceName {
        &self.service.name
    }

    /// A synchronized slave, so that the master has no more to do; else the master.
    pub fn reader(&self, app: &App) -> Result<ObservedContainer> {
        let status = app.status.borrow().groups.get(self.name()).cloned();
        let slaves = status.iter().flat_map(|group| &group.members).filter(|member| is_level(member));
        let mut running = slaves.filter_map(|slave| running(app, &self.name().instance(slave.index)).ok());
        running.next().map_or_else(|| self.writer(app), Ok)
    }

    /// The master; the only instance where nothing is replicated.
    pub fn writer(&self, app: &App) -> Result<ObservedContainer> {
        let status = app.status.borrow().groups.get(self.name()).cloned();
        let index = match status.filter(|_| self.data.replication.is_some()) {
            None if self.data.replication.is_none() => Some(0),
            status => status.as_ref().and_then(master),
        };
        let none = || {
            let name = self.name();
            EngineError::Invalid(format!("{name} has no master now: `dotcloud info {name}` says why."))
        };
        running(app, &self.name().instance(index.ok_or_else(none)?))
    }

    /// A command of the type, logged in.
    pub fn command(&self, command: &[String], stdin: bool) -> ExecSpec {
        let env = self.kind.client(self.service.password.as_deref().unwrap_or_default()).env;
        ExecSpec { command: command.to_vec(), env, stdin, ..ExecSpec::default() }
    }
}

fn is_level(member: &MemberStatus) -> bool {
    member.role == Role::Slave && member.sync == SyncState::Synchronized
}

fn master(group: &GroupStatus) -> Option<u32> {
    let member = group.members.iter().find(|member| member.role == Role::Master)?;
    Some(member.index)
}

fn running(app: &App, instance: &InstanceName) -> Result<ObservedContainer> {
    let server = server(app, instance)?;
    match server.state {
        RunState::Running => Ok(server),
        RunState::Paused => {
            Err(EngineError::Invalid(format!("{instance} is paused: `dotcloud unpause {instance}` lets it go on.")))
        }
        _ => Err(EngineError::Invalid(format!("{instance} does not run now: `dotcloud status` says why."))),
    }
}
