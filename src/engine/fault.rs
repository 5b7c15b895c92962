//! Faults on purpose: deaths and pauses, by instance or by role. Each is on the activity list.

use std::sync::Arc;
use std::time::Duration;

use crate::faults::{Aim, Place};
use crate::model::observed::{ObservedContainer, Purpose, RunState};
use crate::model::{AppName, InstanceName};
use crate::store::AppRecord;

use super::app::App;
use super::clock;
use super::handle::{Engine, EngineError, Result};
use super::power::absent;

/// One fault.
#[derive(Debug, Clone)]
pub struct Blow {
    pub aim: Aim,
    /// Which of several candidates is meant: see [`Aim::choose`].
    pub draw: u32,
    /// The series that it is part of.
    pub series: Option<Series>,
}

/// A stroke of a series.
#[derive(Debug, Clone, Copy)]
pub struct Series {
    pub seed: u64,
    pub stroke: u64,
}

/// Whoever pauses may let go on in the next moment, and that goes by what was seen last.
const SEEN: Duration = Duration::from_secs(2);

async fn seen_paused(app: &App, container: &str) {
    let mut status = app.status.subscribe();
    let is_paused = |there: &ObservedContainer| there.id == container && there.state == RunState::Paused;
    let seen = status.wait_for(|status| status.observed.containers.iter().any(is_paused));
    // It may have been ended at once: a paused master is.
    let _ = tokio::time::timeout(SEEN, seen).await;
}

impl Engine {
    /// SIGKILL to an instance; returns which one it was.
    ///
    /// # Errors
    /// `Invalid` or `NotFound` when the aim means nobody that runs.
    pub async fn kill(&self, app: &AppName, blow: &Blow) -> Result<InstanceName> {
        let app = self.seen_app(app).await?;
        let victim = victim(&app, blow, &[RunState::Running, RunState::Paused])?;
        self.record_blow(&app, "kill", blow, &victim, None).await;
        self.inner().runtime.kill(&victim.id).await?;
        Ok(victim.identity.instance)
    }

    /// Stops an instance's processes where they are: it runs and does not answer. With `lasts`
    /// it goes on by itself after that time, whatever becomes of whoever asked.
    ///
    /// # Errors
    /// `Invalid` or `NotFound` when the aim means nobody that runs.
    pub async fn pause(&self, app: &AppName, blow: &Blow, lasts: Option<Duration>) -> Result<InstanceName> {
        let app = self.seen_app(app).await?;
        // Who is paused may be named again, to change how long; nobody else is meant by chance.
        let states = [RunState::Running, RunState::Paused];
        let named = matches!(blow.aim.place, Place::Number(_) | Place::Master);
        let victim = victim(&app, blow, &states[..if named { 2 } else { 1 }])?;
        self.promise(&app, &victim.id, lasts).await?;
        self.record_blow(&app, "pause", blow, &victim, lasts).await;
        self.inner().runtime.pause(&victim.id).await?;
        app.wake();
        seen_paused(&app, &victim.id).await;
        Ok(victim.identity.instance)
    }

    /// Lets paused instances go on, all of the application without an aim; returns which.
    pub async fn unpause(&self, app: &AppName, aim: Option<&Aim>) -> Result<Vec<InstanceName>> {
        let app = self.seen_app(app).await?;
        let paused = match aim {
            Some(aim) => candidates(&app, aim)?,
            None => servers(&app),
        };
        let mut freed = Vec::new();
        for container in paused.into_iter().filter(|container| container.state == RunState::Paused) {
            self.inner().runtime.unpause(&container.id).await?;
            self.promise(&app, &container.id, None).await?;
            let instance = container.identity.instance;
            self.inner().record_activity(&app.name, "fault", "unpause", &[("service", instance.to_string())]).await;
            freed.push(instance);
        }
        app.wake();
        Ok(freed)
    }

    /// Records when a container's pause ends by itself, or that it does not.
    async fn promise(&self, app: &Arc<App>, container: &str, lasts: Option<Duration>) -> Result<()> {
        if lasts.is_none() && !app.record().pauses.contains_key(container) {
            return Ok(());
        }
        let too_long = |_| EngineError::Invalid("A pause cannot last that long.".to_owned());
        let until = lasts.map(|lasts| clock::now().checked_add(lasts).map_err(too_long)).transpose()?;
        let edit = |record: &mut AppRecord| {
            match until {
                Some(until) => record.pauses.insert(container.to_owned(), clock::format_timestamp(until)),
                None => record.pauses.remove(container),
            };
            Ok(())
        };
        app.change(&self.inner().store, edit).await
    }

    async fn record_blow(
        &self,
        app: &App,
        action: &str,
        blow: &Blow,
        victim: &ObservedContainer,
        lasts: Option<Duration>,
    ) {
        let mut details = vec![("service", victim.identity.instance.to_string()), ("role", blow.aim.to_string())];
        details.extend(lasts.map(|lasts| ("for", format!("{lasts:?}"))));
        if let Some(Series { seed, stroke }) = blow.series {
            details.extend([("seed", seed.to_string()), ("stroke", stroke.to_string())]);
        }
        self.inner().record_activity(&app.name, "fault", action, &details).await;
    }
}

/// Whom a blow hits, among those in one of these states.
fn victim(app: &App, blow: &Blow, states: &[RunState]) -> Result<ObservedContainer> {
    let meant = candidates(app, &blow.aim)?;
    let hit: Vec<&ObservedContainer> = meant.iter().filter(|container| states.contains(&container.state)).collect();
    let nobody = || match meant.as_slice() {
        [only] => format!("{} does not run now.", only.identity.instance),
        _ => format!("No instance that {} could mean runs now.", blow.aim),
    };
    Aim::choose(&hit, blow.draw).cloned().ok_or_else(|| EngineError::Invalid(nobody()))
}

/// Everybody an aim could mean, in any state, by number.
fn candidates(app: &App, aim: &Aim) -> Result<Vec<ObservedContainer>> {
    let service = &aim.service;
    if app.record().service(service).is_none() {
        return Err(EngineError::NotFound(format!("The service \"{service}\" does not exist.")));
    }
    let all = servers(app).into_iter().filter(|container| container.identity.instance.service == *service);
    let number = |container: &ObservedContainer| container.identity.instance.index;
    let mut meant: Vec<_> = match aim.place {
        Place::Any => all.collect(),
        Place::Number(index) => all.filter(|container| number(container) == index).collect(),
        Place::Master => {
            let master = master(app, aim)?;
            all.filter(|container| number(container) == master).collect()
        }
        Place::Slave => {
            let master = master(app, aim)?;
            all.filter(|container| number(container) != master).collect()
        }
    };
    if meant.is_empty() {
        return Err(match aim.place {
            Place::Slave => EngineError::Invalid(format!("{service} has no slave: scale it to 2 first.")),
            _ => absent(&app.record(), service, aim),
        });
    }
    meant.sort_by_key(number);
    Ok(meant)
}

/// The master's number.
pub(super) fn master(app: &App, aim: &Aim) -> Result<u32> {
    let status = app.status.borrow();
    let none = |why: &str| EngineError::Invalid(format!("{} {why}.", aim.service));
    let group = status.groups.get(&aim.service);
    let group = group.ok_or_else(|| none("has no roles: only replicated data services have"))?;
    Ok(group.epoch.ok_or_else(|| none("has no master yet"))?.master)
}

/// The containers that do the instances' work: of the serving versions, and members' servers.
pub(super) fn servers(app: &App) -> Vec<ObservedContainer> {
    let record = app.record();
    let observed = app.status.borrow().observed.clone();
    let works = |container: &&ObservedContainer| {
        let Some(service) = record.service(&container.identity.instance.service) else { return false };
        let serving = service.serving.as_ref().map(|version| version.generation);
        match container.identity.purpose {
            Purpose::Code => Some(container.identity.generation) == serving,
            Purpose::Member => true,
            Purpose::Pod | Purpose::Build => false,
        }
    };
    observed.containers.iter().filter(works).cloned().collect()
}
