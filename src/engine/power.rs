//! Restarts that are wished for, and who is meant by a role.

mod making;

use std::fmt;

use crate::faults::{Aim, Place};
use crate::model::observed::{ObservedContainer, Purpose};
use crate::model::{AppName, InstanceName, ServiceName, SyncState};
use crate::store::AppRecord;

use super::app::{Absence, App};
use super::driver::RestartPlan;
use super::execute::{DRAIN, GRACE_SECONDS, take_out};
use super::fault::{master, servers};
use super::handle::{Engine, EngineError, Result, to_its_end};
use super::pauses;
use super::reconcile::in_full;
use super::runtime::RuntimeError;

impl Engine {
    /// Restarts one instance; a data service's master keeps its role.
    /// A member that the platform is making just then is waited for instead: its server is a new one.
    /// It goes on to its end when whoever asked for it leaves.
    ///
    /// # Errors
    /// `Conflict` when a member is still being made after half a minute.
    pub async fn restart(&self, app: &AppName, instance: &InstanceName) -> Result<()> {
        let app = self.seen_app(app).await?;
        let observed = app.status.borrow().observed.clone();
        if making::is_made(&app.record(), &observed, instance) {
            return making::made(&app, instance, None).await;
        }
        let server = server(&app, instance)?;
        self.inner().record_activity(&app.name, "service", "restart", &[("service", instance.to_string())]).await;
        let engine = self.clone();
        to_its_end(async move { engine.restart_server(&app, &server).await }).await
    }

    async fn restart_server(&self, app: &App, server: &ObservedContainer) -> Result<()> {
        pauses::let_go_on(self.inner(), app, &server.id).await?;
        let restarted = if server.identity.purpose == Purpose::Member {
            self.restart_member(app, server).await
        } else {
            // A change that goes live meanwhile would lose its agent, and put the instance back.
            let _quiet = app.live.quiet().await;
            take_out(self.inner(), app, &server.id, Absence::ForGood, DRAIN).await;
            let restarted = self.stop_and_start(server, GRACE_SECONDS).await;
            app.set_leaving(&server.id, None);
            Ok(restarted?)
        };
        app.wake();
        restarted
    }

    async fn restart_member(&self, app: &App, server: &ObservedContainer) -> Result<()> {
        let instance = &server.identity.instance;
        let plan = app.groups.plan_restart(&instance.service, instance.index).await;
        // Who does not answer may not listen to signals yet either, as the first process of a
        // container that starts; its data outlives any end.
        let grace = if answers(app, instance) { GRACE_SECONDS } else { 0 };
        let Err(error) = self.stop_and_start(server, grace).await else {
            plan.into_iter().for_each(RestartPlan::carried_out);
            return Ok(());
        };
        // Withdrawn, so that the group goes on with what is there.
        drop(plan);
        let observed = self.inner().runtime.observe(&app.name).await?;
        if making::is_made(&app.record(), &observed, instance) {
            tracing::info!(app = %app.name, "{instance} is being made anew, and so not restarted: {}", in_full(&error));
            return making::made(app, instance, Some(&server.id)).await;
        }
        Err(error.into())
    }

    /// `www`, `www.1`, `db.master`, `db.slave` -> an instance; a bare service is its first one.
    pub async fn resolve(&self, app: &AppName, aim: &Aim) -> Result<InstanceName> {
        let app = self.seen_app(app).await?;
        if app.record().service(&aim.service).is_none() {
            return Err(EngineError::NotFound(format!("The service \"{}\" does not exist.", aim.service)));
        }
        match aim.place {
            Place::Any => Ok(aim.service.instance(0)),
            Place::Number(index) => Ok(aim.service.instance(index)),
            Place::Master => Ok(aim.service.instance(master(&app, aim)?)),
            Place::Slave => slave(&app, aim),
        }
    }

    async fn stop_and_start(&self, server: &ObservedContainer, grace: u32) -> std::result::Result<(), RuntimeError> {
        self.inner().runtime.stop(&server.id, grace).await?;
        self.inner().runtime.restart(&server.id).await
    }
}

/// Whether a member was heard lately.
fn answers(app: &App, instance: &InstanceName) -> bool {
    let status = app.status.borrow();
    let members = status.groups.get(&instance.service).into_iter().flat_map(|group| &group.members);
    members.into_iter().any(|member| member.index == instance.index && member.sync != SyncState::Down)
}

fn slave(app: &App, aim: &Aim) -> Result<InstanceName> {
    let master = master(app, aim)?;
    let status = app.status.borrow();
    let members = status.groups.get(&aim.service).into_iter().flat_map(|group| &group.members);
    let slave = members.map(|member| member.index).find(|index| *index != master);
    let none = || EngineError::Invalid(format!("{} has no slave: scale it to 2 first.", aim.service));
    slave.map(|index| aim.service.instance(index)).ok_or_else(none)
}

/// The container that does an instance's work.
pub(super) fn server(app: &App, instance: &InstanceName) -> Result<ObservedContainer> {
    let found = servers(app).into_iter().find(|container| container.identity.instance == *instance);
    found.ok_or_else(|| {
        let record = app.record();
        let wanted = record.service(&instance.service).is_some_and(|service| instance.index < service.instances);
        if wanted { unmade(instance) } else { absent(&record, &instance.service, instance) }
    })
}

/// What is said of an instance that is wanted and has no container.
fn unmade(instance: &InstanceName) -> EngineError {
    let service = &instance.service;
    EngineError::NotFound(format!("{instance} has not been started yet: `dotcloud info {service}` says why."))
}

/// What is said of an instance that is not there, with those that are wanted.
pub(super) fn absent(record: &AppRecord, service: &ServiceName, instance: &impl fmt::Display) -> EngineError {
    let text = format!("There is no instance {instance} of application {}", record.name);
    EngineError::NotFound(match record.service(service).map(|known| known.instances) {
        None => format!("{text}: it has no service \"{service}\"."),
        Some(0 | 1) => format!("{text}: {service} has {service}.0 alone."),
        Some(count) => format!("{text}: {service} has {service}.0 to {service}.{}.", count - 1),
    })
}
