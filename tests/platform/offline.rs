//! After one `up`, the way to the outside is not needed any more.

use std::fs;

use http::Method;

use super::race::{ask, value, who_answers};
use crate::support::platform::{Platform, copy_of};
use crate::turn;

#[test]
fn everything_but_new_packages_works_without_the_outside() {
    let _turn = turn();
    let mut platform = Platform::new();
    let code = copy_of("samples/counter");
    platform.up(code.path(), "counter");
    cut_the_way_out(&mut platform);

    platform.kill_daemon();
    platform.scale("counter", &["www=2", "db=2"]);
    let web = platform.web("counter", "www");
    assert_eq!(who_answers(&web, 10).len(), 2);
    ask(&web, Method::POST, "/atomic");

    platform.run(&["-A", "counter", "kill", "db.master"]);
    platform.settle("counter");
    platform.run(&["-A", "counter", "down"]);
    platform.up(code.path(), "counter");
    platform.settle("counter");
    assert_eq!(value(&web), 1);

    let changed =
        fs::read_to_string(code.path().join("wsgi.py")).unwrap().replace("return {}", r#"return {"value": 42}"#);
    fs::write(code.path().join("wsgi.py"), changed).unwrap();
    platform.run(&["-A", "counter", "push", code.path().to_str().unwrap()]);
    assert_eq!(ask(&web, Method::GET, "/who").1, Some(42), "the new code answers");
}

/// Whatever honours proxies, which builds are given, now gets no answer from outside.
fn cut_the_way_out(platform: &mut Platform) {
    for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        platform.set(name, "http://127.0.0.1:9");
    }
}
