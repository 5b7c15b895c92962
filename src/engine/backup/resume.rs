//! Restores that the last daemon did not see end. Their dump was complete: they go on within their
//! member, where this daemon finds them by their mark.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{AppName, InstanceName, ServiceName};

use super::super::app::App;
use super::super::handle::Engine;
use super::Note;

/// Between two looks whether a command still runs.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long one may take to end that was told to.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// A command that replaces the contents of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halfway {
    /// RFC 3339, UTC.
    pub since: String,
    pub member: InstanceName,
    pub mark: String,
}

/// Keeps clients away, and the master excused, until these restores have ended; then tells of them
/// in the activity list. What is being replaced by a snapshot is not told of here.
pub async fn attend(engine: &Engine, app: &App) {
    let services: Vec<ServiceName> = data_services(app);
    let attended = services.iter().map(async |service| {
        let note = Note::of_service(&app.name, service);
        let Some(halfway) = note.read::<Halfway>(engine.inner()).await else { return };
        // Whoever began another restore by now was let in by the member itself.
        if let Ok(turn) = app.busy.begin(service, "restore") {
            turn.replaces();
            ended(engine, &app.name, &halfway).await;
            note.erase(engine.inner()).await;
        }
        tell(engine, app, &halfway).await;
    });
    futures_util::future::join_all(attended).await;
}

/// Ends the commands of restores that are to begin anew.
pub async fn end_all(engine: &Engine, app: &App) {
    for service in data_services(app) {
        let note = Note::of_service(&app.name, &service);
        let Some(halfway) = note.read::<Halfway>(engine.inner()).await else { continue };
        engine.hang_up(&app.name, &halfway.member, &halfway.mark).await;
        // The member itself refuses a second restore until the first has ended.
        let _ = tokio::time::timeout(ENDS_WITHIN, ended(engine, &app.name, &halfway)).await;
        note.erase(engine.inner()).await;
    }
}

fn data_services(app: &App) -> Vec<ServiceName> {
    app.record().services.iter().filter(|service| service.is_data).map(|service| service.name.clone()).collect()
}

/// A command ends at the latest with its container.
async fn ended(engine: &Engine, app: &AppName, halfway: &Halfway) {
    while engine.still_runs(app, &halfway.member, &halfway.mark).await {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn tell(engine: &Engine, app: &App, halfway: &Halfway) {
    let outcome = format!(
        "unknown: the daemon ended during the one of {}. It went on within its member and has ended there; if the \
         member ended too, the contents may be partly replaced: restore again",
        halfway.since
    );
    let details = [("service", halfway.member.to_string()), ("outcome", outcome)];
    engine.inner().record_activity(&app.name, "service", "restore", &details).await;
}
