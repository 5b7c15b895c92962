//! Upgraded connections.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::*;
use crate::proxy::WEBSOCKET_GRACE;

async fn upgrade(front: &Front) -> TcpStream {
    let mut stream = TcpStream::connect(front.addr).await.unwrap();
    let head = format!("GET /upgrade HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_head(&mut stream).await.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 101"), "{answer}");
    assert!(answer.contains("upgrade: echo") && answer.contains("connection: upgrade"), "{answer}");
    stream
}

async fn echoes(stream: &mut TcpStream, text: &str) -> bool {
    let mut back = vec![0; text.len()];
    let asked = stream.write_all(text.as_bytes()).await;
    asked.is_ok() && stream.read_exact(&mut back).await.is_ok() && back == text.as_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn upgraded_bytes_pass_both_ways_and_count_apart_from_requests() {
    let instance = Instance::start(0).await;
    let front = Front::start(quick(), std::slice::from_ref(&instance.backend)).await;
    let mut stream = upgrade(&front).await;
    assert!(echoes(&mut stream, "hello").await);
    assert!(echoes(&mut stream, &"x".repeat(100_000)).await);
    assert_eq!(front.proxy.in_flight(&instance.backend.id), 0);
    assert_eq!(front.proxy.websockets(&instance.backend.id), 1);
    drop(stream);
    assert_eq!(front.proxy.drained(&instance.backend.id, Duration::from_secs(5)).await, 0);
    assert_eq!(front.proxy.websockets(&instance.backend.id), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_when_their_instance_has_left_and_the_grace_is_over() {
    let instance = Instance::start(0).await;
    let front = Front::start(quick(), std::slice::from_ref(&instance.backend)).await;
    let mut stream = upgrade(&front).await;
    front.serve(&[]).await;
    assert!(echoes(&mut stream, "within the grace").await);
    let began = std::time::Instant::now();
    assert_eq!(front.proxy.drained(&instance.backend.id, Duration::from_secs(30)).await, 0);
    assert!(began.elapsed() <= WEBSOCKET_GRACE + Duration::from_secs(2));
    assert!(!echoes(&mut stream, "late").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_at_once_when_their_instance_is_aborted() {
    let instance = Instance::start(0).await;
    let front = Front::start(quick(), std::slice::from_ref(&instance.backend)).await;
    let mut stream = upgrade(&front).await;
    front.serve(&[]).await;
    front.proxy.abort(&instance.backend.id);
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
}
