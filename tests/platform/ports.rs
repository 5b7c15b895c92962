//! Ports of the build file: from the host, from another container, over scaling, pushes, deaths
//! and `down`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::platform::{Platform, sample, text, texts};
use crate::support::wait_for;
use crate::turn;

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn ports_lead_to_their_instances_and_keep_their_numbers() {
    let _turn = turn();
    let platform = Platform::new();
    platform.up(&sample("samples/ports"), "ports");
    let first = addresses(&platform);
    everything_answers_on_the_host(&platform, &first[0]);

    platform.scale("ports", &["www=2"]);
    let both = addresses(&platform);
    assert_eq!(both[0], first[0], "what there was keeps its numbers");
    each_number_has_its_own_instance(&both);

    a_push_fails_no_connection(&platform, &both);
    assert_eq!(addresses(&platform), both, "after a push");
    another_container_reaches_all_by_its_variables(&platform);

    an_instance_that_dies_is_waited_for(&platform, &both[1]);

    platform.kill_daemon();
    assert_eq!(addresses(&platform), both, "after the daemon's death");
    each_number_has_its_own_instance(&both);

    platform.run(&["-A", "ports", "down"]);
    assert!(TcpStream::connect(both[0].echo).is_err(), "nothing listens while it is down");
    platform.up(&sample("samples/ports"), "ports");
    platform.settle("ports");
    assert_eq!(addresses(&platform), both, "after down and up");
    each_number_has_its_own_instance(&both);
}

/// One instance's ports as `info --json` tells them.
#[derive(Debug, PartialEq, Eq)]
struct Addresses {
    echo: SocketAddr,
    peek: SocketAddr,
    www2: String,
}

fn addresses(platform: &Platform) -> Vec<Addresses> {
    let info = platform.service("ports", "www");
    info["instances"].as_array().unwrap().iter().map(Addresses::of).collect()
}

impl Addresses {
    fn of(instance: &Value) -> Self {
        let ports = instance["ports"].as_array().unwrap().iter();
        let urls: BTreeMap<String, String> = ports.map(|port| (text(&port["name"]), text(&port["url"]))).collect();
        let addr = |name: &str, scheme: &str| urls[name].strip_prefix(scheme).unwrap().parse().unwrap();
        Self { echo: addr("echo", "tcp://"), peek: addr("peek", "udp://"), www2: urls["www2"].clone() }
    }
}

/// The line that the TCP server sends back.
fn echoed(addr: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"hello\n")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line)
}

/// Asked until it is answered: a datagram may be lost.
fn peeked(addr: SocketAddr, datagram: &[u8]) -> Vec<u8> {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut answer = vec![0; 65_535];
    let count = wait_for("a datagram comes back", PATIENCE, || {
        client.send_to(datagram, addr).ok()?;
        client.recv(&mut answer).ok()
    });
    answer[..count].to_vec()
}

/// By a client that is not ours, with the name that the URL has.
fn page(url: &str) -> String {
    let uri: http::Uri = url.parse().unwrap();
    let (host, port) = (uri.host().unwrap(), uri.port_u16().unwrap());
    let resolve = format!("{host}:{port}:127.0.0.1");
    let output = Command::new("curl").args(["-fsS", "--resolve", &resolve, url]).output().unwrap();
    assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn everything_answers_on_the_host(platform: &Platform, first: &Addresses) {
    let urls = texts(&platform.service("ports", "www")["urls"]);
    let pages: Vec<String> = urls.iter().map(|url| page(url)).collect();
    assert_eq!(pages, ["own www.0\n", "own www.0\n", "second www.0\n", "second www.0\n"], "{urls:?}");
    assert!(first.www2.starts_with("http://www2-www.ports.localhost:"), "{first:?}");
    assert_eq!(echoed(first.echo).unwrap(), "www.0 hello\n");
    assert_eq!(peeked(first.peek, b""), b"www.0 ", "an empty datagram is one");
    let long = vec![b'x'; 60_000];
    assert_eq!(peeked(first.peek, &long).len(), "www.0 ".len() + long.len());

    let printed = platform.run(&["-A", "ports", "url", "www"]);
    let direct = [format!("tcp://{}", first.echo), format!("udp://{}", first.peek)];
    assert!(direct.iter().all(|url| printed.contains(url)), "{printed}");
}

fn each_number_has_its_own_instance(all: &[Addresses]) {
    for (index, one) in all.iter().enumerate() {
        assert_eq!(echoed(one.echo).unwrap(), format!("www.{index} hello\n"));
        assert_eq!(peeked(one.peek, b"hello"), format!("www.{index} hello").as_bytes());
    }
}

/// Connections are made all the time while both instances are replaced. The code is the same as
/// before, but what runs does not know the second instance's addresses yet.
fn a_push_fails_no_connection(platform: &Platform, both: &[Addresses]) {
    let before = platform.containers("ports");
    let pushed = AtomicBool::new(false);
    let answers = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut answers = Vec::new();
            while !pushed.load(Ordering::Relaxed) {
                answers.push(echoed(both[0].echo).unwrap_or_else(|error| error.to_string()));
            }
            answers
        });
        platform.run(&["-A", "ports", "push", sample("samples/ports").to_str().unwrap()]);
        pushed.store(true, Ordering::Relaxed);
        asking.join().unwrap()
    });
    assert!(answers.len() > 20 && answers.iter().all(|answer| answer == "www.0 hello\n"), "{answers:?}");
    let after = platform.containers("ports");
    assert!(after.iter().all(|container| !before.contains(container)), "every instance was replaced");
    each_number_has_its_own_instance(both);
}

fn another_container_reaches_all_by_its_variables(platform: &Platform) {
    let printed = platform.run(&["-A", "ports", "run", "peer", "--", "python3", "current/ask.py"]);
    let lines: BTreeMap<&str, &str> = printed.lines().filter_map(|line| line.trim().split_once(' ')).collect();
    for (variable, answer) in [
        ("ECHO_URL", "www.0 hello"),
        ("ECHO_URL_0", "www.0 hello"),
        ("ECHO_URL_1", "www.1 hello"),
        ("PEEK_URL", "www.0 hello"),
        ("PEEK_URL_0", "www.0 hello"),
        ("PEEK_URL_1", "www.1 hello"),
    ] {
        assert_eq!(lines.get(&*format!("DOTCLOUD_WWW_{variable}")), Some(&answer), "{variable}: {printed}");
    }
    assert!(lines["DOTCLOUD_WWW_HTTP_URL"].starts_with("own www."), "{printed}");
    assert!(lines["DOTCLOUD_WWW_WWW2_HTTP_URL"].starts_with("second www."), "{printed}");
}

/// It has no other that could stand in: the connection waits until it is back.
fn an_instance_that_dies_is_waited_for(platform: &Platform, one: &Addresses) {
    platform.run(&["-A", "ports", "kill", "www.1"]);
    let answer = wait_for("www.1 answers again", PATIENCE, || echoed(one.echo).ok().filter(|line| !line.is_empty()));
    assert_eq!(answer, "www.1 hello\n");
    platform.settle("ports");
}
