//! What valid files mean.

use std::collections::BTreeMap;

use super::*;
use crate::model::{PortKind, Processes};

#[test]
fn every_key_reaches_the_service() {
    let stack = stack(
        "www:
  type: python
  approot: ./web/
  instances: 3
  prebuild: ../prebuild
  postbuild: ~/bin/post
  postinstall: python manage.py migrate && echo ok
  buildscript: builder
  systempackages: [libfoo, bar]
  requirements:
    - flask
  config:
    python_version: v2.7
  environment:
    MODE: production
  ports:
    www: http
    LOGS: tcp
    peek: udp
  processes:
    a: ~/run.a
    b: python b.py >> $LOG
  exclude_bundler_groups:
  - test
db:
  type: redis
",
    );
    assert_eq!(stack.services.len(), 2);
    let www = &stack.services[0];
    assert_eq!((www.name.as_str(), www.type_name.as_str(), www.instances), ("www", "python", 3));
    assert_eq!(www.approot, "web");
    assert_eq!(www.prebuild.as_deref(), Some("../prebuild"));
    assert_eq!(www.postbuild.as_deref(), Some("~/bin/post"));
    assert_eq!(www.postinstall.as_deref(), Some("python manage.py migrate && echo ok"));
    assert_eq!(www.buildscript.as_deref(), Some("builder"));
    assert_eq!(www.systempackages, ["libfoo", "bar"]);
    assert_eq!(www.requirements, ["flask"]);
    assert_eq!(www.exclude_bundler_groups, ["test"]);
    assert_eq!(www.config["python_version"], "v2.7");
    assert_eq!(www.environment["MODE"], "production");
    let kinds: Vec<_> = www.ports.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
    assert_eq!(kinds, [("LOGS", PortKind::Tcp), ("peek", PortKind::Udp), ("www", PortKind::Http)]);
    let Processes::Named(processes) = &www.processes else { panic!("{:?}", www.processes) };
    assert_eq!(processes["b"], "python b.py >> $LOG");
    let db = &stack.services[1];
    assert_eq!((db.approot.as_str(), db.instances, &db.processes), (".", 1, &Processes::Unset));
}

#[test]
fn scalars_keep_the_text_they_were_written_as() {
    let service = service(
        "www:
  type: ruby
  postinstall: yes
  config: {ruby-version: 1.9.10, threads: 010, float: 2.10, big: 1e3, on: off, nothing: ~}
  environment:
    VERSION: 2.10
    BOOLEAN: No
    NULL: null
    EMPTY:
    TIME: 12:30:45
    DATE: 2012-13-45
    HEX: 0x1F
    QUOTED: '2.10'
    URL: http://x.y/?a=b#c
",
    );
    let environment: Vec<&str> = service.environment.values().map(String::as_str).collect();
    let written = ["No", "2012-13-45", "", "0x1F", "null", "2.10", "12:30:45", "http://x.y/?a=b#c", "2.10"];
    assert_eq!(environment, written);
    assert_eq!(service.postinstall.as_deref(), Some("yes"));
    let config = serde_json::to_value(&service.config).unwrap();
    let expected = serde_json::json!({
        "big": "1e3", "float": "2.10", "nothing": "~", "on": "off", "ruby_version": "1.9.10", "threads": "010",
    });
    assert_eq!(config, expected);
}

#[test]
fn both_spellings_of_a_setting_are_one() {
    for key in ["ruby-version", "ruby_version"] {
        let service = service(&format!("www:\n  type: ruby\n  config:\n    {key}: 1.9.3\n"));
        assert_eq!(service.config["ruby_version"], "1.9.3");
    }
}

#[test]
fn build_scripts_see_every_scalar_by_its_path() {
    let service = service(
        "lb:
  type: custom
  buildscript: haproxy/builder
  haproxy_mode: tcp
  node_version: 0.10
  config: {ruby-version: 1.9.2, list: [a]}
  ports: {zmq: tcp}
",
    );
    let expected: BTreeMap<String, String> = [
        ("type", "custom"),
        ("buildscript", "haproxy/builder"),
        ("haproxy_mode", "tcp"),
        ("node_version", "0.10"),
        ("config_ruby_version", "1.9.2"),
        ("ports_zmq", "tcp"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    assert_eq!(service.exported, expected);
}

#[test]
fn process_and_processes_may_be_written_as_each_other() {
    let processes = |text: &str| service(&format!("www:\n  type: nodejs\n{text}")).processes;
    assert_eq!(processes("  process: node app.js\n"), Processes::Single("node app.js".to_owned()));
    let named = Processes::Named([("app".to_owned(), "node app.js".to_owned())].into());
    assert_eq!(processes("  process:\n    app: node app.js\n"), named);
    assert_eq!(processes("  processes: {app: node app.js}\n"), named);
    assert_eq!(processes("  processes: node app.js\n"), Processes::Single("node app.js".to_owned()));
    assert_eq!(processes("  processes:\n"), Processes::Unset);
}

#[test]
fn anchors_and_merge_keys_are_followed_and_own_keys_win() {
    let parsed = parse(
        b"www: &www
  type: python
  environment: &env {A: one, B: one}
worker:
  <<: *www
  type: python-worker
  environment:
    <<: [{A: first, C: first}, *env]
    B: own
",
        &[],
    );
    let stack = parsed.stack.unwrap();
    let worker = &stack.services[1];
    assert_eq!(worker.type_name, "python-worker");
    let expected = [("A", "first"), ("B", "own"), ("C", "first")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(worker.environment, expected.into());
}

#[test]
fn values_that_are_no_text_become_json_in_the_environment() {
    let service = service("www:\n  type: nodejs\n  environment:\n    URLS:\n      - http://a\n      - {b: 1.0}\n");
    assert_eq!(service.environment["URLS"], r#"["http://a",{"b":"1.0"}]"#);
}

#[test]
fn line_endings_marks_and_trailing_blanks_change_nothing() {
    let plain = "www:\n  type: python\n  approot: web\n  environment:\n    A: b\n";
    let expected = stack(plain);
    assert_eq!(stack(&plain.replace('\n', "\r\n")), expected);
    assert_eq!(stack(&plain.replace('\n', "\r")), expected);
    assert_eq!(stack(&format!("\u{feff}{plain}")), expected);
    assert_eq!(stack(&plain.replace('\n', "\t\n")), expected);
    assert_eq!(stack(&plain.replace('\n', " \t # note\n\t\n")), expected);
    assert_eq!(stack(&format!("%YAML 1.1\n---\n{plain}...\n")), expected);
}

#[test]
fn brackets_and_quotes_may_go_on_in_any_column() {
    let service = service(
        "www:
  type: python
  requirements: [
flask,   # the framework
    'a \"b\"',
]
  config: {
}
  environment:
    TEXT: \"one
two

three\"
  postinstall: 'x'# note
",
    );
    assert_eq!(service.requirements, ["flask", "a \"b\""]);
    assert_eq!(service.environment["TEXT"], "one two\nthree");
    assert_eq!(service.postinstall.as_deref(), Some("x"));
}

#[test]
fn block_texts_and_letters_of_any_language_are_kept() {
    let service = service(
        "www:
  type: static
  environment:
    SCRIPT: |
      ligne été
        zwei
    FOLDED: >-
      一
      二
",
    );
    assert_eq!(service.environment["SCRIPT"], "ligne été\n  zwei\n");
    assert_eq!(service.environment["FOLDED"], "一 二");
}

#[test]
fn types_of_the_users_own_templates_are_known() {
    let text = b"www:\n  type: elixir\n";
    assert!(parse(text, &[]).stack.is_none());
    assert_eq!(parse(text, &["elixir"]).stack.unwrap().services[0].type_name, "elixir");
}

#[test]
fn every_type_of_the_platform_is_known() {
    for name in crate::model::PLATFORM_TYPES {
        assert!(parse(format!("a: {{type: {name}, buildscript: b}}").as_bytes(), &[]).stack.is_some(), "{name}");
    }
}

#[test]
fn services_are_told_as_written_in_spite_of_errors_but_not_when_the_text_is_no_yaml() {
    let outline = |text: &str| {
        let services = parse(text.as_bytes(), &[]).services;
        services.into_iter().map(|service| format!("{}={}", service.name, service.type_name)).collect::<Vec<_>>()
    };
    assert_eq!(outline("www: {type: python}\ndb: {type: sqlite}\nx:\n  y: z\n"), ["www=python", "db=sqlite", "x="]);
    assert_eq!(outline("www: {type: python}\ndb: {{ name }}\n"), [""; 0]);
    assert_eq!(outline("www:\n\ttype: python\n"), [""; 0]);
}

#[test]
fn shared_folders_are_the_platforms_and_other_settings_the_types() {
    let service = service(
        "www:
  type: python
  config:
    shared-folders:
      uploads: ~/store/
      logs: /home/dotcloud/var/logs
    uwsgi_processes: 2
",
    );
    let folders: Vec<_> = service.shared_folders.iter().map(|(name, path)| (name.as_str(), path.as_str())).collect();
    assert_eq!(folders, [("logs", "/home/dotcloud/var/logs"), ("uploads", "/home/dotcloud/store")]);
    assert_eq!(service.config.keys().collect::<Vec<_>>(), ["uwsgi_processes"]);
    assert_eq!(service.exported["config_shared_folders_uploads"], "~/store/");
}
