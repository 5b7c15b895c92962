//! The environment of an instance's programs, in the files that tell it.

use std::collections::BTreeMap;

use crate::support::Home;

/// What a service's programs are to read as it is, whatever they read it from.
pub const VALUES: [(&str, &str); 9] = [
    ("EMPTY", ""),
    ("LINES", "one\ntwo 'three'"),
    ("LUA", "{[\"disqus.com\"] = true}"),
    ("NUMBER", "300"),
    ("QUOTED", "a \"b\" \\ c: d"),
    ("SHARP", "one#two"),
    ("TRUTH", "true"),
    ("VERSION", "1.10"),
    ("URL", "http://user:$HOME@10.0.0.1:80/a,b"),
];

/// By what an instance has: JSON, YAML, cron and login shells.
pub async fn can_be_read(home: &Home, id: &str) {
    let (_, file) = home.exec(id, &["cat", "environment.json"]).await;
    let parsed: BTreeMap<String, String> = serde_json::from_str(&file).unwrap();
    assert!(VALUES.iter().all(|(key, value)| parsed[*key] == *value), "{file}");
    assert_eq!(file.lines().count(), parsed.len() + 2, "one key per line");
    let (_, yaml) = home.exec(id, &["cat", "environment.yml"]).await;
    let plain = [
        "DOTCLOUD_PROJECT: demo",
        "NUMBER: 300",
        "VERSION: \"1.10\"",
        "SHARP: one#two",
        "URL: http://user:$HOME@10.0.0.1:80/a,b",
    ];
    for line in yaml.lines() {
        // In quotes, a string of YAML is one of JSON.
        let (key, value) = line.split_once(": ").unwrap();
        let read = serde_json::from_str(value).ok();
        assert!(
            plain.contains(&line) || key == "DOTCLOUD_SERVICE_NAME" || read.as_ref() == Some(&parsed[key]),
            "{yaml}"
        );
    }
    assert_eq!(yaml.lines().count(), parsed.len());
    // cron's jobs are given this by PAM, which takes the outer quotes away.
    let (_, pam) = home.exec(id, &["cat", "/etc/environment"]).await;
    assert!(pam.contains("\nQUOTED=\"a \"b\" \\ c: d\"\n") && pam.contains("\nEMPTY=\"\"\n"), "{pam}");
    assert!(!pam.contains("one"), "neither a second line nor what follows a # can be said: {pam}");
    let login = "for key in $0; do printf '%s\\0' \"${!key}\"; done";
    let keys = VALUES.map(|(key, _)| key).join(" ");
    let (_, seen) = home.exec(id, &["env", "-i", "bash", "-lc", login, &keys]).await;
    assert_eq!(seen.split_terminator('\0').collect::<Vec<_>>(), VALUES.map(|(_, value)| value));
}
