//! What goes out again, and what must not: counted where it arrives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::support::*;
use crate::proxy::{FailureKind, ProxyConfig};

/// An instance that reads each request to its end and closes without an answer.
async fn breaks_off(index: u32, received: Arc<AtomicU32>) -> crate::model::Backend {
    raw_instance(index, move |mut stream| {
        let received = received.clone();
        async move {
            if !read_head(&mut stream).await.starts_with("HEAD /CloudHealthCheck") {
                received.fetch_add(1, Ordering::Relaxed);
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn any_method_goes_elsewhere_when_nothing_was_sent() {
    let good = Instance::start(1).await;
    let dead = backend(0, dead_addr().await);
    for method in ["GET", "POST", "DELETE"] {
        let front = Front::start(quick(), &[dead.clone(), good.backend.clone()]).await;
        let mut failures = front.proxy.failures();
        assert_eq!(front.send(method, "/", "", "body").await.status, 200, "{method}");
        assert_eq!(front.send(method, "/", "", "body").await.status, 200, "{method}");
        let failure = failures.recv().await.unwrap();
        assert_eq!((failure.kind, &*failure.container), (FailureKind::Connect, &*dead.id));
        assert_eq!(front.proxy.report().http[0].retries, 1);
    }
    assert_eq!(good.hits().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_safe_request_that_broke_is_answered_by_another_instance() {
    let received = Arc::new(AtomicU32::new(0));
    let good = Instance::start(1).await;
    let bad = breaks_off(0, received.clone()).await;
    let front = Front::start(quick(), &[bad, good.backend.clone()]).await;
    let mut failures = front.proxy.failures();
    assert_eq!(front.get("/").await.body, "1");
    assert_eq!(received.load(Ordering::Relaxed), 1);
    assert_eq!(failures.recv().await.unwrap().kind, FailureKind::Reset);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsafe_request_that_broke_is_never_sent_twice() {
    let received = Arc::new(AtomicU32::new(0));
    let good = Instance::start(1).await;
    let bad = breaks_off(0, received.clone()).await;
    let front = Front::start(quick(), &[bad, good.backend.clone()]).await;
    assert_eq!(front.post("/", "amount=1").await.status, 502);
    assert_eq!(received.load(Ordering::Relaxed), 1);
    assert_eq!(good.hits().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_safe_request_with_a_body_is_not_repeated() {
    let received = Arc::new(AtomicU32::new(0));
    let good = Instance::start(1).await;
    let bad = breaks_off(0, received.clone()).await;
    let front = Front::start(quick(), &[bad, good.backend.clone()]).await;
    assert_eq!(front.send("GET", "/", "", "body").await.status, 502);
    assert_eq!((received.load(Ordering::Relaxed), good.hits().len()), (1, 0));
}

/// A server that answers one request per connection, promises to keep it open, and closes it;
/// `closed` counts.
async fn closes_idle(index: u32, closed: Arc<AtomicU32>) -> crate::model::Backend {
    raw_instance(index, move |mut stream| {
        let closed = closed.clone();
        async move {
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            drop(stream);
            closed.fetch_add(1, Ordering::Release);
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_survive_connections_that_were_closed_while_idle() {
    let closed = Arc::new(AtomicU32::new(0));
    let backend = closes_idle(0, closed.clone()).await;
    let front = Front::start(ProxyConfig { threads: 1, ..quick() }, &[backend]).await;
    for (round, method) in (0..).zip(["POST", "GET", "POST", "POST", "GET"].repeat(40)) {
        while closed.load(Ordering::Acquire) < round {
            tokio::task::yield_now().await;
        }
        let answer = front.send(method, "/", "", "").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok"), "{method}");
    }
    assert!(!front.proxy.report().http[0].backends[0].aside);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_on_a_killed_instance_is_answered_elsewhere_when_safe() {
    let (mut first, second) = (Instance::start(0).await, Instance::start(1).await);
    let front = Arc::new(Front::start(quick(), &[first.backend.clone(), second.backend.clone()]).await);
    let asking = front.clone();
    let get = tokio::spawn(async move { asking.get("/slow/100").await });
    while first.hits().is_empty() {
        tokio::task::yield_now().await;
    }
    first.kill().await;
    assert_eq!(get.await.unwrap().body, "1");
    assert_eq!(front.get("/").await.body, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_instance_lets_go_of_its_requests_at_once() {
    let (first, second) = (Instance::start(0).await, Instance::start(1).await);
    let config = ProxyConfig { request_timeout: Duration::from_secs(60), ..quick() };
    let front = Arc::new(Front::start(config, &[first.backend.clone(), second.backend.clone()]).await);
    let asking = front.clone();
    let get = tokio::spawn(async move { asking.get("/slow/30000").await });
    while first.hits().is_empty() {
        tokio::task::yield_now().await;
    }
    front.serve(&[]).await;
    front.proxy.abort(&first.backend.id);
    assert_eq!(get.await.unwrap().status, 502);
    assert_eq!(front.proxy.drained(&first.backend.id, Duration::from_secs(5)).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_killed_in_mid_answer_breaks_only_that_connection() {
    let backend = raw_instance(0, |mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await.unwrap();
    })
    .await;
    let good = Instance::start(1).await;
    let front = Front::start(quick(), &[backend.clone(), good.backend.clone()]).await;
    let answer = front.get("/").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "half"));
    assert_eq!(front.proxy.drained(&backend.id, Duration::from_secs(5)).await, 0);
    assert_eq!(front.get("/").await.body, "1");
    assert_eq!(front.proxy.report().http[0].failures, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_request_is_answered_by_the_first_instance_that_comes() {
    let instance = Instance::start(0).await;
    let config = ProxyConfig { http_park: Duration::from_secs(10), ..quick() };
    let front = Arc::new(Front::start(config, &[]).await);
    let asking = front.clone();
    let post = tokio::spawn(async move { asking.post("/", "x").await });
    front.serve(std::slice::from_ref(&instance.backend)).await;
    assert_eq!(post.await.unwrap().body, "0");
    assert_eq!(instance.hits().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_wait_for_an_instance_that_is_said_to_come_back() {
    let instance = Instance::start(0).await;
    let front = Arc::new(Front::start(quick(), std::slice::from_ref(&instance.backend)).await);
    assert_eq!(front.get("/").await.body, "0");
    front.publish(awaited_table()).await;
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let front = front.clone();
            tokio::spawn(async move { front.post("/", "x").await })
        })
        .collect();
    while front.proxy.report().http[0].parked < 8 {
        tokio::task::yield_now().await;
    }
    front.serve(std::slice::from_ref(&instance.backend)).await;
    for answer in asking {
        assert_eq!(answer.await.unwrap().status, 200);
    }
    assert_eq!((instance.hits().len(), front.proxy.refusals(&"counter".parse().unwrap())), (9, 0));
    assert_eq!(front.proxy.report().http[0].parked, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_an_instance_is_bounded_in_time_and_number() {
    let config = ProxyConfig { awaited_park: Duration::from_millis(300), awaited_most: 1, ..quick() };
    let front = Arc::new(Front::start(config, &[]).await);
    assert_eq!(front.get("/").await.status, 503);
    front.publish(awaited_table()).await;
    let waiting = front.clone();
    let first = tokio::spawn(async move { waiting.get("/").await });
    while front.proxy.report().http[0].parked < 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(front.get("/").await.status, 503, "one waits already");
    assert!(!first.is_finished());
    assert_eq!(first.await.unwrap().status, 503);
    assert_eq!(front.proxy.refusals(&"counter".parse().unwrap()), 3);
}
