//! Changed files on their way into running instances.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::routing::get;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::mpsc;

use super::Api;
use super::extract::{AppPath, At};
use super::refuse::ApiError;
use super::respond::Answer;
use super::stream::respond;
use crate::api::types::{LiveEvent, LiveReady, Reloaded};
use crate::engine::live::{How, LONGEST, News, Ready};

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/applications/{app}/live", get(hold).post(apply))
}

async fn hold(State(api): State<Api>, At(at): At<AppPath>) -> Answer {
    let ready = api.engine.live(&at.app).await?;
    let meta = serde_json::json!({ "application": at.app });
    let wire = |Ready { instances, wanted }| LiveReady { instances, wanted };
    Ok(respond(&api.shutdown, &meta, received(ready).map(wire)))
}

async fn apply(State(api): State<Api>, At(at): At<AppPath>, request: Request) -> Answer {
    let meta = serde_json::json!({ "application": at.app });
    // An unknown application is told before its change is read.
    api.engine.app(&at.app).await?;
    let Some(tar) = read(request.into_body()).await? else {
        let reason = format!("more than {} MiB have changed", LONGEST >> 20);
        return Ok(respond(&api.shutdown, &meta, stream::iter([LiveEvent::Build { reason }])));
    };
    let news = api.engine.live_apply(&at.app, tar).await?;
    Ok(respond(&api.shutdown, &meta, received(news).map(event)))
}

/// `None` when it is too much to go live.
async fn read(body: Body) -> Result<Option<Bytes>, ApiError> {
    let mut body = body.into_data_stream();
    let mut whole = bytes::BytesMut::new();
    let mut fits = true;
    while let Some(part) = body.next().await {
        let part = part.map_err(|error| ApiError::malformed(format!("the change broke off: {error}")))?;
        // Read to its end: whoever sends it comes to read the answer then.
        fits &= whole.len() + part.len() <= LONGEST;
        if fits {
            whole.extend_from_slice(&part);
        }
    }
    Ok(fits.then(|| whole.freeze()))
}

fn received<T: Send + 'static>(mut receiver: mpsc::Receiver<T>) -> impl Stream<Item = T> + Send {
    stream::poll_fn(move |context| receiver.poll_recv(context))
}

fn event(news: News) -> LiveEvent {
    match news {
        News::Instance { instance, ms, how, restarted } => {
            let (service, instance_id) = (instance.service.into(), instance.index);
            LiveEvent::Instance { service, instance_id, ms, how: wire(how), restarted }
        }
        News::Warning { instance, output } => {
            LiveEvent::Warning { service: instance.service.into(), instance_id: instance.index, output }
        }
        News::Served { instances, ms, failed_requests } => LiveEvent::Served { instances, ms, failed_requests },
        News::Failed { instance, output, failed_requests } => {
            let service = instance.service.into();
            LiveEvent::Failed { service, instance_id: instance.index, output, failed_requests }
        }
        News::Build { reason } => LiveEvent::Build { reason },
    }
}

fn wire(how: How) -> Reloaded {
    match how {
        How::Synced => Reloaded::Synced,
        How::Switched => Reloaded::Switched,
        How::Restarted => Reloaded::Restarted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_that_is_too_large_is_read_to_its_end_and_refused() {
        let part = Bytes::from(vec![0; 1 << 20]);
        let read = |count| {
            let parts = vec![part.clone(); count].into_iter().map(Ok::<_, std::io::Error>);
            read(Body::from_stream(stream::iter(parts)))
        };
        assert_eq!(read(3).await.unwrap().map(|bytes| bytes.len()), Some(3 << 20));
        assert_eq!(read((LONGEST >> 20) + 1).await.unwrap(), None);
    }
}
