//! Errors on the wire. The one place that pairs an engine error with a status.

use axum::Json;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use crate::api::types::{ErrorDetail, ErrorEnvelope, ErrorKind};
use crate::engine::EngineError;
use crate::engine::runtime::RuntimeError;

/// A request that is answered with no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    pub status: StatusCode,
    pub kind: ErrorKind,
    pub description: String,
}

impl ApiError {
    pub fn new(status: StatusCode, kind: ErrorKind, description: impl Into<String>) -> Self {
        Self { status, kind, description: description.into() }
    }

    /// The request itself cannot be understood.
    pub fn malformed(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorKind::Invalid, description)
    }

    /// Understood, and not possible.
    pub fn invalid(description: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorKind::Invalid, description)
    }

    pub fn not_found(description: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorKind::NotFound, description)
    }

    pub fn failed(description: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorKind::Failed, description)
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        let (status, kind) = match &error {
            EngineError::NotFound(_) => (StatusCode::NOT_FOUND, ErrorKind::NotFound),
            EngineError::Conflict(_) => (StatusCode::CONFLICT, ErrorKind::Conflict),
            EngineError::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, ErrorKind::Invalid),
            EngineError::Runtime(RuntimeError::Unreachable { .. }) => {
                (StatusCode::SERVICE_UNAVAILABLE, ErrorKind::Unreachable)
            }
            EngineError::Runtime(RuntimeError::Missing { .. }) => (StatusCode::NOT_FOUND, ErrorKind::NotFound),
            EngineError::Runtime(_) | EngineError::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, ErrorKind::Failed),
        };
        Self::new(status, kind, chain(&error))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error").to_owned();
        let error =
            ErrorDetail { title, code: self.status.as_u16(), description: self.description, kind: Some(self.kind) };
        (self.status, Json(ErrorEnvelope { error })).into_response()
    }
}

/// An error and its causes; the last lines of a hook that failed belong to it.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

pub(super) async fn no_such_path(method: Method, uri: Uri) -> ApiError {
    ApiError::not_found(format!("There is no {method} {}.", uri.path()))
}

pub(super) async fn no_such_method(method: Method, uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        ErrorKind::Invalid,
        format!("{method} is not possible on {}.", uri.path()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_error_has_its_status_and_tells_its_causes() {
        let unreachable = RuntimeError::Unreachable {
            endpoint: "unix:///var/run/docker.sock".to_owned(),
            source: "permission denied".into(),
        };
        let failed = RuntimeError::Failed { attempt: "start ramen-www-0".to_owned(), source: "no such image".into() };
        let cases: [(EngineError, u16, ErrorKind, &str); 6] = [
            (EngineError::NotFound("no x".into()), 404, ErrorKind::NotFound, "no x"),
            (EngineError::Conflict("is there".into()), 409, ErrorKind::Conflict, "is there"),
            (EngineError::Invalid("too big".into()), 422, ErrorKind::Invalid, "too big"),
            (
                EngineError::Runtime(unreachable),
                503,
                ErrorKind::Unreachable,
                "cannot reach the Docker engine at unix:///var/run/docker.sock: permission denied",
            ),
            (EngineError::Runtime(failed), 500, ErrorKind::Failed, "cannot start ramen-www-0: no such image"),
            (EngineError::Store("disk full".into()), 500, ErrorKind::Failed, "cannot use the store: disk full"),
        ];
        for (error, status, kind, description) in cases {
            let refused = ApiError::from(error);
            assert_eq!((refused.status.as_u16(), refused.kind), (status, kind), "{description}");
            assert_eq!(refused.description, description);
        }
    }
}
