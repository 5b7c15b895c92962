//! The type nodejs: the counter on one thread, modules that are kept, and Node.js of other years.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::race::{race, who_answers};
use crate::support::platform::{Platform, copy_of};
use crate::turn;

#[test]
fn one_thread_loses_updates_between_two_awaits() {
    let _turn = turn();
    let platform = Platform::new();
    let code = copy_of("samples/counter-nodejs");
    platform.up(code.path(), "counter");
    let with = ["--requests", "1000", "--concurrency", "20", "--expect"];
    for instances in [1, 2] {
        platform.scale("counter", &[&format!("www={instances}")]);
        let naive = race(&platform, "/naive", &[&with[..], &["some"]].concat());
        let atomic = race(&platform, "/atomic", &[&with[..], &["none"]].concat());
        println!("{instances} instances: naive lost {}, atomic lost {} of 1000", naive["lost"], atomic["lost"]);
        assert_eq!((naive["failed"].as_u64(), naive["sent"].as_u64()), (Some(0), Some(1000)), "{naive}");
        assert_eq!((atomic["lost"].as_u64(), atomic["applied"].as_u64()), (Some(0), Some(1000)), "{atomic}");
    }
    assert_eq!(who_answers(&platform.web("counter", "www"), 10).len(), 2);
    let port = platform.run(&["-A", "counter", "run", "www", "--", "printenv", "PORT_NODEJS"]);
    assert_eq!(port.trim(), "8080");
    a_push_of_code_alone_keeps_the_modules(&platform, code.path());
    what_would_not_start_is_found_before_it_is_started(&platform);
    a_service_without_a_process_is_refused(&platform, code.path());
}

fn a_push_of_code_alone_keeps_the_modules(platform: &Platform, code: &Path) {
    let server = fs::read_to_string(code.join("server.js")).unwrap();
    fs::write(code.join("server.js"), server.replace("worker: 1", "worker: 1, version: 2")).unwrap();
    let said = platform.run(&["-A", "counter", "push", code.to_str().unwrap()]);
    assert!(said.contains("Modules are unchanged.") && !said.contains("Running npm"), "{said}");
    let web = platform.web("counter", "www");
    let body = super::race::answer(&web, http::Method::GET, "/value").body;
    assert!(String::from_utf8_lossy(&body).contains("\"version\":2"), "{body:?}");
}

fn what_would_not_start_is_found_before_it_is_started(platform: &Platform) {
    let check = "cd /tmp && echo 'const a = ;' > bad.js && echo 'export const a = 1' > good.js \
                 && /usr/lib/dotcloud/type/check /tmp/good.js /home/dotcloud/current/server.js && echo sound \
                 && /usr/lib/dotcloud/type/check /tmp/good.js /tmp/bad.js";
    let output = platform.try_run(&["-A", "counter", "run", "www", "--", "sh", "-c", check]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("sound") && said.contains("/tmp/bad.js:1") && !said.contains("good.js"), "{said}");
}

fn a_service_without_a_process_is_refused(platform: &Platform, code: &Path) {
    fs::write(code.join("dotcloud.yml"), "www:\n  type: nodejs\ndb:\n  type: redis\n").unwrap();
    let said = platform.refused(&["-A", "counter", "push", code.to_str().unwrap()]);
    assert!(said.contains("process: <command>") && said.contains("supervisord.conf"), "{said}");
}

#[test]
fn an_application_of_2012_runs_on_its_own_node() {
    let _turn = turn();
    let platform = Platform::new();
    let code = old_application();
    platform.up(code.path(), "old");
    let modules = platform.run(&["-A", "old", "run", "www", "--", "ls", "current/node_modules"]);
    assert_eq!(modules.split_whitespace().collect::<Vec<_>>(), ["own", "underscore"], "no devDependencies");
    assert_eq!(page(&platform), "v0.8.28 1.4.3 our own");

    // The build file alone decides; the supervisord.conf of the application stays as it is.
    fs::write(code.path().join("dotcloud.yml"), "www:\n  type: nodejs\n  config:\n    node_version: v7.77.x\n")
        .unwrap();
    let said = platform.run(&["-A", "old", "push", code.path().to_str().unwrap()]);
    assert!(said.contains("Warning: node_version v7.77.x is not available"), "{said}");
    assert!(page(&platform).starts_with("v20."), "{}", page(&platform));
}

/// As they were written then, with the supervisor's file that was mandatory.
fn old_application() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("dotcloud.yml", "www:\n  type: nodejs\n  config:\n    node_version: v0.8.x\n"),
        ("supervisord.conf", "[program:node]\ncommand = node server.js\ndirectory = /home/dotcloud/current\n"),
        (
            "package.json",
            r#"{"name": "old", "version": "0.0.1", "dependencies": {"underscore": "1.4.x"},
                "devDependencies": {"connect": "2.7.0"}}"#,
        ),
        // As `npm shrinkwrap` wrote it.
        (
            "npm-shrinkwrap.json",
            r#"{"name": "old", "version": "0.0.1", "dependencies": {"underscore": {"version": "1.4.3"}}}"#,
        ),
        // npm did not install it, and would remove it.
        ("node_modules/own/index.js", "module.exports = 'our own';\n"),
        (
            "server.js",
            "var _ = require('underscore');\n\
             require('http').createServer(function (request, response) {\n  \
               response.end(process.version + ' ' + _.VERSION + ' ' + require('own'));\n}).listen(8080);\n",
        ),
    ];
    fs::create_dir_all(folder.path().join("node_modules/own")).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn page(platform: &Platform) -> String {
    let answer = super::race::answer(&platform.web("old", "www"), http::Method::GET, "/");
    String::from_utf8_lossy(&answer.body).into_owned()
}
