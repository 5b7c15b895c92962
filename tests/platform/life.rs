//! From `up` to `destroy`: what stays and what goes.

use std::fs;
use std::process::Command;
use std::time::Duration;

use http::Method;

use super::race::{ask, value};
use crate::support::docker::Objects;
use crate::support::platform::{Platform, Web, copy_of, sample};
use crate::support::wait_for;
use crate::turn;

#[test]
fn down_keeps_the_data_and_destroy_leaves_nothing() {
    let _turn = turn();
    let platform = Platform::new();
    platform.up(&sample("samples/counter"), "counter");
    platform.scale("counter", &["db=2", "www=2"]);
    ask(&platform.web("counter", "www"), Method::POST, "/atomic");

    platform.run(&["-A", "counter", "down"]);
    let kept = platform.objects();
    assert_eq!((kept.containers, kept.networks), (0, 0));
    assert!(kept.volumes > 0);

    platform.up(&sample("samples/counter"), "counter");
    platform.settle("counter");
    let web = platform.web("counter", "www");
    assert_eq!(value(&web), 1, "the data is back");
    assert_eq!(super::race::who_answers(&web, 10).len(), 2, "and the scale");

    platform.run(&["destroy", "-A", "counter", "--assume-yes"]);
    wait_for("nothing is left", Duration::from_secs(60), || (platform.objects() == Objects::default()).then_some(()));
    platform.refused(&["-A", "counter", "info"]);
}

#[test]
fn push_replaces_the_static_sample_as_a_whole() {
    let _turn = turn();
    let platform = Platform::new();
    let code = copy_of("samples/static");
    platform.up(code.path(), "pages");
    let web = platform.web("pages", "www");
    assert!(page(&web).contains("from the folder you pushed"));

    fs::write(code.path().join("index.html"), "<p>second version</p>").unwrap();
    platform.run(&["-A", "pages", "push", code.path().to_str().unwrap()]);
    assert_eq!(page(&web), "<p>second version</p>");
}

#[test]
fn a_failed_push_leaves_the_old_version_serving() {
    let _turn = turn();
    let platform = Platform::new();
    let code = copy_of("samples/static");
    platform.up(code.path(), "pages");
    fs::write(code.path().join("index.html"), "<p>never seen</p>").unwrap();
    fs::write(code.path().join("dotcloud.yml"), "www:\n  type: static\n  postinstall: exit 7\n").unwrap();

    let said = platform.refused(&["-A", "pages", "push", code.path().to_str().unwrap()]);
    assert!(said.contains('7'), "the exit code is told: {said}");
    assert!(page(&platform.web("pages", "www")).contains("from the folder you pushed"));
}

/// The page, by a client that is not ours.
fn page(web: &Web) -> String {
    let url = format!("http://{}/", web.addr);
    let output = Command::new("curl").args(["-fsS", "-H", &format!("Host: {}", web.host), &url]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
