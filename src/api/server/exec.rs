//! A command in an instance: HTTP until it runs, then frames in both directions.

use axum::extract::{FromRequest, Request, State};
use axum::http::header::{CONNECTION, UPGRADE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio_util::codec::Framed;

use super::Api;
use super::extract::{At, InstancePath, Told};
use super::refuse::{ApiError, chain};
use super::respond::Answer;
use crate::api::types::{ExecRequest, Frame, FrameCodec, FrameError, PROTOCOL, Size};
use crate::engine::runtime::{ExecOutput, ExecSession, ExecSpec, RuntimeError, TtySize};
use crate::engine::shell::MARK;

pub(super) async fn exec(State(api): State<Api>, At(at): At<InstancePath>, mut request: Request) -> Answer {
    let asked = request.headers().get(UPGRADE).is_some_and(|value| value == PROTOCOL);
    if !asked {
        let text = format!("Ask for an upgrade of the connection to {PROTOCOL}.");
        return Err(ApiError::new(StatusCode::UPGRADE_REQUIRED, crate::api::types::ErrorKind::Invalid, text));
    }
    let upgrade = hyper::upgrade::on(&mut request);
    let Told(wanted) = Told::<ExecRequest>::from_request(request, &api).await?;
    let mark = uuid::Uuid::new_v4().to_string();
    let mut spec = spec(wanted);
    spec.env.insert(MARK.to_owned(), mark.clone());
    let session = api.engine.run(&at.app, &at.name(), spec).await?;
    tokio::spawn(async move {
        let ended = match upgrade.await {
            Ok(connection) => converse(session, connection).await,
            Err(error) => {
                tracing::debug!(%error, "the connection was not upgraded");
                false
            }
        };
        if !ended {
            api.engine.hang_up(&at.app, &at.name(), &mark).await;
        }
    });
    Ok(switching())
}

pub(super) fn switching() -> Response {
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static(PROTOCOL));
    response
}

fn spec(wanted: ExecRequest) -> ExecSpec {
    let tty = wanted.tty.map(|Size { rows, cols }| TtySize { rows, cols });
    ExecSpec { command: wanted.command, stdin: wanted.stdin, tty, ..ExecSpec::default() }
}

/// Carries input and output at once: a command that does not read must not stop its output.
/// Ends with the command, or with the client: then it is false.
async fn converse(session: ExecSession, connection: Upgraded) -> bool {
    let (sink, frames) = Framed::new(TokioIo::new(connection), FrameCodec).split();
    let ExecSession { stdin, resize, output } = session;
    let (ended, by_command) = tokio::select! {
        ended = carry_output(output, sink) => (ended, true),
        ended = carry_input(frames, stdin, resize) => (ended, false),
    };
    if let Err(error) = &ended {
        tracing::debug!(%error, "the stream of a command ended early");
    }
    by_command && ended.is_ok()
}

async fn carry_output(
    mut output: mpsc::Receiver<Result<ExecOutput, RuntimeError>>,
    mut sink: impl Sink<Frame, Error = FrameError> + Unpin,
) -> Result<(), FrameError> {
    while let Some(part) = output.recv().await {
        let frame = match part {
            Ok(ExecOutput::Stdout(bytes)) => Frame::Stdout(bytes),
            Ok(ExecOutput::Stderr(bytes)) => Frame::Stderr(bytes),
            Ok(ExecOutput::Exit(code)) => Frame::Exit(i32::try_from(code).unwrap_or(i32::MAX)),
            Err(error) => Frame::Failed(chain(&error)),
        };
        let last = matches!(frame, Frame::Exit(_) | Frame::Failed(_));
        sink.send(frame).await?;
        if last {
            return sink.close().await;
        }
    }
    sink.send(Frame::Failed("the command's end was not reported".to_owned())).await?;
    sink.close().await
}

async fn carry_input(
    mut frames: impl Stream<Item = Result<Frame, FrameError>> + Unpin,
    mut stdin: Option<mpsc::Sender<Bytes>>,
    resize: mpsc::Sender<TtySize>,
) -> Result<(), FrameError> {
    while let Some(frame) = frames.next().await {
        match frame? {
            Frame::Stdin(bytes) if bytes.is_empty() => stdin = None,
            Frame::Stdin(bytes) => {
                if let Some(open) = &stdin
                    && open.send(bytes).await.is_err()
                {
                    stdin = None;
                }
            }
            // A command that ended has no size; its last words are on their way.
            Frame::Resize(Size { rows, cols }) => drop(resize.send(TtySize { rows, cols }).await),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Converses for a command that repeats its input and then ends with code 7.
    pub async fn run_repeater(connection: Upgraded) {
        let (stdin, mut typed) = mpsc::channel::<Bytes>(1);
        let (printed, output) = mpsc::channel(1);
        let (resize, _) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Some(bytes) = typed.recv().await {
                printed.send(Ok(ExecOutput::Stdout(bytes))).await.unwrap();
            }
            printed.send(Ok(ExecOutput::Exit(7))).await.unwrap();
        });
        converse(ExecSession { stdin: Some(stdin), resize, output }, connection).await;
    }
}
