//! Redis members in their pods, as the templates make them.

use std::net::SocketAddr;
use std::time::Instant;

use dotcloud_local::catalog::Catalog;
use dotcloud_local::engine::runtime::{Attachment, ContainerSpec, Purpose, Runtime};
use dotcloud_local::model::Memory;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Home, quiet, until};

/// The answers to inline commands.
async fn ask(addr: SocketAddr, commands: &str) -> Option<String> {
    let mut stream = TcpStream::connect(addr).await.ok()?;
    stream.write_all(format!("{commands}\r\nQUIT\r\n").as_bytes()).await.ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.ok()?;
    Some(text)
}

#[tokio::test]
async fn a_redis_member_boots_read_only_in_its_pod_and_keeps_what_it_acknowledged() {
    Home::new()
        .await
        .run(|home| async move {
            let catalog = Catalog::embedded().unwrap();
            let redis = catalog.get("redis").unwrap();
            let images = home.runtime.ensure_type("redis", quiet()).await.unwrap();
            let data = redis.data.as_ref().unwrap();
            let volume = home.name("demo-db-0");
            home.runtime.ensure_volume(&home.app, &volume).await.unwrap();
            let pod = ContainerSpec {
                command: Some(redis.pod_command()),
                hostname: Some("db-0".to_owned()),
                ..home.spec("db.0", Purpose::Pod, &images.runtime).await
            };
            let pod_id = home.runtime.start(&pod).await.unwrap();
            let member = ContainerSpec {
                command: Some(redis.member_command(0, "s3cret", Memory::DEFAULT)),
                attachment: Attachment::Pod(pod_id.clone()),
                volumes: vec![(volume, data.data_path.clone())],
                ..home.spec("db.0", Purpose::Member, &images.runtime).await
            };
            let begun = Instant::now();
            let id = home.runtime.start(&member).await.unwrap();
            let seen = home.runtime.observe(&home.app).await.unwrap().containers;
            let ip = seen.iter().find_map(|c| c.ip).unwrap();
            assert_eq!(seen.iter().find(|c| c.id == id).unwrap().pod.as_deref(), Some(pod_id.as_str()));
            let addr = SocketAddr::from((ip, data.port));
            let answers = until(|| ask(addr, "AUTH root s3cret\r\nAUTH s3cret\r\nSET k v")).await;
            eprintln!("member started and answering after {:?}", begun.elapsed());
            assert!(answers.starts_with("+OK\r\n+OK\r\n-READONLY"), "{answers}");

            let promoted = ask(addr, "AUTH s3cret\r\nREPLICAOF NO ONE\r\nSET k kept").await.unwrap();
            assert!(promoted.starts_with("+OK\r\n+OK\r\n+OK"), "{promoted}");
            let (_, processes) = home.exec(&id, &["sh", "-c", "tr '\\0' ' ' < /proc/1/cmdline"]).await;
            assert!(processes.contains("redis-server") && !processes.contains("s3cret"), "{processes}");
            home.runtime.kill(&id).await.unwrap();
            until(|| async {
                home.runtime
                    .observe(&home.app)
                    .await
                    .unwrap()
                    .containers
                    .iter()
                    .find(|c| c.id == id && c.pid.is_none())
                    .map(drop)
            })
            .await;
            home.runtime.restart(&id).await.unwrap();
            let kept =
                until(|| async { ask(addr, "AUTH s3cret\r\nGET k").await.filter(|text| !text.contains("LOADING")) })
                    .await;
            assert!(kept.contains("kept"), "{kept}");
        })
        .await;
}
