//! Envelopes and the headers that every answer carries (rest-api.md, §3).

use axum::Json;
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::refuse::ApiError;
use crate::api::types::{Object, Objects};

pub(super) type Answer = Result<Response, ApiError>;

/// One thing.
pub(super) fn object<T: Serialize>(object: T) -> Response {
    Json(Object { object }).into_response()
}

/// Many things.
pub(super) fn objects<T: Serialize>(objects: impl IntoIterator<Item = T>) -> Response {
    Json(Objects { objects: objects.into_iter().collect() }).into_response()
}

/// A thing that was made, and where it is.
pub(super) fn created<T: Serialize>(location: &str, object: T) -> Response {
    let mut response = (StatusCode::CREATED, Json(Object { object })).into_response();
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(axum::http::header::LOCATION, location);
    }
    response
}

pub(super) fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

const TRACE: HeaderName = HeaderName::from_static("x-dotcloud-traceid");
const CLI_MINIMUM: HeaderName = HeaderName::from_static("x-dotcloud-cli-version-min");
const CLI_CURRENT: HeaderName = HeaderName::from_static("x-dotcloud-cli-version-cur");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Adds a trace id, the versions that keep the original client quiet (it compares them as
/// text), and a content type even without a content: it crashes on a 204 that has none.
pub(super) async fn with_headers(request: Request, next: Next) -> Response {
    let trace = uuid::Uuid::new_v4().to_string();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    tracing::debug!(%trace, %method, path, status = response.status().as_u16(), "answered");
    let headers = response.headers_mut();
    headers.entry(CONTENT_TYPE).or_insert(JSON);
    if let Ok(trace) = HeaderValue::from_str(&trace) {
        headers.insert(TRACE, trace);
    }
    headers.insert(CLI_MINIMUM, HeaderValue::from_static("0.9.0"));
    headers.insert(CLI_CURRENT, HeaderValue::from_static("0.9.8"));
    response
}
