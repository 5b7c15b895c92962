//! One stream of the engine's container events, broadcast; reconnects by itself.

use std::time::Duration;

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptions;
use futures_util::StreamExt;
use tokio::sync::broadcast;

use crate::engine::runtime::RuntimeEvent;

use super::client::Client;
use super::labels::{self, Home};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Listens for ever. After a broken connection the events missed are asked for again.
pub(super) async fn listen(client: Client, home: Home, sender: broadcast::Sender<RuntimeEvent>) {
    let mut since: Option<String> = None;
    let mut pause = FIRST_PAUSE;
    loop {
        let mut stream = std::pin::pin!(client.docker.events(Some(options(&home, since.clone()))));
        while let Some(Ok(message)) = stream.next().await {
            pause = FIRST_PAUSE;
            since = message.time_nano.map(|nanos| format!("{}.{:09}", nanos / NANOS, nanos % NANOS)).or(since);
            if let Some(event) = event(message) {
                // Nobody listening is no failure: events are hints.
                let _ = sender.send(event);
            }
        }
        tracing::debug!(endpoint = client.endpoint, "the engine's events ended; asking again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

const NANOS: i64 = 1_000_000_000;

fn options(home: &Home, since: Option<String>) -> EventsOptions {
    let mut filters = home.filters(None);
    filters.insert("type".to_owned(), vec!["container".to_owned()]);
    EventsOptions { since, until: None, filters: Some(filters) }
}

fn event(message: EventMessage) -> Option<RuntimeEvent> {
    let (action, actor) = (message.action?, message.actor?);
    let attributes = actor.attributes?;
    // `exec_start: sh` and the like say nothing about the container's state.
    if action.starts_with("exec_") || action.starts_with("archive-") {
        return None;
    }
    Some(RuntimeEvent { app: attributes.get(labels::APP)?.parse().ok()?, container: actor.id?, action })
}
