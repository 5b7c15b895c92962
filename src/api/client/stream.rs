//! Streams of JSON documents, one a line (rest-api.md, §4).

use bytes::{Buf, BytesMut};
use http::{Method, Request};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Client, ClientError, RequestBody, Result, empty, json, json_request, request};
use crate::api::types::Object;

/// The records of a stream, after its first line.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    buffer: BytesMut,
}

impl Client {
    /// Opens a stream and reads its first line, which says what it is about.
    pub(super) async fn stream(&self, path: &str) -> Result<Lines> {
        self.stream_of(request(Method::GET, path, empty())?).await
    }

    /// As [`Client::stream`], for an answer to what is told.
    pub(super) async fn stream_told(&self, method: Method, path: &str, body: &impl Serialize) -> Result<Lines> {
        self.stream_of(json_request(method, path, json(path, body)?)?).await
    }

    /// As [`Client::stream`], for an answer to any request.
    pub(super) async fn stream_of(&self, request: Request<RequestBody>) -> Result<Lines> {
        let response = self.send(request).await?;
        let mut lines = Lines { body: response.into_body(), buffer: BytesMut::new() };
        match lines.next::<serde_json::Value>().await? {
            Some(_) => Ok(lines),
            None => Err(ClientError::lost("the stream ended before its first line")),
        }
    }
}

impl Lines {
    /// The next record; `None` at the end of the stream. Keep-alives are passed over. May be
    /// dropped while it waits: what was read stays.
    ///
    /// # Errors
    /// `Lost` when the connection broke, `Decode` for a line that is no record.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        loop {
            while let Some(line) = self.line() {
                if !line.is_empty() {
                    return record(&line).map(Some);
                }
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.buffer.extend(frame.into_data().ok()),
                Some(Err(source)) => return Err(ClientError::lost(source)),
                None => return Ok(None),
            }
        }
    }

    /// One line out of the buffer, without its end.
    fn line(&mut self) -> Option<BytesMut> {
        let end = self.buffer.iter().position(|&byte| byte == b'\n')?;
        let mut line = self.buffer.split_to(end);
        self.buffer.advance(1);
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        Some(line)
    }
}

fn record<T: DeserializeOwned>(line: &[u8]) -> Result<T> {
    let envelope: Object<T> = serde_json::from_slice(line).map_err(|source| ClientError::Decode { source })?;
    Ok(envelope.object)
}
