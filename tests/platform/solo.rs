//! Data services of one instance: stable addresses, and what they keep.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Output;
use std::time::{Duration, Instant};

use crate::support::amqp::Publisher;
use crate::support::platform::{Platform, copy_of, text};
use crate::support::wait_for;
use crate::turn;

const APP: &str = "solo";
const SAMPLE: &str = "samples/solo";
/// A broker takes its time to start on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(90);

#[test]
fn a_cache_and_a_broker_keep_their_addresses_and_the_broker_its_messages() {
    let _turn = turn();
    let folder = copy_of(SAMPLE);
    let platform = Platform::new();
    let began = Instant::now();
    platform.up(folder.path(), APP);
    platform.settle(APP);
    println!("up: {:?}", began.elapsed());

    let cache = address(&platform, "cache");
    the_cache_answers_again_after_a_kill(&platform, cache);
    the_broker_is_watched_and_its_client_logged_in(&platform);
    publish(&platform, "first");
    let broker = address(&platform, "broker");
    let began = Instant::now();
    platform.run(&["-A", APP, "kill", "broker"]);
    wait_for("the broker is the master again", PATIENCE, || {
        (platform.service(APP, "broker")["receipts"].as_array()?.len() == 1).then_some(())
    });
    platform.settle(APP);
    println!("broker killed -> open: {:?}", began.elapsed());
    publish(&platform, "second");

    platform.run(&["-A", APP, "down"]);
    platform.up(folder.path(), APP);
    platform.settle(APP);
    assert_eq!((address(&platform, "cache"), address(&platform, "broker")), (cache, broker), "addresses stay");
    assert_eq!([consume(&platform), consume(&platform)], ["first", "second"]);

    more_instances_are_refused(&platform, &folder);
}

fn address(platform: &Platform, service: &str) -> SocketAddr {
    let url = text(&platform.service(APP, service)["address"]);
    url.rsplit(['/', '@']).next().unwrap().parse().unwrap_or_else(|_| panic!("{url}"))
}

fn the_cache_answers_again_after_a_kill(platform: &Platform, address: SocketAddr) {
    assert_eq!(cached(address, &["set colour 0 0 3", "red"]).unwrap(), "STORED");
    assert_eq!(cached(address, &["get colour"]).unwrap(), "VALUE colour 0 3");
    let info = platform.service(APP, "cache");
    assert!(text(&info["group"]["members"][0]["server_version"]).starts_with("1."), "{info}");
    platform.run(&["-A", APP, "kill", "cache"]);
    // Empty, because memory is all a cache has; at the same address.
    let found = wait_for("the cache answers again", PATIENCE, || cached(address, &["get colour"]).ok());
    assert_eq!(found, "END");
    let stats = platform.run(&["-A", APP, "run", "cache", "--", "/usr/lib/dotcloud/client", "stats", "settings"]);
    assert!(stats.contains("STAT maxbytes 201326592"), "three quarters of 256M: {stats}");
}

/// The first line of memcached's answer.
fn cached(address: SocketAddr, lines: &[&str]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(format!("{}\r\n", lines.join("\r\n")).as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    if answer.is_empty() { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer.trim_end().to_owned()) }
}

fn the_broker_is_watched_and_its_client_logged_in(platform: &Platform) {
    let info = platform.service(APP, "broker");
    assert!(text(&info["group"]["members"][0]["server_version"]).starts_with("4."), "{info}");
    let users = platform.run(&["-A", APP, "run", "broker", "--", "rabbitmqctl", "-q", "list_users"]);
    assert!(users.contains("root\t[administrator]") && !users.contains("guest"), "{users}");
    let declared = in_broker(platform, &["amqp-declare-queue", "--durable", "--queue=orders"]);
    assert!(declared.status.success(), "{declared:?}");
}

/// A command beside the broker, which goes to the address that applications use.
fn in_broker(platform: &Platform, words: &[&str]) -> Output {
    let url = text(&platform.service(APP, "broker")["address"]);
    let url = url.replace("127.0.0.1", &format!("broker.{APP}.dc.internal"));
    let (program, rest) = words.split_first().unwrap();
    let url = format!("--url={url}");
    let mut all = vec!["-A", APP, "run", "broker", "--", program, &url];
    all.extend(rest);
    platform.try_run(&all)
}

/// Returns when the broker has the message on its disk.
fn publish(platform: &Platform, body: &str) {
    let (address, password) = platform.data(APP, "broker");
    Publisher::connect(address, &password).unwrap().publish("orders", body).unwrap();
}

fn consume(platform: &Platform) -> String {
    let got = in_broker(platform, &["amqp-get", "--queue=orders"]);
    assert!(got.status.success(), "{got:?}");
    String::from_utf8(got.stdout).unwrap()
}

fn more_instances_are_refused(platform: &Platform, folder: &tempfile::TempDir) {
    let said = platform.refused(&["-A", APP, "scale", "cache=2"]);
    assert!(said.contains("\"cache\" cannot be scaled to 2: type memcached has no replication"), "{said}");
    let path = folder.path().join("dotcloud.yml");
    let text = std::fs::read_to_string(&path).unwrap() + "other: {type: memcached, instances: 2}\n";
    std::fs::write(path, text).unwrap();
    let said = platform.refused(&["-A", APP, "push", folder.path().to_str().unwrap()]);
    assert!(said.contains("\"other\" cannot have 2 instances: type memcached has no replication"), "{said}");
}
