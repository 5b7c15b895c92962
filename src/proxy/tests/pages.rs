//! The proxy's own answers.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::support::*;
use crate::proxy::ProxyConfig;

#[tokio::test(flavor = "multi_thread")]
async fn unknown_hosts_get_a_page_that_lists_the_known_ones() {
    let front = Front::start(quick(), &[]).await;
    let ask = |accept: &str| format!("GET / HTTP/1.1\r\nHost: nope\r\n{accept}Connection: close\r\n\r\n");
    for (accept, kind) in [
        ("", "text/html"),
        ("Accept: text/plain\r\n", "text/plain"),
        ("Accept: application/json\r\n", "application/json"),
    ] {
        let answer = front.raw(&ask(accept)).await;
        assert_eq!(answer.status, 404);
        assert!(answer.head.contains(&format!("content-type: {kind}")), "{}", answer.head);
        assert!(answer.body.contains(HOST), "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_instances_is_a_503() {
    let front = Front::start(quick(), &[]).await;
    let answer = front.send("POST", "/", "Accept: text/plain\r\n", "body").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("No instance of www is running."), "{}", answer.body);
    assert!(answer.body.contains("application: counter"), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_connections_are_a_502_and_then_a_503() {
    let front = Front::start(quick(), &[backend(0, dead_addr().await)]).await;
    let answer = front.send("GET", "/", "Accept: application/json\r\n", "").await;
    assert_eq!(answer.status, 502);
    let page: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(page["error"]["service"], "www");
    assert!(page["error"]["cause"].as_str().unwrap().starts_with("Instance www.0 accepts no connections"));
    assert_eq!(front.get("/").await.status, 503);
}

async fn holds_its_tongue(_open: tokio::net::TcpStream) {
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_http_is_a_502_that_says_so() {
    let backend = raw_instance(0, |mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"SSH-2.0-OpenSSH\r\n\r\n").await.unwrap();
    })
    .await;
    let front = Front::start(quick(), std::slice::from_ref(&backend)).await;
    let answer = front.get("/").await;
    assert_eq!(answer.status, 502);
    assert!(answer.body.contains("gave no valid HTTP answer"), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_a_504_and_sets_the_instance_aside() {
    let front = Front::start(quick(), &[raw_instance(0, holds_its_tongue).await]).await;
    let answer = front.get("/").await;
    assert_eq!(answer.status, 504);
    assert!(answer.body.contains("did not answer within 500ms"), "{}", answer.body);
    let report = front.proxy.report();
    assert!(report.http[0].backends[0].aside);
    assert_eq!((report.http[0].by_class[5], report.http[0].failures), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_upload_is_no_silence() {
    let instance = Instance::start(0).await;
    let front = Front::start(quick(), std::slice::from_ref(&instance.backend)).await;
    let mut stream = tokio::net::TcpStream::connect(front.addr).await.unwrap();
    let head = format!("POST /echo HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nContent-Length: 8\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    for piece in ["ab", "cd", "ef", "gh"] {
        tokio::time::sleep(Duration::from_millis(200)).await;
        stream.write_all(piece.as_bytes()).await.unwrap();
    }
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instances_own_502_and_504_become_our_page() {
    let instance = Instance::start(7).await;
    let front = Front::start(quick(), std::slice::from_ref(&instance.backend)).await;
    for status in [502, 504] {
        let answer = front.get(&format!("/status/{status}")).await;
        assert_eq!(answer.status, status);
        assert!(answer.body.contains("Instance www.7 answered"), "{}", answer.body);
    }
    let own = front.get("/status/500").await;
    assert_eq!((own.status, own.body.as_str()), (500, "7"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_above_the_limit_are_a_413() {
    let instance = Instance::start(0).await;
    let front =
        Front::start(ProxyConfig { body_limit: 1000, ..quick() }, std::slice::from_ref(&instance.backend)).await;
    assert_eq!(front.post("/echo", &"x".repeat(1000)).await.status, 200);
    assert_eq!(front.post("/echo", &"x".repeat(1001)).await.status, 413);
    assert_eq!(front.post("/echo", &"x".repeat(3_000_000)).await.status, 413);
    let chunk = format!("800\r\n{}\r\n", "x".repeat(0x800));
    let chunked =
        format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}");
    assert_eq!(front.raw(&chunked).await.status, 413);
    assert!(!front.proxy.report().http[0].backends[0].aside);
}

/// nginx answers 413 at once, and reads on.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_before_the_body_was_sent_is_passed_on() {
    let backend = raw_instance(0, |mut stream| async move {
        read_head(&mut stream).await;
        let answer = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 5\r\n\r\nnginx";
        stream.write_all(answer).await.unwrap();
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.unwrap();
    })
    .await;
    let config = ProxyConfig { body_limit: 100 << 20, ..quick() };
    let front = Front::start(config, std::slice::from_ref(&backend)).await;
    for size in [2_000, 20_000_000] {
        let answer = front.post("/", &"x".repeat(size)).await;
        assert_eq!((answer.status, answer.body.as_str()), (413, "nginx"), "{size} bytes");
    }
    assert_eq!(front.proxy.drained(&backend.id, Duration::from_secs(5)).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_is_refused() {
    let instance = Instance::start(0).await;
    let front = Front::start(quick(), std::slice::from_ref(&instance.backend)).await;
    let answer = front.raw(&format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")).await;
    assert_eq!(answer.status, 405);
}
