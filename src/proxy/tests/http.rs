//! Routing, turns, and what changes on the way.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::*;
use crate::proxy::{Allow, ProxyError};

#[tokio::test(flavor = "multi_thread")]
async fn four_instances_answer_exactly_in_turn_over_all_threads() {
    let instances =
        [Instance::start(0).await, Instance::start(1).await, Instance::start(2).await, Instance::start(3).await];
    let backends = instances.each_ref().map(|instance| instance.backend.clone());
    let front = Front::start(quick(), &backends).await;
    let mut order = String::new();
    for _ in 0..20 {
        order += &front.get("/").await.body;
    }
    assert_eq!(order, "01230123012301230123");
    let report = front.proxy.report();
    assert_eq!(report.http[0].by_class[2], 20);
    assert!(report.http[0].backends.iter().all(|backend| backend.requests == 5 && backend.in_flight == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_are_matched_exactly_then_by_wildcard_then_by_the_listeners_default() {
    let (exact, wild) = (Instance::start(1).await, Instance::start(2).await);
    let front = Front::start(quick(), std::slice::from_ref(&exact.backend)).await;
    let mut table = http_table(std::slice::from_ref(&exact.backend));
    let other = http_table(std::slice::from_ref(&wild.backend)).http.remove(HOST).unwrap();
    table.http.insert("*.example.com".to_owned(), other);
    front.proxy.applied(front.proxy.publish(table)).await;

    let ask = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    assert_eq!(front.raw(&ask("WWW.Counter.Localhost.:8080")).await.body, "1");
    assert_eq!(front.raw(&ask("a.b.example.com")).await.body, "2");
    assert_eq!(front.raw(&ask("example.com")).await.status, 404);
    let absolute = format!("GET http://{HOST}/x?y HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n");
    assert_eq!(front.raw(&absolute).await.body, "1");
    let hit = exact.hits().pop().unwrap();
    assert_eq!((hit.path.as_str(), hit.headers["host"].to_str().unwrap()), ("/x", HOST));

    let bound = front.proxy.listen_http("127.0.0.1:0".parse().unwrap(), None, Some(HOST)).await.unwrap();
    let pinned = Front { proxy: front.proxy.clone(), addr: bound.addr };
    assert_eq!(pinned.raw(&ask("127.0.0.1")).await.body, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_learn_who_asked_and_hop_fields_stay_behind() {
    let instance = Instance::start(0).await;
    let front = Front::start(quick(), std::slice::from_ref(&instance.backend)).await;
    let fields = "X-Forwarded-For: 9.9.9.9\r\nTE: trailers\r\nKeep-Alive: timeout=5\r\nX-App: kept\r\n";
    assert_eq!(front.send("GET", "/", fields, "").await.status, 200);
    let headers = instance.hits().pop().unwrap().headers;
    assert_eq!(headers["x-forwarded-for"], "9.9.9.9, 127.0.0.1");
    assert_eq!(headers["x-real-ip"], "127.0.0.1");
    assert_eq!(headers["x-forwarded-proto"], "http");
    assert_eq!(headers["x-forwarded-port"], front.addr.port().to_string().as_str());
    assert_eq!(headers["host"], HOST);
    assert_eq!(headers["x-app"], "kept");
    for gone in ["te", "keep-alive", "connection"] {
        assert!(!headers.contains_key(gone), "{gone} travelled");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_pass_both_ways_with_length_and_in_chunks() {
    let instance = Instance::start(0).await;
    let front = Front::start(quick(), std::slice::from_ref(&instance.backend)).await;
    let long = "x".repeat(300_000);
    assert_eq!(front.post("/echo", &long).await.body, long);
    let chunked = format!(
        "POST /echo HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    );
    assert_eq!(front.raw(&chunked).await.body, "hello world");
    assert_eq!(instance.hits()[1].body, "hello world");
}

#[tokio::test(flavor = "multi_thread")]
async fn head_answers_carry_the_length_and_no_body() {
    let instance = Instance::start(0).await;
    let front = Front::start(quick(), std::slice::from_ref(&instance.backend)).await;
    let answer = front.send("HEAD", "/", "", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert!(answer.head.contains("content-length: 1"), "{}", answer.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_clients_get_an_answer_without_chunks() {
    let backend = raw_instance(0, |mut stream| async move {
        read_head(&mut stream).await;
        let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    })
    .await;
    let front = Front::start(quick(), &[backend]).await;
    let answer = front.raw(&format!("GET / HTTP/1.0\r\nHost: {HOST}\r\n\r\n")).await;
    assert!(answer.head.starts_with("http/1.0 200"), "{}", answer.head);
    assert!(!answer.head.contains("chunked"));
    assert_eq!(answer.body, "abc");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_expects_100_continue_gets_it_before_the_answer() {
    let instance = Instance::start(0).await;
    let front = Front::start(quick(), std::slice::from_ref(&instance.backend)).await;
    let mut stream = TcpStream::connect(front.addr).await.unwrap();
    let head = format!(
        "POST /echo HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let interim = read_head(&mut stream).await;
    assert!(interim.starts_with("HTTP/1.1 100"), "{interim}");
    stream.write_all(b"body").await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert_eq!(Answer::parse(&rest).body, "body");
    assert!(!instance.hits()[0].headers.contains_key("expect"));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_an_instance_are_used_again() {
    let opened = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counter = opened.clone();
    let backend = raw_instance(0, move |mut stream| {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async move {
            while read_head(&mut stream).await.starts_with("GET") {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            }
        }
    })
    .await;
    let config = crate::proxy::ProxyConfig { threads: 1, ..quick() };
    let front = Front::start(config, &[backend]).await;
    for _ in 0..50 {
        assert_eq!(front.get("/").await.body, "ok");
    }
    assert_eq!(opened.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_to_an_instance_that_left_are_closed() {
    let (ended, mut end) = tokio::sync::mpsc::unbounded_channel();
    let backend = raw_instance(0, move |mut stream| {
        let ended = ended.clone();
        async move {
            while !read_head(&mut stream).await.is_empty() {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            }
            ended.send(std::time::Instant::now()).unwrap();
        }
    })
    .await;
    let front = Front::start(quick(), std::slice::from_ref(&backend)).await;
    let began = std::time::Instant::now();
    assert_eq!(front.get("/").await.body, "ok");
    front.serve(&[]).await;
    // Well before the idle limit would close it.
    assert!(end.recv().await.unwrap() - began < Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_left_the_table_finishes_what_it_runs_and_gets_nothing_new() {
    let (old, new) = (Instance::start(0).await, Instance::start(1).await);
    let front = std::sync::Arc::new(Front::start(quick(), std::slice::from_ref(&old.backend)).await);
    let asking = front.clone();
    let slow = tokio::spawn(async move { asking.get("/slow/300").await });
    while old.hits().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(front.proxy.in_flight(&old.backend.id), 1);
    front.serve(std::slice::from_ref(&new.backend)).await;
    assert_eq!(front.get("/").await.body, "1");
    assert_eq!(front.proxy.drained(&old.backend.id, Duration::from_millis(1)).await, 1);
    assert_eq!(front.proxy.drained(&old.backend.id, Duration::from_secs(5)).await, 0);
    assert_eq!(slow.await.unwrap().body, "0");
    assert_eq!(old.hits().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_say_when_a_port_is_taken_and_free_it_when_they_end() {
    let front = Front::start(quick(), &[]).await;
    let refused = front.proxy.listen_http(front.addr, None, None).await.unwrap_err();
    assert!(matches!(refused, ProxyError::Bind { addr, .. } if addr == front.addr));
    let second = front.proxy.listen_http("127.0.0.1:0".parse().unwrap(), None, None).await.unwrap();
    front.proxy.unlisten(second.id).await;
    std::net::TcpListener::bind(second.addr).unwrap();
    front.proxy.shutdown().await;
    std::net::TcpListener::bind(front.addr).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_of_another_network_are_refused() {
    let instance = Instance::start(0).await;
    let front = Front::start(quick(), std::slice::from_ref(&instance.backend)).await;
    let allow = |network: &str| Some(Allow { network: network.parse().unwrap(), prefix: 24 });
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    for (network, status) in [("127.0.0.0", 200), ("172.30.1.0", 0)] {
        let addr = front.proxy.listen_http(any, allow(network), None).await.unwrap().addr;
        let message = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
        // The reset may come as early as in the connect.
        let asked = async {
            let mut stream = TcpStream::connect(addr).await.ok()?;
            stream.write_all(message.as_bytes()).await.ok()?;
            let mut text = String::new();
            stream.read_to_string(&mut text).await.ok()?;
            Some(Answer::parse(&text).status)
        };
        assert_eq!(asked.await.unwrap_or(0), status);
    }
}
