//! Real build files against what is known of them.
//!
//! `CORPUS=<folder> cargo test --test corpus`: the folder holds the files and `expected.tsv`, whose
//! lines are file, `valid` or `invalid`, a reason for people, and the services as `name=type`
//! joined by commas. Without the folder the test fails: it is only run on request.

use std::path::PathBuf;

use dotcloud_local::buildfile::{self, Parsed};

#[test]
fn real_build_files_are_judged_as_expected() {
    let folder = PathBuf::from(std::env::var_os("CORPUS").expect("CORPUS names the folder with expected.tsv"));
    let list = folder.join("expected.tsv");
    let expected = std::fs::read_to_string(&list).unwrap_or_else(|error| panic!("{}: {error}", list.display()));
    let lines: Vec<&str> = expected.lines().filter(|line| !line.trim().is_empty()).collect();
    assert!(!lines.is_empty(), "{} is empty", list.display());
    let wrong: Vec<String> = lines.iter().filter_map(|line| judge(&folder, line)).collect();
    assert!(wrong.is_empty(), "{} of {} files:\n{}", wrong.len(), lines.len(), wrong.join("\n"));
    println!("{} files are as expected", lines.len());
}

/// What is wrong with one line of the list; `None` when the file is as expected.
fn judge(folder: &std::path::Path, line: &str) -> Option<String> {
    let mut fields = line.split('\t');
    let mut field = || fields.next().unwrap_or_default();
    let (file, validity, _reason, services) = (field(), field(), field(), field());
    let text = match std::fs::read(folder.join(file)) {
        Ok(text) => text,
        Err(error) => return Some(format!("{file}: {error}")),
    };
    let parsed = buildfile::parse(&text, &[]);
    let found = (if parsed.stack.is_some() { "valid" } else { "invalid" }, listed(&parsed));
    if found == (validity, services.to_owned()) {
        return None;
    }
    let findings = parsed.diagnostics.iter().map(|finding| buildfile::render(finding, file, &text, false));
    let findings: String = findings.collect();
    Some(format!("{file}: expected {validity} {services}, found {} {}\n{findings}", found.0, found.1))
}

fn listed(parsed: &Parsed) -> String {
    let services = parsed.services.iter().map(|service| format!("{}={}", service.name, service.type_name));
    services.collect::<Vec<_>>().join(",")
}
