//! Snapshots of all data of an application. They are listed and deleted after it is gone, too.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use futures_util::{Stream, stream};
use tokio::sync::mpsc;

use super::Api;
use super::extract::{AppPath, At, SnapshotPath, Told};
use super::refuse::{ApiError, chain};
use super::respond::{Answer, done, objects};
use super::stream::respond;
use crate::api::types::{Snapshot, SnapshotNews, SnapshotPart, SnapshotRequest};
use crate::engine::Engine;
use crate::engine::snapshot::{Content, Manifest, News, Part};
use crate::model::SnapshotNameError;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/applications/{app}/snapshots", get(list).post(save))
        .route("/applications/{app}/snapshots/{name}", axum::routing::delete(delete))
        .route("/applications/{app}/snapshots/{name}/restore", post(restore))
}

async fn list(State(api): State<Api>, At(at): At<AppPath>) -> Answer {
    let all = api.engine.snapshots(&at.app).await?;
    Ok(objects(all.into_iter().map(|manifest| wire(&api.engine, manifest))))
}

async fn save(State(api): State<Api>, At(at): At<AppPath>, Told(wanted): Told<SnapshotRequest>) -> Answer {
    let name = wanted.name.parse().map_err(|wrong: SnapshotNameError| ApiError::invalid(format!("{wrong}.")))?;
    let news = api.engine.save_snapshot(&at.app, name).await?;
    Ok(told(&api, &at.app, news))
}

async fn restore(State(api): State<Api>, At(at): At<SnapshotPath>) -> Answer {
    let news = api.engine.restore_snapshot(&at.app, &at.name).await?;
    Ok(told(&api, &at.app, news))
}

async fn delete(State(api): State<Api>, At(at): At<SnapshotPath>) -> Answer {
    api.engine.delete_snapshot(&at.app, &at.name).await?;
    Ok(done())
}

fn told(api: &Api, app: &crate::model::AppName, news: mpsc::Receiver<News>) -> axum::response::Response {
    let engine = api.engine.clone();
    let meta = serde_json::json!({ "application": app });
    respond(&api.shutdown, &meta, received(news, engine))
}

fn received(mut receiver: mpsc::Receiver<News>, engine: Engine) -> impl Stream<Item = SnapshotNews> + Send {
    stream::poll_fn(move |context| receiver.poll_recv(context).map(|news| news.map(|news| event(&engine, news))))
}

fn event(engine: &Engine, news: News) -> SnapshotNews {
    match news {
        News::Part { content, bytes, holds } => {
            SnapshotNews::Part { kind: content.kind().to_owned(), name: content.name(), bytes, holds }
        }
        News::Restarted(instance) => SnapshotNews::Restarted { instance: instance.to_string() },
        News::Saved(manifest) => SnapshotNews::Saved { snapshot: Box::new(wire(engine, *manifest)) },
        News::Restored { parts } => SnapshotNews::Restored { parts },
        News::Failed(error) => SnapshotNews::Failed { reason: chain(&error) },
    }
}

fn wire(engine: &Engine, manifest: Manifest) -> Snapshot {
    let path = engine.snapshot_path(&manifest.app, &manifest.name).display().to_string();
    Snapshot {
        bytes: manifest.bytes(),
        application: manifest.app.into(),
        name: manifest.name.into(),
        created_at: manifest.created_at,
        revision: manifest.revision,
        parts: manifest.parts.into_iter().map(part).collect(),
        path,
    }
}

fn part(part: Part) -> SnapshotPart {
    let (kind, name) = (part.content.kind().to_owned(), part.content.name());
    let (type_name, member) = match part.content {
        Content::Service { type_name, member, .. } => (Some(type_name), Some(member.to_string())),
        Content::Shared { .. } | Content::Data { .. } => (None, None),
    };
    SnapshotPart { kind, name, type_name, member, file: part.file, bytes: part.bytes, sha256: part.sha256 }
}
