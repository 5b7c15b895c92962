//! Restarts that are wished for and deaths that are: by instance or by role.

use crate::model::observed::{ObservedContainer, Purpose};
use crate::model::{AppName, InstanceName, ServiceName};

use super::app::{Absence, App};
use super::execute::{DRAIN, GRACE_SECONDS, take_out};
use super::handle::{Engine, EngineError, Result, to_its_end};

impl Engine {
    /// Restarts one instance; a data service's master keeps its role.
    /// It goes on to its end when whoever asked for it leaves.
    pub async fn restart(&self, app: &AppName, instance: &InstanceName) -> Result<()> {
        let app = self.seen_app(app).await?;
        let server = server(&app, instance)?;
        self.inner().record_activity(&app.name, "service", "restart", &[("service", instance.to_string())]).await;
        let engine = self.clone();
        to_its_end(async move { engine.restart_server(&app, &server).await }).await
    }

    async fn restart_server(&self, app: &App, server: &ObservedContainer) -> Result<()> {
        let instance = &server.identity.instance;
        let restarted = if server.identity.purpose == Purpose::Member {
            app.groups.plan_restart(&instance.service, instance.index).await;
            self.stop_and_start(server).await
        } else {
            take_out(self.inner(), app, &server.id, Absence::ForGood, DRAIN).await;
            let restarted = self.stop_and_start(server).await;
            app.set_leaving(&server.id, None);
            restarted
        };
        app.wake();
        restarted
    }

    /// SIGKILL to an instance: `www.2`, `db.master`, `db.slave`.
    pub async fn kill(&self, app: &AppName, role: &str) -> Result<InstanceName> {
        let instance = self.resolve(app, role).await?;
        let app = self.seen_app(app).await?;
        let server = server(&app, &instance)?;
        let details = [("service", instance.to_string()), ("role", role.to_owned())];
        self.inner().record_activity(&app.name, "fault", "kill", &details).await;
        self.inner().runtime.kill(&server.id).await?;
        Ok(instance)
    }

    /// `www`, `www.1`, `db.master`, `db.slave` -> an instance.
    pub async fn resolve(&self, app: &AppName, role: &str) -> Result<InstanceName> {
        let app = self.seen_app(app).await?;
        let (service, place) = role.split_once('.').unwrap_or((role, "0"));
        let invalid = |error: crate::model::NameError| EngineError::Invalid(format!("{error}."));
        let service: ServiceName = service.parse().map_err(invalid)?;
        if app.record().service(&service).is_none() {
            return Err(EngineError::NotFound(format!("The service \"{service}\" does not exist.")));
        }
        match place {
            "master" | "slave" => by_role(&app, &service, place),
            _ if role.contains('.') => role.parse().map_err(invalid),
            _ => Ok(service.instance(0)),
        }
    }

    async fn stop_and_start(&self, server: &ObservedContainer) -> Result<()> {
        self.inner().runtime.stop(&server.id, GRACE_SECONDS).await?;
        Ok(self.inner().runtime.restart(&server.id).await?)
    }
}

fn by_role(app: &App, service: &ServiceName, role: &str) -> Result<InstanceName> {
    let status = app.status.borrow();
    let group = status.groups.get(service);
    let none = |why: &str| EngineError::Invalid(format!("{service} {why}."));
    let group = group.ok_or_else(|| none("has no roles: only replicated data services have"))?;
    let master = group.epoch.ok_or_else(|| none("has no master yet"))?.master;
    if role == "master" {
        return Ok(service.instance(master));
    }
    let slave = group.members.iter().map(|member| member.index).find(|index| *index != master);
    slave.map(|index| service.instance(index)).ok_or_else(|| none("has no slave: scale it to 2 first"))
}

/// The container that does an instance's work: of the serving version, or a member's server.
pub(super) fn server(app: &App, instance: &InstanceName) -> Result<ObservedContainer> {
    let record = app.record();
    let missing = || EngineError::NotFound(format!("There is no instance {instance} of application {}.", app.name));
    let service = record.service(&instance.service).ok_or_else(missing)?;
    let generation = service.serving.as_ref().map(|version| version.generation);
    let observed = app.status.borrow().observed.clone();
    let wanted = |container: &&ObservedContainer| match container.identity.purpose {
        Purpose::Code => container.identity.instance == *instance && Some(container.identity.generation) == generation,
        Purpose::Member => container.identity.instance == *instance,
        Purpose::Pod | Purpose::Build => false,
    };
    observed.containers.iter().find(wanted).cloned().ok_or_else(missing)
}
