//! Waiting until everything that was asked for runs, and telling what is waited for.

use std::pin::Pin;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use futures_util::{Stream, StreamExt, stream};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::Api;
use super::extract::{AppPath, Ask, At};
use super::refuse::chain;
use super::respond::Answer;
use super::stream::respond;
use crate::api::types::WaitRecord;
use crate::engine::EngineError;
use crate::engine::handle::Result as EngineResult;
use crate::model::{NameError, ServiceName};

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/applications/{app}/wait", get(wait))
}

/// Names with commas between them; none: everything.
#[derive(Deserialize)]
struct Waited {
    #[serde(default)]
    services: String,
}

async fn wait(State(api): State<Api>, At(at): At<AppPath>, Ask(waited): Ask<Waited>) -> Answer {
    // An unknown application is a 404, not a stream that fails.
    let known = api.engine.app(&at.app).await?.services;
    let services = names(&waited.services)?;
    if let Some(name) = services.iter().find(|name| known.iter().all(|service| service.name != **name)) {
        return Err(EngineError::NotFound(format!("The service \"{name}\" does not exist.")).into());
    }
    let meta = serde_json::json!({ "application": at.app });
    let (sender, holds) = mpsc::channel(16);
    let (engine, app) = (api.engine.clone(), at.app);
    let waiting = async move { engine.wait(&app, &services, sender).await };
    Ok(respond(&api.shutdown, &meta, records(Box::pin(waiting), holds)))
}

fn names(list: &str) -> EngineResult<Vec<ServiceName>> {
    let names = list.split(',').filter(|name| !name.is_empty());
    let wrong = |error: NameError| EngineError::Invalid(error.to_string());
    names.map(|name| name.parse().map_err(wrong)).collect()
}

type Waiting = Pin<Box<dyn Future<Output = EngineResult<()>> + Send>>;

/// What is waited for until the wait ends. It ends too when the stream is dropped.
fn records(waiting: Waiting, holds: mpsc::Receiver<Vec<String>>) -> impl Stream<Item = WaitRecord> + Send {
    let ended = stream::once(waiting).map(|ended| last(&ended));
    stream::unfold(Some((holds, Box::pin(ended.peekable()))), |state| async move {
        let (mut holds, mut ended) = state?;
        tokio::select! {
            biased;
            Some(holding) = holds.recv() => Some((WaitRecord::Waiting { holds: holding }, Some((holds, ended)))),
            Some(_) = ended.as_mut().peek() => match holds.try_recv() {
                // Told just before the end.
                Ok(holding) => Some((WaitRecord::Waiting { holds: holding }, Some((holds, ended)))),
                Err(_) => ended.next().await.map(|last| (last, None)),
            },
            else => None,
        }
    })
}

fn last(ended: &EngineResult<()>) -> WaitRecord {
    match ended {
        Ok(()) => WaitRecord::Ready,
        Err(error) => WaitRecord::Failed { message: chain(error) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn holds_come_before_the_end() {
        let (sender, holds) = mpsc::channel(1);
        let waiting = async move {
            for hold in ["www.0 starts", "db.1 synchronizes"] {
                sender.send(vec![hold.to_owned()]).await.unwrap();
            }
            Err(EngineError::Invalid("the deployment failed".to_owned()))
        };
        let records: Vec<WaitRecord> = records(Box::pin(waiting), holds).collect().await;
        let hold = |text: &str| WaitRecord::Waiting { holds: vec![text.to_owned()] };
        let failed = WaitRecord::Failed { message: "the deployment failed".to_owned() };
        assert_eq!(records, [hold("www.0 starts"), hold("db.1 synchronizes"), failed]);
    }
}
