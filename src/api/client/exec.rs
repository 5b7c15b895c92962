//! The client's end of an `exec`: frames over an upgraded connection.

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, Method, Request, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_util::codec::Framed;

use super::{Client, ClientError, RequestBody, Result, json, json_request};
use crate::api::types::{ExecRequest, Frame, FrameCodec, PROTOCOL};

type Frames = Framed<TokioIo<Upgraded>, FrameCodec>;

/// A command that runs in an instance.
pub struct ExecClient {
    pub reader: ExecReader,
    pub writer: ExecWriter,
}

pub struct ExecReader(SplitStream<Frames>);
pub struct ExecWriter(SplitSink<Frames, Frame>);

impl Client {
    /// Runs a command in an instance.
    ///
    /// # Errors
    /// `Refused` when there is no such instance or it cannot run the command.
    pub async fn exec(&self, app: &str, service: &str, instance: u32, what: &ExecRequest) -> Result<ExecClient> {
        let path = format!("/v1/me/applications/{app}/services/{service}/instances/{instance}/exec");
        upgraded(self, json_request(Method::POST, &path, json(&path, what)?)?).await
    }
}

/// Sends a request whose answer is frames, in both directions.
pub(super) async fn upgraded(client: &Client, mut request: Request<RequestBody>) -> Result<ExecClient> {
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    request.headers_mut().insert(header::UPGRADE, HeaderValue::from_static(PROTOCOL));
    let response = client.send(request).await?;
    let upgraded = hyper::upgrade::on(response).await.map_err(ClientError::lost)?;
    let (sink, stream) = Framed::new(TokioIo::new(upgraded), FrameCodec).split();
    Ok(ExecClient { reader: ExecReader(stream), writer: ExecWriter(sink) })
}

impl ExecReader {
    /// The next frame; `None` when the connection ended without the command's exit code.
    pub async fn next(&mut self) -> Result<Option<Frame>> {
        self.0.next().await.transpose().map_err(ClientError::lost)
    }
}

impl ExecWriter {
    pub async fn send(&mut self, frame: Frame) -> Result<()> {
        self.0.send(frame).await.map_err(ClientError::lost)
    }
}
