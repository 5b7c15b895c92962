//! Members that the platform is making, for the first time or anew: there is nothing to restart then,
//! and what is there is about to be removed.

use std::time::Duration;

use crate::engine::app::{App, AppStatus};
use crate::engine::handle::{EngineError, Result};
use crate::model::InstanceName;
use crate::model::observed::{ObservedApp, ObservedContainer, Purpose, RunState};
use crate::store::AppRecord;

/// How long it is waited for before whoever asked is told to come back.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether this is a member that is wanted and has no server in a pod of its own yet, or any more.
pub(super) fn is_made(record: &AppRecord, observed: &ObservedApp, instance: &InstanceName) -> bool {
    let service = record.service(&instance.service).filter(|service| service.is_data && !service.doomed);
    let wanted = record.up && !record.doomed && service.is_some_and(|service| instance.index < service.instances);
    wanted && seated(observed, instance).is_none()
}

/// Returns once the member's server runs, unless it is this container, which could not be restarted.
///
/// # Errors
/// `Conflict` when that takes too long, or nobody wants it any more.
pub(super) async fn made(app: &App, instance: &InstanceName, failed: Option<&str>) -> Result<()> {
    let mut status = app.status.subscribe();
    app.wake();
    let runs = |status: &AppStatus| {
        let server = seated(&status.observed, instance).filter(|server| Some(server.id.as_str()) != failed);
        server.is_some_and(|server| server.state.is_alive())
    };
    let over = |status: &AppStatus| status.gone || runs(status);
    match tokio::time::timeout(PATIENCE, status.wait_for(over)).await {
        Ok(Ok(status)) if runs(&status) => Ok(()),
        _ => Err(unfinished(instance)),
    }
}

fn unfinished(instance: &InstanceName) -> EngineError {
    EngineError::Conflict(format!(
        "{instance} is being made anew, and does not run after {} s. `dotcloud info {}` says what it waits for; it \
         needs no restart once it runs.",
        PATIENCE.as_secs(),
        instance.service
    ))
}

/// The member's server, in a pod that runs.
fn seated<'a>(observed: &'a ObservedApp, instance: &InstanceName) -> Option<&'a ObservedContainer> {
    let find = |purpose| {
        observed
            .containers
            .iter()
            .find(move |one| one.identity.instance == *instance && one.identity.purpose == purpose)
    };
    let pod = find(Purpose::Pod).filter(|pod| pod.state == RunState::Running)?;
    let lives_there = |server: &&ObservedContainer| server.pod.as_ref().is_none_or(|own| *own == pod.id);
    find(Purpose::Member).filter(lives_there).filter(|server| server.state != RunState::Created)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observed::Identity;

    fn record(up: bool) -> AppRecord {
        let spec = crate::buildfile::parse(b"db:\n  type: redis\n", &["redis"]).stack.unwrap().services.remove(0);
        serde_json::from_value(serde_json::json!({
            "name": "shop", "flavor": "live", "created_at": "2026-11-22T00:00:00Z", "up": up, "subnet": null,
            "environment": {}, "generation": 1,
            "services": [{
                "name": "db", "type_name": "redis", "is_data": true, "spec": spec, "instances": 2,
                "memory": 33554432, "in_build_file": true, "password": null, "front_port": null,
                "serving": null, "candidate": null,
            }],
        }))
        .unwrap()
    }

    fn db(index: u32) -> InstanceName {
        crate::model::ServiceName::instance(&"db".parse().unwrap(), index)
    }

    fn container(id: &str, purpose: Purpose, state: RunState) -> ObservedContainer {
        ObservedContainer {
            id: id.to_owned(),
            name: id.to_owned(),
            identity: Identity { app: "shop".parse().unwrap(), instance: db(0), purpose, generation: 0 },
            image: "image".to_owned(),
            state,
            pid: None,
            ip: None,
            memory: None,
            pod: (purpose == Purpose::Member).then(|| "pod".to_owned()),
            started_at: None,
        }
    }

    const RUNS: RunState = RunState::Running;
    const ENDED: RunState = RunState::Exited { code: 137, oom_killed: false };

    fn observed(containers: &[ObservedContainer]) -> ObservedApp {
        ObservedApp { containers: containers.to_vec(), ..ObservedApp::default() }
    }

    #[test]
    fn a_member_is_being_made_until_its_server_is_in_a_pod_that_runs() {
        let (pod, server) = (container("pod", Purpose::Pod, RUNS), container("one", Purpose::Member, RUNS));
        let ended = container("pod", Purpose::Pod, ENDED);
        let another = container("another", Purpose::Pod, RUNS);
        let created = container("one", Purpose::Member, RunState::Created);
        let unfinished = [
            vec![],
            vec![pod.clone()],
            vec![server.clone()],
            vec![ended, server.clone()],
            vec![another, server.clone()],
            vec![pod.clone(), created],
        ];
        for containers in unfinished {
            assert!(is_made(&record(true), &observed(&containers), &db(0)), "{containers:?}");
        }
        let dead = container("one", Purpose::Member, ENDED);
        for whole in [[pod.clone(), server], [pod, dead]] {
            assert!(!is_made(&record(true), &observed(&whole), &db(0)), "a restart starts it: {whole:?}");
        }
    }

    #[test]
    fn who_is_not_wanted_is_not_being_made() {
        assert!(!is_made(&record(true), &observed(&[]), &db(2)), "it is scaled to 2");
        assert!(!is_made(&record(false), &observed(&[]), &db(0)), "everything is down");
    }

    fn show(app: &App, containers: &[ObservedContainer]) {
        let observed = std::sync::Arc::new(observed(containers));
        app.status.send_modify(|status| status.observed = observed);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_restarts_it_waits_for_the_new_server() {
        let app = App::new(record(true));
        let (pod, old) = (container("pod", Purpose::Pod, RUNS), container("old", Purpose::Member, RUNS));
        show(&app, &[pod.clone(), old]);
        let restarted = tokio::spawn({
            let app = app.clone();
            async move { made(&app, &db(0), Some("old")).await }
        });
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!restarted.is_finished(), "that is the one that could not be restarted");
        show(&app, &[]);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!restarted.is_finished());
        show(&app, &[pod, container("new", Purpose::Member, RUNS)]);
        restarted.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_made_in_time_is_told_of_in_our_own_words() {
        let app = App::new(record(true));
        let Err(EngineError::Conflict(text)) = made(&app, &db(0), None).await else { panic!("nothing was made") };
        assert!(text.starts_with("db.0 is being made anew") && text.contains("`dotcloud info db`"), "{text}");
    }
}
