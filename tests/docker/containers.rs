//! Containers, networks, volumes, events, exec and logs.

use std::time::{Duration, Instant};

use bytes::Bytes;
use dotcloud_local::engine::runtime::{
    Attachment, ContainerSpec, ExecOutput, ExecSpec, LogPart, RunState, Runtime, RuntimeError, TtySize,
};
use dotcloud_local::model::Memory;

use crate::support::{Home, connect, until};

#[tokio::test]
async fn starting_twice_is_starting_once_and_another_identity_replaces() {
    Home::new()
        .await
        .run(|home| async move {
            let spec = home.idle("db.0").await;
            let first = home.runtime.start(&spec).await.unwrap();
            assert_eq!(home.runtime.start(&spec).await.unwrap(), first);
            let mut other = spec.clone();
            other.identity.generation = 2;
            let second = home.runtime.start(&other).await.unwrap();
            assert_ne!(first, second);
            let seen = home.runtime.observe(&home.app).await.unwrap();
            assert_eq!(seen.containers.len(), 1);
            assert_eq!(seen.containers[0].identity, other.identity);
            home.runtime.remove(&second).await.unwrap();
            home.runtime.remove(&second).await.unwrap();
        })
        .await;
}

#[tokio::test]
async fn observation_tells_state_address_memory_and_process() {
    Home::new()
        .await
        .run(|home| async move {
            let network = home.runtime.ensure_network(&home.app, None).await.unwrap();
            let ip = network.gateway.to_bits() + 20;
            let mut spec = home.idle("db.0").await;
            spec.attachment = Attachment::Network { name: network.name.clone(), ip: Some(ip.into()) };
            let id = home.runtime.start(&spec).await.unwrap();
            let one = || async { home.runtime.observe(&home.app).await.unwrap().containers.remove(0) };
            let seen = one().await;
            assert_eq!((seen.id.as_str(), seen.ip, seen.state), (id.as_str(), Some(ip.into()), RunState::Running));
            assert_eq!(seen.memory, Some(Memory::DEFAULT));
            assert!(seen.pid.is_some() && seen.started_at.is_some());
            assert!(home.runtime.memory_used(&id).await.unwrap() > 0);

            home.runtime.pause(&id).await.unwrap();
            home.runtime.pause(&id).await.unwrap();
            assert_eq!(one().await.state, RunState::Paused);
            home.runtime.kill(&id).await.unwrap();
            let dead =
                until(|| async { Some(one().await).filter(|c| c.state != RunState::Paused && c.pid.is_none()) }).await;
            assert!(matches!(dead.state, RunState::Exited { code: 137, .. }), "{dead:?}");
            home.runtime.kill(&id).await.unwrap();
            home.runtime.restart(&id).await.unwrap();
            let again = one().await;
            assert_eq!((again.state, again.ip), (RunState::Running, Some(ip.into())));
            let begun = Instant::now();
            home.runtime.stop(&id, 10).await.unwrap();
            assert!(begun.elapsed() < Duration::from_secs(5), "an idle pod ends at SIGTERM");
        })
        .await;
}

#[tokio::test]
async fn memory_is_changed_without_a_restart_and_never_below_use() {
    Home::new().await.run(|home| async move {
        let id = home.runtime.start(&home.idle("db.0").await).await.unwrap();
        let before = home.runtime.observe(&home.app).await.unwrap().containers.remove(0);
        for size in ["512M", "64M", "1G"] {
            home.runtime.set_memory(&id, size.parse().unwrap()).await.unwrap();
            let after = home.runtime.observe(&home.app).await.unwrap().containers.remove(0);
            assert_eq!((after.memory.unwrap().to_string().as_str(), after.pid), (size, before.pid));
        }
        let spec = ExecSpec {
            command: vec!["sh".into(), "-c".into(), "head -c 60000000 /dev/zero | { read x; sleep 60; } & a=$(head -c 60000000 /dev/zero | tr '\\0' x); echo full; sleep 60".into()],
            ..Default::default()
        };
        let mut session = home.runtime.exec(&id, &spec).await.unwrap();
        assert!(matches!(session.output.recv().await, Some(Ok(ExecOutput::Stdout(_)))));
        let refused = home.runtime.set_memory(&id, "32M".parse().unwrap()).await.unwrap_err();
        let why = std::error::Error::source(&refused).unwrap().to_string();
        assert!(why.contains("in use"), "{refused}: {why}");
    }).await;
}

#[tokio::test]
async fn what_belongs_to_another_home_is_neither_seen_nor_touched() {
    Home::new()
        .await
        .run(|home| async move {
            let id = home.runtime.start(&home.idle("db.0").await).await.unwrap();
            home.runtime.ensure_volume(&home.app, &home.name("demo-data")).await.unwrap();
            let folder = tempfile::tempdir().unwrap();
            let stranger = connect("0123456789", folder.path()).await;
            assert!(!stranger.apps().await.unwrap().contains(&home.app));
            assert!(matches!(stranger.kill(&id).await, Err(RuntimeError::Missing { .. })));
            stranger.remove(&id).await.unwrap();
            assert!(stranger.remove_volume(&home.name("demo-data")).await.is_err());
            let seen = home.runtime.observe(&home.app).await.unwrap();
            assert_eq!((seen.containers[0].state, seen.volumes.len()), (RunState::Running, 1));
        })
        .await;
}

#[tokio::test]
async fn applications_get_networks_of_their_own() {
    Home::new()
        .await
        .run(|home| async move {
            let (one, two) = ("one".parse().unwrap(), "two".parse().unwrap());
            let (first, second) =
                tokio::join!(home.runtime.ensure_network(&one, None), home.runtime.ensure_network(&two, None));
            let (first, second) = (first.unwrap(), second.unwrap());
            assert_ne!(first.subnet, second.subnet);
            assert_eq!(home.runtime.ensure_network(&one, Some("10.209.9.0/24")).await.unwrap(), first);
            home.runtime.remove_network(&one).await.unwrap();
            home.runtime.remove_network(&one).await.unwrap();
            let again = home.runtime.ensure_network(&one, Some(&first.subnet)).await.unwrap();
            assert_eq!((again.subnet, again.gateway), (first.subnet, first.gateway));
        })
        .await;
}

#[tokio::test]
async fn a_death_is_announced() {
    Home::new()
        .await
        .run(|home| async move {
            let mut events = home.runtime.events();
            let id = home.runtime.start(&home.idle("db.0").await).await.unwrap();
            home.runtime.kill(&id).await.unwrap();
            let deadline = tokio::time::timeout(Duration::from_secs(10), async {
                loop {
                    let event = events.recv().await.unwrap();
                    assert_eq!((&event.app, &event.container), (&home.app, &id));
                    if event.action == "die" {
                        return;
                    }
                }
            });
            deadline.await.unwrap();
        })
        .await;
}

#[tokio::test]
async fn exec_carries_bytes_both_ways_and_the_exit_code() {
    Home::new()
        .await
        .run(|home| async move {
            let id = home.runtime.start(&home.idle("db.0").await).await.unwrap();
            let spec = ExecSpec {
                command: vec!["sh".into(), "-c".into(), "cat; echo oops >&2; exit 7".into()],
                stdin: true,
                ..Default::default()
            };
            let mut session = home.runtime.exec(&id, &spec).await.unwrap();
            let sent: Vec<u8> = (0..=255).cycle().take(300_000).collect();
            let stdin = session.stdin.take().unwrap();
            let feeder = {
                let sent = sent.clone();
                async move {
                    for chunk in sent.chunks(10_000) {
                        stdin.send(Bytes::copy_from_slice(chunk)).await.unwrap();
                    }
                }
            };
            let reader = async {
                let (mut out, mut err) = (Vec::new(), Vec::new());
                loop {
                    match session.output.recv().await.unwrap().unwrap() {
                        ExecOutput::Stdout(bytes) => out.extend(bytes),
                        ExecOutput::Stderr(bytes) => err.extend(bytes),
                        ExecOutput::Exit(code) => return (out, err, code),
                    }
                }
            };
            let (_, (out, err, code)) = tokio::join!(feeder, reader);
            assert!(out == sent, "{} of {} bytes came back", out.len(), sent.len());
            assert_eq!((String::from_utf8(err).unwrap().as_str(), code), ("oops\n", 7));
        })
        .await;
}

#[tokio::test]
async fn a_terminal_has_the_size_it_was_given() {
    Home::new()
        .await
        .run(|home| async move {
            let id = home.runtime.start(&home.idle("db.0").await).await.unwrap();
            let spec = ExecSpec {
                command: vec![
                    "sh".into(),
                    "-c".into(),
                    "until [ \"$(stty size)\" = '33 99' ]; do sleep 0.01; done; stty size; read x; stty size".into(),
                ],
                tty: Some(TtySize { rows: 33, cols: 99 }),
                stdin: true,
                ..Default::default()
            };
            let mut session = home.runtime.exec(&id, &spec).await.unwrap();
            let stdin = session.stdin.take().unwrap();
            let mut text = String::new();
            loop {
                match session.output.recv().await.unwrap().unwrap() {
                    ExecOutput::Stdout(bytes) | ExecOutput::Stderr(bytes) => {
                        text.push_str(&String::from_utf8_lossy(&bytes))
                    }
                    ExecOutput::Exit(code) => break assert_eq!(code, 0),
                }
                if text == "33 99\r\n" {
                    stdin.send(Bytes::from_static(b"go\n")).await.unwrap();
                }
            }
            assert!(text.starts_with("33 99\r\n") && text.contains("go"), "{text:?}");
        })
        .await;
}

#[tokio::test]
async fn logs_are_split_by_stream_and_end_with_the_container() {
    Home::new()
        .await
        .run(|home| async move {
            let spec = ContainerSpec {
                command: Some(vec![
                    "sh".into(),
                    "-c".into(),
                    "echo out; echo err >&2; head -c 40000 /dev/zero | tr '\\0' x; echo".into(),
                ]),
                ..home.idle("db.0").await
            };
            let id = home.runtime.start(&spec).await.unwrap();
            let mut lines = home.runtime.logs(&id, LogPart::default(), true).await.unwrap();
            let mut all = Vec::new();
            while let Some(line) = lines.recv().await {
                assert!(line.at.ends_with('Z') && line.at.contains('.'), "{}", line.at);
                all.push((line.stderr, line.text));
            }
            assert!(
                all.contains(&(false, "out".to_owned())) && all.contains(&(true, "err".to_owned())),
                "{}",
                all.len()
            );
            assert!(all.iter().any(|(_, text)| text.len() == 40_000), "a long line stays one line");
        })
        .await;
}

#[tokio::test]
async fn observing_six_containers_takes_milliseconds() {
    Home::new()
        .await
        .run(|home| async move {
            for number in 0..6 {
                home.runtime.start(&home.idle(&format!("db.{number}")).await).await.unwrap();
            }
            let mut times = Vec::new();
            for _ in 0..21 {
                let begun = Instant::now();
                assert_eq!(home.runtime.observe(&home.app).await.unwrap().containers.len(), 6);
                times.push(begun.elapsed());
            }
            times.sort();
            eprintln!("observe: median {:?}, slowest {:?}", times[10], times[20]);
            assert!(times[10] < Duration::from_millis(250), "{times:?}");
            let id = home.runtime.observe(&home.app).await.unwrap().containers.remove(0).id;
            let begun = Instant::now();
            home.runtime.memory_used(&id).await.unwrap();
            eprintln!("memory_used: {:?}", begun.elapsed());
            let begun = Instant::now();
            home.runtime.kill(&id).await.unwrap();
            eprintln!("kill: {:?}", begun.elapsed());
        })
        .await;
}
