//! Takes in the code of a push: a tar of the tree, on disk before it counts.

use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::routing::put;
use futures_util::StreamExt;
use tokio::fs;
use tokio::io::AsyncWriteExt;

use super::Api;
use super::extract::{AppPath, At};
use super::refuse::ApiError;
use super::respond::{Answer, object};
use crate::api::types::Revision;

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/applications/{app}/upload", put(upload))
}

async fn upload(State(api): State<Api>, At(at): At<AppPath>, request: Request) -> Answer {
    let file = api.engine.upload_path(&at.app).await?;
    if let Err(error) = receive(request.into_body(), &file).await {
        // Half a tree is worth nothing; that it cannot be removed changes nothing either.
        let _ = fs::remove_file(&file).await;
        return Err(error);
    }
    let revision = api.engine.uploaded(&at.app, &file).await?;
    Ok(object(Revision { revision }))
}

/// Writes a body to a file and returns when the disk has it.
async fn receive(body: Body, path: &Path) -> Result<(), ApiError> {
    let failed = |error: std::io::Error| ApiError::failed(format!("cannot store the upload: {error}"));
    let mut file = fs::File::create(path).await.map_err(failed)?;
    let mut body = body.into_data_stream();
    while let Some(part) = body.next().await {
        let part = part.map_err(|error| ApiError::malformed(format!("the upload broke off: {error}")))?;
        file.write_all(&part).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    file.sync_all().await.map_err(failed)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    #[tokio::test]
    async fn broken_upload_is_an_error_and_a_complete_one_is_stored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tree.tar");
        let whole = Body::from_stream(stream::iter([Ok::<_, std::io::Error>("ab"), Ok("cd")]));
        receive(whole, &path).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"abcd");
        let broken = Body::from_stream(stream::iter([Ok("ab"), Err(std::io::Error::other("reset"))]));
        assert!(receive(broken, &path).await.unwrap_err().description.starts_with("the upload broke off"));
    }
}
