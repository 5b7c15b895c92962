//! Streams of JSON documents (rest-api.md, §4): each ends with CR LF, the first says what the
//! stream is about and is sent at once, an empty line keeps the connection alive.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use futures_util::{Stream, StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::api::types::{LogRecord, Object};

/// Clients give up after 180 s of silence; a dead one is noticed by the failing write.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Lines of a log until the log, the client or the daemon ends.
pub(super) fn log_stream<L: Send + 'static>(
    shutdown: &CancellationToken,
    meta: &impl Serialize,
    mut lines: mpsc::Receiver<L>,
    record: impl FnMut(L) -> LogRecord + Send + 'static,
) -> Response {
    let records = stream::poll_fn(move |context| lines.poll_recv(context));
    respond(shutdown, meta, records.map(record))
}

/// A stream's answer: the first line, then its records with keep-alives between them.
pub(super) fn respond<T: Serialize>(
    shutdown: &CancellationToken,
    meta: &impl Serialize,
    records: impl Stream<Item = T> + Send + 'static,
) -> Response {
    let first = stream::iter([document(meta)]);
    let rest = with_keep_alives(records.map(|record| document(&record)), shutdown.clone());
    let mut response = Response::new(Body::from_stream(first.chain(rest).map(Ok::<_, Infallible>)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn with_keep_alives(
    documents: impl Stream<Item = Bytes> + Send + 'static,
    shutdown: CancellationToken,
) -> impl Stream<Item = Bytes> + Send {
    stream::unfold((Box::pin(documents), shutdown), |(mut documents, shutdown)| async move {
        let next = tokio::select! {
            next = tokio::time::timeout(KEEP_ALIVE, documents.next()) => next,
            () = shutdown.cancelled() => Ok(None),
        };
        let bytes = match next {
            Ok(Some(document)) => document,
            Ok(None) => return None,
            Err(_) => Bytes::from_static(b"\r\n"),
        };
        Some((bytes, (documents, shutdown)))
    })
}

fn document<T: Serialize>(object: &T) -> Bytes {
    // Wire types hold strings, numbers and maps keyed by strings: they always serialise.
    let mut bytes = serde_json::to_vec(&Object { object }).unwrap_or_default();
    bytes.extend_from_slice(b"\r\n");
    bytes.into()
}

/// A time in the one form that the original client reads; `None` for a text that is no time.
pub(super) fn wire_time(text: &str) -> Option<String> {
    text.parse().ok().map(format)
}

fn format(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Makes the times of a log grow: the original client drops a line whose time does not, and
/// hangs when that line is the last one.
#[derive(Debug, Default)]
pub(super) struct Ascending(Option<Timestamp>);

impl Ascending {
    /// This time, or a microsecond after the one before it.
    pub fn next(&mut self, text: &str) -> String {
        let given: Option<Timestamp> = text.parse().ok().map(whole_microseconds);
        let least = self.0.and_then(|last| last.checked_add(SignedDuration::from_micros(1)).ok());
        let next = given.max(least).unwrap_or_default();
        self.0 = Some(next);
        format(next)
    }
}

fn whole_microseconds(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_six_digits_and_grow() {
        let mut ascending = Ascending::default();
        let given = [
            "2013-06-15T14:34:17.360184Z",
            "2013-06-15T14:34:17.360184999Z",
            "2013-06-15T14:34:16Z",
            "nonsense",
            "2013-06-15T16:34:18+02:00",
        ];
        let sent = given.map(|at| ascending.next(at));
        assert_eq!(
            sent,
            [
                "2013-06-15T14:34:17.360184Z",
                "2013-06-15T14:34:17.360185Z",
                "2013-06-15T14:34:17.360186Z",
                "2013-06-15T14:34:17.360187Z",
                "2013-06-15T14:34:18.000000Z",
            ]
        );
    }

    async fn body(response: Response) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn documents_end_with_cr_lf_and_meta_comes_first() {
        let meta = serde_json::json!({ "application": "ramen" });
        let response = respond(&CancellationToken::new(), &meta, stream::iter(["a", "b"]));
        assert_eq!(response.headers()["content-type"], "application/json");
        let expected = "{\"object\":{\"application\":\"ramen\"}}\r\n{\"object\":\"a\"}\r\n{\"object\":\"b\"}\r\n";
        assert_eq!(body(response).await, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_filled_and_shutdown_ends_the_stream() {
        let shutdown = CancellationToken::new();
        let response = respond(&shutdown, &"meta", stream::pending::<&str>());
        tokio::spawn(async move {
            tokio::time::sleep(KEEP_ALIVE * 2 + Duration::from_secs(1)).await;
            shutdown.cancel();
        });
        assert_eq!(body(response).await, "{\"object\":\"meta\"}\r\n\r\n\r\n");
    }
}
