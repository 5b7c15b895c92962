//! Values of `config:` that a type knows.

use super::super::{Severity, parse, render};

/// Everything that is said of one setting, and whether the file may be used.
fn judged(type_name: &str, line: &str) -> (bool, Vec<String>) {
    let text = format!("db:\n  type: {type_name}\n  config:\n    {line}\n");
    let parsed = parse(text.as_bytes(), &[]);
    let said = parsed.diagnostics.iter().map(|one| render(one, "dotcloud.yml", text.as_bytes(), false)).collect();
    (parsed.stack.is_some(), said)
}

#[test]
fn a_value_that_no_server_could_start_with_is_an_error_with_its_place_and_what_would_be_right() {
    for (type_name, line, right) in [
        ("smtp", "smtp_relay_port: abc", "a whole number from 1 to 65535 (a TCP port)"),
        ("smtp", "smtp-relay-port: 65536", "from 1 to 65535"),
        ("mongodb", "mongodb_oplog_size: -5", "a whole number from 1 to 1048576 (megabytes)"),
        ("mongodb", "mongodb_oplog_size: [1]", "a whole number"),
        ("mongodb", "mongodb_oplog_size: +5", "a whole number"),
        ("python", "uwsgi_processes: many", "from 1 to 1024 (processes)"),
        ("php", "phpfpm_processes: 0", "from 1 to 1024"),
        ("redis", "replication: yes", "Write one of \"async\", \"sync\""),
    ] {
        let (usable, said) = judged(type_name, line);
        assert!(!usable && said.len() == 1, "{line}: {said:?}");
        let (key, value) = line.split_once(": ").unwrap();
        for part in ["error: ", "dotcloud.yml:4:", key, right] {
            assert!(said[0].contains(part), "{line}: {part} in {}", said[0]);
        }
        assert!(value.starts_with('[') || said[0].contains(&format!("cannot be \"{value}\"")), "{}", said[0]);
    }
}

#[test]
fn where_anything_was_taken_a_warning_says_how_it_is_understood() {
    for (type_name, line, counts) in [
        ("solr", "solr_authentication: maybe", "true"),
        ("python", "uwsgi_enable_threads: perhaps", "false"),
        ("mongodb", "mongodb_smallfiles: 2", "false"),
    ] {
        let (usable, said) = judged(type_name, line);
        assert!(usable && said.len() == 1, "{line}: {said:?}");
        assert!(said[0].contains("warning: ") && said[0].contains(&format!("counts as {counts}")), "{}", said[0]);
    }
}

#[test]
fn what_files_of_2012_say_is_taken_without_a_word() {
    for (type_name, line) in [
        ("smtp", "smtp_relay_port: 587"),
        ("smtp", "smtp_relay_port: \"587\""),
        ("smtp", "smtp_relay_port:"),
        ("smtp", "smtp_relay_password:"),
        ("solr", "solr_authentication: False"),
        ("mongodb", "mongodb_oplog_size: 512"),
        ("mongodb", "mongodb_noprealloc: yes"),
        ("nodejs", "node_version: v0.8.x"),
        ("python", "uwsgi-harakiri: 0"),
        ("python", "made_up: -1"),
        ("static", "smtp_relay_port: abc"),
    ] {
        let (usable, said) = judged(type_name, line);
        assert!(usable && said.iter().all(|one| !one.contains("cannot be")), "{line}: {said:?}");
        assert_eq!(said, [""; 0], "{line}");
    }
}

#[test]
fn a_number_without_a_value_is_the_types_own() {
    let parsed = parse(b"db: {type: mongodb, config: {mongodb_oplog_size: }}", &[]);
    assert!(parsed.stack.unwrap().services[0].config.is_empty());
    assert!(parsed.diagnostics.iter().all(|one| one.severity == Severity::Warning));
}
