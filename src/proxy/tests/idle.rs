//! Clients that say nothing do not hold a connection for ever; those that wait for an answer do.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::*;
use crate::proxy::ProxyConfig;

const IDLE: Duration = Duration::from_millis(300);
/// An answer that takes longer than any client may be idle.
const SLOW: &str = "/slow/900";

async fn front() -> (Instance, Front) {
    let config = ProxyConfig { client_idle: IDLE, request_timeout: Duration::from_secs(60), ..quick() };
    let instance = Instance::start(0).await;
    let front = Front::start(config, std::slice::from_ref(&instance.backend)).await;
    (instance, front)
}

async fn connect(front: &Front, words: &str) -> TcpStream {
    let mut stream = TcpStream::connect(front.addr).await.unwrap();
    stream.write_all(words.as_bytes()).await.unwrap();
    stream
}

/// Reads the answer, whose body is one digit.
async fn answer(stream: &mut TcpStream) -> String {
    let head = read_head(stream).await;
    assert_eq!(stream.read_u8().await.unwrap(), b'0', "{head}");
    head
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_without_a_whole_request_are_closed_in_time() {
    let (_instance, front) = front().await;
    for words in ["", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: www.counter.localhost\r\n"] {
        let began = Instant::now();
        let mut stream = connect(&front, words).await;
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0, "{words:?} is no request");
        assert!(began.elapsed() >= IDLE, "{words:?}: {:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_used_again_until_they_were_idle_for_too_long() {
    let (_instance, front) = front().await;
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let mut stream = connect(&front, "").await;
    for _ in 0..3 {
        stream.write_all(request.as_bytes()).await.unwrap();
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    }
    let answered = Instant::now();
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert!(answered.elapsed() + Duration::from_millis(50) >= IDLE, "{:?}", answered.elapsed());
}

/// Each is silent for as long as the slow answer takes, which is longer than the bound.
#[tokio::test(flavor = "multi_thread")]
async fn slow_answers_paused_uploads_and_websockets_are_not_idle() {
    let (_instance, front) = front().await;
    let upgrade = format!("GET /upgrade HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    let upload = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 2\r\n\r\n1");
    let mut websocket = connect(&front, &upgrade).await;
    assert!(read_head(&mut websocket).await.starts_with("HTTP/1.1 101"));
    let mut upload = connect(&front, &upload).await;
    let mut slow = connect(&front, &format!("GET {SLOW} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;

    assert!(answer(&mut slow).await.starts_with("HTTP/1.1 200"));
    upload.write_all(b"2").await.unwrap();
    assert!(answer(&mut upload).await.starts_with("HTTP/1.1 200"));
    websocket.write_all(b"x").await.unwrap();
    assert_eq!(websocket.read_u8().await.unwrap(), b'x');
}
