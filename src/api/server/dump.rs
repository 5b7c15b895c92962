//! Dumps of one data service, as frames over an upgraded connection: a dump that ended early is
//! told from a whole one in both directions.
//!
//! `POST S/backup` answers with `Stdout` frames, then `Exit(0)`. `POST S/restore` takes `Stdin`
//! frames, of which an empty one says that the dump is complete, and answers with `Exit(0)`. Both
//! tell [`DumpNews`] in `Stderr` frames, and end with `Failed` and the reason when they fail.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::UPGRADE;
use axum::routing::post;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_util::codec::Framed;

use super::Api;
use super::exec::switching;
use super::extract::{At, ServicePath};
use super::refuse::{ApiError, chain};
use super::respond::Answer;
use crate::api::types::{DumpNews, ErrorKind, Frame, FrameCodec, FrameError, PROTOCOL};
use crate::engine::backup::{Backup, Restore};

type Sink = SplitSink<Framed<TokioIo<Upgraded>, FrameCodec>, Frame>;
type Frames = SplitStream<Framed<TokioIo<Upgraded>, FrameCodec>>;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/applications/{app}/services/{service}/backup", post(backup))
        .route("/applications/{app}/services/{service}/restore", post(restore))
}

async fn backup(State(api): State<Api>, At(at): At<ServicePath>, mut request: Request) -> Answer {
    let upgrade = upgrade(&mut request)?;
    let dump = api.engine.backup(&at.app, &at.service).await?;
    tokio::spawn(async move {
        let Some((sink, frames)) = opened(upgrade).await else { return };
        // Whoever leaves is noticed by what it does not send.
        let ended = tokio::select! {
            ended = send(dump, sink) => ended,
            () = gone(frames) => Ok(()),
        };
        told(ended);
    });
    Ok(switching())
}

async fn restore(State(api): State<Api>, At(at): At<ServicePath>, mut request: Request) -> Answer {
    let upgrade = upgrade(&mut request)?;
    let restore = api.engine.restore(&at.app, &at.service).await?;
    tokio::spawn(async move {
        let Some((sink, frames)) = opened(upgrade).await else { return };
        told(receive(restore, sink, frames).await);
    });
    Ok(switching())
}

fn upgrade(request: &mut Request) -> Result<OnUpgrade, ApiError> {
    let asked = request.headers().get(UPGRADE).is_some_and(|value| value == PROTOCOL);
    let text = format!("Ask for an upgrade of the connection to {PROTOCOL}.");
    let refusal = || ApiError::new(StatusCode::UPGRADE_REQUIRED, ErrorKind::Invalid, text);
    asked.then(|| hyper::upgrade::on(request)).ok_or_else(refusal)
}

async fn opened(upgrade: OnUpgrade) -> Option<(Sink, Frames)> {
    match upgrade.await {
        Ok(connection) => Some(Framed::new(TokioIo::new(connection), FrameCodec).split()),
        Err(error) => {
            tracing::debug!(%error, "the connection was not upgraded");
            None
        }
    }
}

fn told(ended: Result<(), FrameError>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "the stream of a dump ended early");
    }
}

async fn gone(mut frames: Frames) {
    while let Some(Ok(_)) = frames.next().await {}
}

async fn send(mut dump: Backup, mut sink: Sink) -> Result<(), FrameError> {
    let begun = DumpNews::Begun {
        member: dump.member.to_string(),
        extension: dump.extension.clone(),
        holds: dump.holds.clone(),
    };
    sink.send(news(&begun)).await?;
    loop {
        match dump.next().await {
            Ok(Some(part)) => sink.send(Frame::Stdout(part)).await?,
            Ok(None) => return end(sink, Frame::Exit(0)).await,
            Err(error) => return end(sink, Frame::Failed(chain(&error))).await,
        }
    }
}

/// A connection that breaks before the dump is complete ends the restore without a change.
async fn receive(mut restore: Restore, mut sink: Sink, mut frames: Frames) -> Result<(), FrameError> {
    let member = restore.member.to_string();
    sink.send(news(&DumpNews::Begun { member, extension: String::new(), holds: String::new() })).await?;
    while let Some(frame) = frames.next().await {
        let Frame::Stdin(part) = frame? else { continue };
        if part.is_empty() || !restore.send(part).await {
            return finish(restore, sink).await;
        }
    }
    Ok(())
}

async fn finish(restore: Restore, mut sink: Sink) -> Result<(), FrameError> {
    let mut replacing = restore.replacing();
    let mut verdict = tokio::spawn(restore.finish());
    let mut told = false;
    loop {
        tokio::select! {
            biased;
            begun = replacing.changed(), if !told => {
                told = true;
                if begun.is_ok() {
                    sink.send(news(&DumpNews::Replacing)).await?;
                }
            }
            verdict = &mut verdict => return match verdict {
                Ok(Ok(())) => end(sink, Frame::Exit(0)).await,
                Ok(Err(error)) => end(sink, Frame::Failed(chain(&error))).await,
                Err(error) => end(sink, Frame::Failed(error.to_string())).await,
            },
        }
    }
}

fn news(news: &DumpNews) -> Frame {
    // Wire types hold strings, numbers and maps keyed by strings: they always serialise.
    Frame::Stderr(serde_json::to_vec(news).unwrap_or_default().into())
}

async fn end(mut sink: Sink, last: Frame) -> Result<(), FrameError> {
    sink.send(last).await?;
    sink.close().await
}
