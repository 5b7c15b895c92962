//! A change of master that somebody asks for: another member, with nobody having failed, or the
//! word that decides in a stalled group.

use crate::model::{AppName, ServiceName};
use crate::store::AppRecord;

use super::handle::{Engine, EngineError, Result};
use super::power::absent;

impl Engine {
    /// Makes `to`, or the most advanced slave, the master; returns the master's number.
    ///
    /// # Errors
    /// `Invalid` with the reason when nobody can take over; the master then stays.
    pub async fn switchover(&self, app: &AppName, service: &ServiceName, to: Option<u32>) -> Result<u32> {
        let (inner, app) = (self.inner(), self.inner().app(app)?);
        let instances = self.check_switchover(&app.record(), service, to)?;
        let outcome = app.groups.switchover(service, to).await;
        let down = || EngineError::Invalid(format!("The service \"{service}\" is down: `dotcloud up` starts it."));
        let alone = if instances == 1 { ": scale it to 2 first" } else { "" };
        let refused = |error| EngineError::Invalid(format!("{service}: {error}{alone}."));
        let master = outcome.ok_or_else(down)?.map_err(refused)?;
        // Of two that are asked for at once the later one is heeded, and both are answered with it.
        if to.is_some_and(|wanted| wanted != master) {
            let now = service.instance(master);
            let text = format!("{now} is the master now: another switchover was asked for at the same time.");
            return Err(EngineError::Invalid(text));
        }
        let details = [("service", service.to_string()), ("to", service.instance(master).to_string())];
        inner.record_activity(&app.name, "service", "switchover", &details).await;
        app.wake();
        Ok(master)
    }

    /// How many instances the service has.
    fn check_switchover(&self, record: &AppRecord, service: &ServiceName, to: Option<u32>) -> Result<u32> {
        let missing = || EngineError::NotFound(format!("The service \"{service}\" does not exist."));
        let known = record.service(service).ok_or_else(missing)?;
        let kind = self.inner().catalog.get(&known.type_name).ok_or_else(missing)?;
        if kind.data.as_ref().is_none_or(|data| data.replication.is_none()) {
            let text = format!("The service \"{service}\" has no master: type {} has no replication.", kind.name);
            return Err(EngineError::Invalid(text));
        }
        match to.filter(|index| *index >= known.instances) {
            Some(index) => Err(absent(record, service, &service.instance(index))),
            None => Ok(known.instances),
        }
    }
}
