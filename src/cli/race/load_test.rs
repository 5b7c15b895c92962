//! The load against a server in this process whose counter is naive or atomic.

use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::AtomicI64;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Barrier;

use super::*;
use crate::race::{Observation, Report};

/// The counter and who asked for what.
struct Server {
    counter: AtomicI64,
    /// Every naive update reads, waits here for a second reader, then writes.
    readers: Barrier,
    ids: Mutex<Vec<String>>,
    connections: AtomicU64,
}

async fn answer(server: Arc<Server>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if let Some(id) = request.headers().get("x-request-id") {
        server.ids.lock().unwrap().push(id.to_str().unwrap().to_owned());
    }
    let value = match request.uri().path() {
        "/value" => server.counter.load(Ordering::SeqCst),
        "/atomic" => server.counter.fetch_add(1, Ordering::SeqCst) + 1,
        "/naive" => {
            let seen = server.counter.load(Ordering::SeqCst);
            server.readers.wait().await;
            server.counter.store(seen + 1, Ordering::SeqCst);
            server.readers.wait().await;
            seen + 1
        }
        "/closing" => {
            let answer = Response::builder().header("connection", "close").body(Full::from("1")).unwrap();
            return Ok(answer);
        }
        "/silent" => std::future::pending().await,
        _ => return Ok(Response::builder().status(502).body(Full::default()).unwrap()),
    };
    Ok(Response::new(Full::from(format!(r#"{{"value":{value},"instance":"www.0","worker":1}}"#))))
}

async fn serve() -> (Arc<Server>, Target) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = Arc::new(Server {
        counter: AtomicI64::new(0),
        readers: Barrier::new(2),
        ids: Mutex::default(),
        connections: AtomicU64::new(0),
    });
    let serving = Arc::clone(&server);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            serving.connections.fetch_add(1, Ordering::SeqCst);
            let server = Arc::clone(&serving);
            let service = service_fn(move |request| answer(Arc::clone(&server), request));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (server, Target { addr, host: "www.counter.localhost".to_owned() })
}

fn load(target: &Target, path: &str, requests: u64, concurrency: usize) -> Load {
    let patience = Duration::from_secs(5);
    Load { target: target.clone(), path: path.to_owned(), requests, concurrency, patience, run: "t".to_owned() }
}

async fn race(path: &str, requests: u64, concurrency: usize) -> (Report, Arc<Server>) {
    let (server, target) = serve().await;
    let initial = read_value(&target, "/value", Duration::from_secs(5)).await.unwrap();
    let outcomes = fire(&load(&target, path, requests, concurrency), Arc::default()).await;
    let last = read_value(&target, "/value", Duration::from_secs(5)).await.unwrap();
    (Report::new(&Observation { initial, last, outcomes: &outcomes }), server)
}

#[tokio::test]
async fn a_naive_counter_loses_every_other_of_two_clients_updates() {
    let (report, _) = race("/naive", 100, 2).await;
    assert_eq!((report.sent, report.acknowledged, report.applied), (100, 100, 50));
    assert_eq!((report.lost, report.repeated_answers), (50, 50));
}

#[tokio::test]
async fn an_atomic_counter_loses_nothing_and_every_request_is_sent_once() {
    let (report, server) = race("/atomic", 500, 20).await;
    assert_eq!((report.acknowledged, report.applied, report.lost), (500, 500, 0));
    let mut ids = server.ids.lock().unwrap().clone();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 500);
    // 20 clients and two reads of the counter: connections are kept.
    assert!(server.connections.load(Ordering::SeqCst) <= 22);
}

#[tokio::test]
async fn a_gateway_error_is_unknown_and_not_sent_again() {
    let (report, server) = race("/broken", 10, 3).await;
    assert_eq!((report.acknowledged, report.unknown, report.refused), (0, 10, 0));
    assert_eq!(server.ids.lock().unwrap().len(), 10);
    assert_eq!(report.failures["502 Bad Gateway"], 10);
}

#[tokio::test]
async fn a_connection_the_server_closes_is_replaced() {
    let (report, _) = race("/closing", 10, 2).await;
    assert_eq!((report.sent, report.acknowledged), (10, 10));
}

#[tokio::test]
async fn a_request_without_an_answer_is_given_up_as_unknown() {
    let (_, target) = serve().await;
    let silent = Load { patience: Duration::from_millis(50), ..load(&target, "/silent", 3, 3) };
    let outcomes = fire(&silent, Arc::default()).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome.verdict, Verdict::Unknown { .. })));
}

#[tokio::test]
async fn without_a_server_nothing_was_applied() {
    let addr = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let target = Target { addr, host: "www".to_owned() };
    let outcomes = fire(&load(&target, "/atomic", 3, 1), Arc::default()).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome.verdict, Verdict::Refused { .. })));
    let unread = read_value(&target, "/value", Duration::from_millis(120)).await;
    assert!(matches!(unread, Err(ReadError::Silent { .. })));
}

#[tokio::test]
async fn a_page_without_a_number_is_no_counter() {
    let (_, target) = serve().await;
    let error = read_value(&target, "/broken", Duration::from_millis(120)).await.unwrap_err();
    assert!(matches!(error, ReadError::Status { status, .. } if status.as_u16() == 502));
}
