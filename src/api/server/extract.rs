//! Requests taken apart, with errors in our envelope.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::refuse::ApiError;
use crate::api::types::ErrorKind;
use crate::model::{AppName, InstanceName, ServiceName, SnapshotName};

/// The names in the path. Below `/users/NAME` there is one more, which is ignored: hence structs.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct AppPath {
    pub app: AppName,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct ServicePath {
    pub app: AppName,
    pub service: ServiceName,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct InstancePath {
    pub app: AppName,
    pub service: ServiceName,
    pub instance: u32,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct DeploymentPath {
    pub app: AppName,
    pub id: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct SnapshotPath {
    pub app: AppName,
    pub name: SnapshotName,
}

impl InstancePath {
    pub fn name(&self) -> InstanceName {
        self.service.instance(self.instance)
    }
}

/// A path's names; one that is no name is not found.
pub(super) struct At<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for At<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(names)) => Ok(Self(names)),
            Err(PathRejection::FailedToDeserializePathParams(wrong)) => Err(ApiError::not_found(wrong.body_text())),
            Err(wrong) => Err(ApiError::failed(wrong.body_text())),
        }
    }
}

/// The query.
pub(super) struct Ask<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Ask<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let asked: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        asked.map(|Query(query)| Self(query)).map_err(|wrong| ApiError::malformed(wrong.body_text()))
    }
}

/// A JSON body. An absent one reads as `{}`; another content type is refused, so that no web
/// page can send one without asking first.
pub(super) struct Told<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Told<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let is_json = is_json(request.headers());
        let bytes: Result<Bytes, BytesRejection> = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|wrong| ApiError::malformed(wrong.body_text()))?;
        if bytes.is_empty() {
            return read(b"{}");
        }
        if !is_json {
            let text = "The body must have the content type application/json.";
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorKind::Invalid, text));
        }
        read(&bytes)
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<Told<T>, ApiError> {
    serde_json::from_slice(bytes).map(Told).map_err(|error| {
        let description = format!("The body cannot be understood: {error}");
        match error.classify() {
            serde_json::error::Category::Data => ApiError::invalid(description),
            _ => ApiError::malformed(description),
        }
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"))
}

/// A flag of the query: `?follow`, without a value, is the original client's way to say yes.
pub(super) fn flag(value: Option<&str>) -> bool {
    value.is_some_and(|value| !matches!(value, "0" | "false" | "no"))
}
