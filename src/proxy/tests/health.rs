//! Setting aside and coming back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::AsyncWriteExt;

use super::support::*;
use crate::model::Backend;

/// Answers while `well`, else breaks every connection, probes included.
async fn moody(index: u32, well: Arc<AtomicBool>) -> Backend {
    raw_instance(index, move |mut stream| {
        let well = well.clone();
        async move {
            while !read_head(&mut stream).await.is_empty() && well.load(Ordering::Relaxed) {
                let body = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{index}");
                if stream.write_all(body.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    })
    .await
}

fn is_aside(front: &Front, backend: &Backend) -> bool {
    let report = front.proxy.report();
    report.http[0].backends.iter().any(|listed| listed.listed && listed.container == backend.id && listed.aside)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_aside_instance_is_left_out_until_a_probe_passes() {
    let well = Arc::new(AtomicBool::new(false));
    let (sick, good) = (moody(0, well.clone()).await, Instance::start(1).await);
    let front = Front::start(quick(), &[sick.clone(), good.backend.clone()]).await;
    for _ in 0..6 {
        assert_eq!(front.get("/").await.body, "1");
    }
    let report = front.proxy.report();
    assert_eq!((report.http[0].backends[0].requests, report.http[0].backends[1].requests), (1, 6));
    well.store(true, Ordering::Relaxed);
    while is_aside(&front, &sick) {
        tokio::task::yield_now().await;
    }
    let both = front.get("/").await.body + &front.get("/").await.body;
    assert!(both == "01" || both == "10", "{both}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_listed_anew_returns_at_once() {
    let well = Arc::new(AtomicBool::new(false));
    let (sick, good) = (moody(0, well.clone()).await, Instance::start(1).await);
    let front = Front::start(quick(), &[sick.clone(), good.backend.clone()]).await;
    assert_eq!(front.get("/").await.body, "1");
    assert!(is_aside(&front, &sick));
    well.store(true, Ordering::Relaxed);
    front.serve(std::slice::from_ref(&good.backend)).await;
    front.serve(&[sick.clone(), good.backend.clone()]).await;
    assert!(!is_aside(&front, &sick));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_5xx_alone_has_an_instance_probed_and_keeps_it() {
    let instance = Instance::start(0).await;
    let front = Front::start(quick(), std::slice::from_ref(&instance.backend)).await;
    assert_eq!(front.get("/status/500").await.status, 500);
    assert!(!is_aside(&front, &instance.backend));
    assert_eq!(front.get("/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_are_set_aside_they_are_tried_anyway() {
    let well = Arc::new(AtomicBool::new(false));
    let sick = moody(0, well.clone()).await;
    let front = Front::start(quick(), std::slice::from_ref(&sick)).await;
    assert_eq!(front.get("/").await.status, 502);
    assert!(is_aside(&front, &sick));
    well.store(true, Ordering::Relaxed);
    assert_eq!(front.get("/").await.body, "0");
}
