//! Types whose images are made from official ones: there already, or not to be had.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::docker::Engine;
use crate::support::platform::{Platform, sample};
use crate::support::wait_for;
use crate::turn;

const APP: &str = "pulled";
const REPOSITORY: &str = "dotcloud-local-test/official";
/// Nobody can have an image of this registry: the name is reserved for never being one.
const NOWHERE: &str = "registry.invalid/official:1";
const OFFICIAL: [&str; 2] = ["solr:9", "cassandra:5"];

/// Answers everybody with a file of its approot and its own settings.
const SERVER: &str = r#"#!/usr/bin/perl
use IO::Socket::INET;
$SIG{TERM} = sub { exit 0 };
my $server = IO::Socket::INET->new(LocalPort => 7000, Listen => 5, ReuseAddr => 1) or die;
open my $file, '<', '/home/dotcloud/greeting' or die; my $text = <$file>;
while (my $client = $server->accept) { print $client "$ARGV[0]: $text"; close $client }
"#;
const POD: &str = "#!/bin/sh\ntrap 'exit 0' TERM INT\nwhile :; do sleep 86400 & wait $!; done\n";
const DOCKERFILE: &str = "ARG PARENT\nFROM ${PARENT}\nCOPY serve pod /usr/lib/dotcloud/\nRUN mkdir -p /home/dotcloud\n";

#[test]
fn an_image_that_is_there_is_the_parent_and_one_that_cannot_be_had_is_explained() {
    let _turn = turn();
    let engine = Engine::connect();
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::new();
    template(&platform, "standin", &format!("{REPOSITORY}:1"));
    template(&platform, "absent", NOWHERE);
    std::fs::create_dir(folder.path().join("settings")).unwrap();
    std::fs::write(folder.path().join("settings/greeting"), "hello\n").unwrap();
    let build_file = "db: {type: standin, approot: settings, config: {tone: loud}}\n";
    let write = |text: &str| std::fs::write(folder.path().join("dotcloud.yml"), text).unwrap();
    // Whoever needs the base image first makes it.
    write("cache: {type: memcached}\n");
    platform.up(folder.path(), APP);
    write(&format!("cache: {{type: memcached}}\n{build_file}"));
    engine.tag("dotcloud-local/base:trixie", REPOSITORY, "1");
    platform.up(folder.path(), APP);
    platform.settle(APP);
    let (address, _) = platform.data(APP, "db");
    assert_eq!(ask(address, "").unwrap(), "loud: hello\n");
    // A push changes nothing of a data service, and the name of the parent is needed no more.
    engine.untag(&format!("{REPOSITORY}:1"));
    std::fs::write(folder.path().join("settings/greeting"), "changed\n").unwrap();
    platform.up(folder.path(), APP);
    platform.run(&["-A", APP, "kill", "db"]);
    let said = wait_for("the server answers again", Duration::from_secs(60), || {
        ask(address, "").ok().filter(|said| !said.is_empty())
    });
    assert_eq!(said, "loud: hello\n");

    the_missing_image_is_explained(&platform, &folder, build_file);
}

fn the_missing_image_is_explained(platform: &Platform, folder: &tempfile::TempDir, build_file: &str) {
    std::fs::write(folder.path().join("dotcloud.yml"), format!("{build_file}other: {{type: absent}}\n")).unwrap();
    let began = Instant::now();
    let output = platform.try_run(&["-A", APP, "push", folder.path().to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(5), "{said}");
    for part in
        ["\"other\": cannot pull image", NOWHERE, "type absent", "docker pull", "docker load", "registry-mirrors"]
    {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert!(!platform.run(&["-A", APP, "info"]).contains("other"), "nothing of it was begun");
}

/// Skipped, and said so, where an image is absent and there is no registry to have it from.
#[test]
fn solr_finds_what_it_indexed_and_cassandra_what_it_was_given() {
    let _turn = turn();
    if let Some(absent) = OFFICIAL.iter().find(|image| !Engine::connect().has_image(image)) {
        eprintln!("skipped: image absent: {absent}");
        return;
    }
    let platform = Platform::new();
    platform.up(&sample("samples/official"), APP);
    platform.settle(APP);
    let cql = |text: &str| {
        platform.run(&[
            "-A",
            APP,
            "run",
            "table",
            "--",
            "cqlsh",
            "-u",
            "root",
            "-p",
            &platform.data(APP, "table").1,
            "-e",
            text,
        ])
    };
    cql("CREATE KEYSPACE shop WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
    cql("CREATE TABLE shop.dishes (name text PRIMARY KEY); INSERT INTO shop.dishes (name) VALUES ('ramen')");
    assert!(cql("SELECT * FROM shop.dishes").contains("ramen"));
    let (address, password) = platform.data(APP, "search");
    let login = ["--user", &format!("dotcloud:{password}")].map(str::to_owned);
    let url = format!("http://{address}/solr/collection1");
    let document = "[{\"id\": \"1\", \"name_s\": \"ramen\"}]";
    let update = format!("{url}/update?commit=true");
    curl(&login, &["-H", "Content-Type: application/json", "-d", document, &update]);
    let found = curl(&login, &[&format!("{url}/select?q=name_s:ramen")]);
    assert!(found.contains("\"numFound\":1"), "{found}");
    let stranger = ask(address, "GET /solr/collection1/select?q=* HTTP/1.0\r\n\r\n").unwrap();
    assert!(stranger.contains(" 401 "), "{stranger}");
}

fn curl(login: &[String], words: &[&str]) -> String {
    let output = std::process::Command::new("curl").args(["-sS", "--fail"]).args(login).args(words).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn template(platform: &Platform, name: &str, image: &str) {
    let folder = platform.home().join("templates").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let write = |file: &Path, text: &str| std::fs::write(folder.join(file), text).unwrap();
    let spec = format!(
        "kind = \"data\"\nsummary = \"a test\"\n[images]\npull = \"{image}\"\n[config]\ntone = \"low\"\n[data]\n\
         kind_variable = \"X\"\nurl_scheme = \"x\"\nlogin = \"root\"\nport = 7000\ndata_path = \"/var/lib/x\"\n\
         approot = true\nserver_command = [\"/usr/lib/dotcloud/serve\", \"{{config.tone}}\"]\n\
         pod_command = [\"/usr/lib/dotcloud/pod\"]\nclient_command = [\"sh\"]\n"
    );
    for (file, text) in [("service.toml", spec.as_str()), ("Dockerfile", DOCKERFILE), ("serve", SERVER), ("pod", POD)] {
        write(Path::new(file), text);
    }
}

/// What is answered to a text.
fn ask(address: SocketAddr, text: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(text.as_bytes())?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}
