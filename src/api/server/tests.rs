//! The interface over a real Unix socket, asked by the real client.

use std::os::unix::fs::PermissionsExt;

use axum::Json;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post, put};
use tokio_util::sync::CancellationToken;

use super::extract::{At, InstancePath, Told};
use super::refuse::ApiError;
use super::respond::{Answer, done, object};
use super::*;
use crate::api::client::{Client, ClientError};
use crate::api::home::Home;
use crate::api::types::{ErrorKind, ExecRequest, Frame, LogRecord, ServicePatch};

/// A folder as the daemon makes its home.
fn private_folder() -> tempfile::TempDir {
    tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o700)).tempdir().unwrap()
}

/// A daemon of some routes, dressed like the real one, and a client of it.
async fn daemon(routes: Router, auth: Auth) -> (tempfile::TempDir, Client, CancellationToken) {
    let folder = private_folder();
    let home = Home::at(folder.path());
    let (listener, shutdown) = (bind_unix(&home).unwrap(), CancellationToken::new());
    tokio::spawn(serve(dress(routes, auth), listener, shutdown.clone()));
    (folder, Client::passive(home), shutdown)
}

fn refusal(error: ClientError) -> crate::api::client::Refusal {
    match error {
        ClientError::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_two_resources_claim_one_path() {
    // Merging panics when they do.
    let _ = tree();
}

#[tokio::test]
async fn every_answer_carries_what_the_original_client_needs() {
    let routes = Router::new().route("/v1/gone", get(async || done()));
    let (folder, _, _) = daemon(routes, Auth::Trusted).await;
    for (path, status) in [("/v1/gone", 204), ("/v1/nowhere", 404)] {
        let stream = tokio::net::UnixStream::connect(folder.path().join("daemon.sock")).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get(path).header("host", "x").body(String::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["x-dotcloud-cli-version-min"], "0.9.0");
        assert_eq!(response.headers()["x-dotcloud-cli-version-cur"], "0.9.8");
        assert_eq!(response.headers()["x-dotcloud-traceid"].len(), 36);
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_in_the_envelope() {
    let routes = Router::new().route("/v1/me/applications", get(async || done()));
    let (_folder, client, _) = daemon(routes, Auth::Trusted).await;
    let refused = refusal(client.app("ramen").await.unwrap_err());
    assert_eq!((refused.status, refused.kind), (404, Some(ErrorKind::NotFound)));
    assert_eq!(refused.description, "There is no GET /v1/me/applications/ramen.");
    assert!(refused.trace.is_some());
    let refused = refusal(client.create("ramen", "live").await.unwrap_err());
    assert_eq!(refused.status, 405);
}

#[tokio::test]
async fn port_with_a_key_refuses_whoever_has_none() {
    let home = tempfile::tempdir().unwrap();
    let key = ApiKey::load_or_create(&home.path().join("api-key")).unwrap();
    let (_folder, client, _) = daemon(Router::new(), Auth::Key(key)).await;
    let refused = refusal(client.app("ramen").await.unwrap_err());
    assert_eq!((refused.status, refused.kind), (401, Some(ErrorKind::Unauthorized)));
}

#[tokio::test]
async fn bodies_that_cannot_be_understood_say_why() {
    async fn patch(Told(patch): Told<ServicePatch>) -> Answer {
        Ok(object(patch))
    }
    let routes = Router::new().route("/v1/patch", post(patch));
    let (_folder, client, _) = daemon(routes, Auth::Trusted).await;
    let told = |body| client.tell::<ServicePatch>(Method::POST, "/v1/patch", body);
    let good = serde_json::json!({ "instance_count": 3 });
    assert_eq!(told(&good).await.unwrap().instance_count, Some(3));
    let refused = refusal(told(&serde_json::json!({ "instance_count": -3 })).await.unwrap_err());
    assert_eq!(refused.status, 422);
    assert!(refused.description.contains("-3"), "{}", refused.description);
}

#[tokio::test]
async fn names_in_a_path_are_checked_and_the_users_alias_is_ignored() {
    async fn show(At(at): At<InstancePath>) -> Answer {
        Ok(Json(format!("{} {}", at.app, at.name())).into_response())
    }
    let inner = Router::new().route("/applications/{app}/services/{service}/instances/{instance}", get(show));
    let routes = Router::new().nest("/v1/me", inner.clone()).nest("/v1/users/{user}", inner);
    let answer = async |path: &str| {
        let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
        let response = tower::ServiceExt::oneshot(routes.clone(), request).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    };
    for prefix in ["/v1/me", "/v1/users/bob"] {
        let path = format!("{prefix}/applications/ramen/services/www/instances/2");
        assert_eq!(answer(&path).await, (StatusCode::OK, "\"ramen www.2\"".to_owned()));
    }
    assert_eq!(answer("/v1/me/applications/Ra%20men/services/www/instances/2").await.0, StatusCode::NOT_FOUND);
    assert_eq!(answer("/v1/me/applications/ramen/services/www/instances/x").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn client_reads_a_log_line_by_line() {
    fn record(message: &str) -> LogRecord {
        let message = message.to_owned();
        LogRecord { created_at: None, service: None, instance: None, process: None, level: None, message, status: None }
    }
    let routes = Router::new().route(
        "/v1/me/applications/ramen/logs",
        get(async || {
            let records = futures_util::stream::iter([record("one\r\ntwo"), record("größer")]);
            stream::respond(&CancellationToken::new(), &"meta", records)
        }),
    );
    let (_folder, client, _) = daemon(routes, Auth::Trusted).await;
    let mut lines = client.logs("ramen", &[], None, None, true).await.unwrap();
    assert_eq!(lines.next().await.unwrap(), Some(record("one\r\ntwo")));
    assert_eq!(lines.next().await.unwrap(), Some(record("größer")));
    assert_eq!(lines.next::<LogRecord>().await.unwrap(), None);
}

#[tokio::test]
async fn upgraded_connection_carries_every_byte_both_ways() {
    // What `exec` does around an engine: a command that repeats its input and ends with it.
    async fn repeat(mut request: Request) -> Answer {
        let upgrade = hyper::upgrade::on(&mut request);
        let Told(wanted) = <Told<ExecRequest> as axum::extract::FromRequest<()>>::from_request(request, &()).await?;
        if wanted.command.is_empty() {
            return Err(ApiError::invalid("nothing to run"));
        }
        tokio::spawn(async move { exec::tests::run_repeater(upgrade.await.unwrap()).await });
        Ok(exec::switching())
    }
    let path = "/v1/me/applications/ramen/services/www/instances/0/exec";
    let (_folder, client, _) = daemon(Router::new().route(path, post(repeat)), Auth::Trusted).await;
    let wanted = ExecRequest { command: vec!["cat".to_owned()], tty: None, stdin: true };
    let mut exec = client.exec("ramen", "www", 0, &wanted).await.unwrap();
    let every_byte: bytes::Bytes = (0..=255u8).cycle().take(300_000).collect();
    let sent = every_byte.clone();
    let writing = tokio::spawn(async move {
        exec.writer.send(Frame::Stdin(sent)).await.unwrap();
        exec.writer.send(Frame::Stdin(bytes::Bytes::new())).await.unwrap();
        exec.writer
    });
    let (mut repeated, mut code) = (Vec::new(), None);
    while let Some(frame) = exec.reader.next().await.unwrap() {
        match frame {
            Frame::Stdout(bytes) => repeated.extend_from_slice(&bytes),
            Frame::Exit(exit) => code = Some(exit),
            other => panic!("{other:?}"),
        }
    }
    assert!(repeated == every_byte, "{} of {} bytes came back the same", repeated.len(), every_byte.len());
    assert_eq!(code, Some(7));
    drop(writing.await);
    let refused = refusal(client.exec("ramen", "www", 0, &ExecRequest::default()).await.err().unwrap());
    assert_eq!(refused.description, "nothing to run");
}

#[tokio::test]
async fn upload_arrives_as_it_was_sent() {
    async fn length(body: axum::body::Bytes) -> Answer {
        Ok(object(crate::api::types::Revision { revision: body.len().to_string() }))
    }
    let routes = Router::new().route("/v1/me/applications/ramen/upload", put(length));
    let (_folder, client, _) = daemon(routes, Auth::Trusted).await;
    let body = http_body_util::Full::new(bytes::Bytes::from_static(b"tree"));
    let body =
        http_body_util::combinators::BoxBody::new(http_body_util::BodyExt::map_err(body, |never| match never {}));
    assert_eq!(client.upload("ramen", body).await.unwrap(), "4");
}

#[tokio::test]
async fn shutdown_closes_the_socket_and_the_open_streams() {
    let shutdown = CancellationToken::new();
    let (inner, asked) = (shutdown.clone(), shutdown.clone());
    let routes = Router::new()
        .route(
            "/v1/me/applications/ramen/logs",
            get(async move || stream::respond(&inner, &"meta", futures_util::stream::pending::<&str>())),
        )
        .route(
            "/v1/shutdown",
            post(async move || {
                asked.cancel();
                done()
            }),
        );
    let folder = private_folder();
    let home = Home::at(folder.path());
    let serving = tokio::spawn(serve(dress(routes, Auth::Trusted), bind_unix(&home).unwrap(), shutdown));
    let client = Client::passive(home);
    let mut lines = client.logs("ramen", &[], None, None, true).await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(lines.next::<LogRecord>().await.unwrap(), None);
    serving.await.unwrap().unwrap();
    assert!(matches!(client.app("ramen").await, Err(ClientError::Connect { .. })));
}
