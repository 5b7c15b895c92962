//! The rules of the house that the compiler does not know: who imports whom, what pure rooms
//! must not hold, and that nothing lies around unused.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "architecture/imports.rs"]
mod imports;
#[path = "architecture/sources.rs"]
mod sources;

use sources::Source;

/// Room -> what it may import besides itself. The longest matching room counts.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("buildfile", &["model"]),
    ("catalog", &["model"]),
    ("failover", &["model"]),
    ("faults", &["model"]),
    ("race", &["model"]),
    ("store", &["model"]),
    ("watch", &[]),
    ("plan", &["model", "catalog"]),
    ("proxy", &["model", "faults", "race"]),
    ("engine", &["model", "buildfile", "catalog", "plan", "failover", "faults", "race", "store"]),
    ("docker", &["model", "catalog", "engine::runtime", "engine::view"]),
    ("api", &["api"]),
    ("api::types", &[]),
    ("api::client", &["api::home", "api::types"]),
    ("api::server", &["api::home", "api::types", "engine", "faults", "model"]),
    ("dashboard", &["api::types", "engine", "model"]),
    ("ssh", &["api::types", "engine", "model"]),
    ("cli", &["api::client", "api::home", "api::types", "buildfile", "catalog", "faults", "model", "race", "watch"]),
    (
        "daemon",
        &[
            "api",
            "buildfile",
            "catalog",
            "dashboard",
            "docker",
            "engine",
            "failover",
            "faults",
            "model",
            "plan",
            "proxy",
            "race",
            "ssh",
            "store",
            "watch",
        ],
    ),
    ("main", &["cli", "daemon"]),
    ("lib", &[]),
];

/// No clock, no tokio, no file system, no randomness: `now` and seeds are arguments.
const PURE: &[&str] = &["model", "buildfile", "catalog", "plan", "failover", "faults", "race"];

/// What would make a pure room impure, and why it is not there.
const IMPURE: &[(&str, &str)] = &[
    ("tokio", "a pure room never awaits"),
    (".await", "a pure room never awaits"),
    ("async fn", "a pure room never awaits"),
    ("std::fs", "bytes are arguments"),
    ("std::env", "settings are arguments"),
    ("std::process", "a pure room starts nothing"),
    ("std::thread", "a pure room starts nothing"),
    ("TcpStream", "a pure room talks to nobody"),
    ("UnixStream", "a pure room talks to nobody"),
    ("Instant::now", "`now` is an argument"),
    ("SystemTime", "`now` is an argument"),
    ("Timestamp::now", "`now` is an argument"),
    ("Zoned::now", "`now` is an argument"),
    ("getrandom", "seeds are arguments"),
    ("new_v4", "seeds are arguments"),
];

/// What no file of the repository may hold. Split, so that this file does not hold it.
const FORBIDDEN: &[(&str, &str)] = &[
    (concat!("TO", "DO"), "finish it, or say in the documentation what is absent"),
    (concat!("FIX", "ME"), "finish it, or say in the documentation what is absent"),
    (concat!("todo", "!("), "code is written before it is merged"),
    (concat!("unimplemented", "!("), "code is written before it is merged"),
    (concat!("dbg", "!("), "traces go through `tracing`"),
    (concat!("/wo", "rk/"), "paths of one machine mean nothing elsewhere"),
    (concat!("/ro", "ot/"), "paths of one machine mean nothing elsewhere"),
];

/// A file above this many lines has a type or a room missing.
const LONGEST_FILE: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rule_of(module: &str) -> (&'static str, &'static [&'static str]) {
    let matching = MAY_IMPORT.iter().filter(|(room, _)| within(module, room));
    let longest = matching.max_by_key(|(room, _)| room.len());
    let (room, allowed) = longest.unwrap_or_else(|| panic!("src/{module} is a room that MAY_IMPORT does not know"));
    (room, allowed)
}

/// Whether `path` is `room` or something in it.
fn within(path: &str, room: &str) -> bool {
    path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Whether a word stands in the code and does not merely begin a longer one (`.awaiting`).
fn holds_word(code: &str, word: &str) -> bool {
    let follows = |at: usize| code[at + word.len()..].chars().next();
    code.match_indices(word).any(|(at, _)| follows(at).is_none_or(|c| !c.is_alphanumeric() && c != '_'))
}

fn assert_none(violations: &[String], rule: &str) {
    assert!(violations.is_empty(), "{rule}\n  {}\n", violations.join("\n  "));
}

#[test]
fn rooms_import_only_what_the_design_allows() {
    let mut violations = Vec::new();
    for source in Source::all("src") {
        let (room, allowed) = rule_of(&source.module);
        for import in imports::of(&source.code, source.depth()) {
            let permitted = within(&import, room) || allowed.iter().any(|room| within(&import, room));
            if !permitted && room != "lib" {
                violations.push(format!("{}: {room} must not import crate::{import}", source.path.display()));
            }
        }
    }
    assert_none(&violations, "Who may import whom is said in ARCHITECTURE.md:");
}

#[test]
fn pure_rooms_hold_no_clock_no_files_and_no_chance() {
    let mut violations = Vec::new();
    for source in Source::all("src").iter().filter(|source| PURE.iter().any(|room| within(&source.module, room))) {
        for (word, why) in IMPURE {
            if holds_word(&source.code, word) {
                violations.push(format!("{}: `{word}`: {why}", source.path.display()));
            }
        }
    }
    assert_none(&violations, "Pure rooms are tested without waiting for anything:");
}

#[test]
fn nothing_is_unwrapped_outside_tests() {
    let unwrapping = Source::all("src").into_iter().filter(|source| source.code.contains(".unwrap()"));
    let violations: Vec<_> = unwrapping.map(|source| source.path.display().to_string()).collect();
    assert_none(&violations, "A panic in one task must not be anybody's way of saying no:");
}

#[test]
fn files_stay_short_enough_to_be_read() {
    let sources = ["src", "tests", "benches"].into_iter().flat_map(Source::all);
    let long = sources.filter(|source| source.lines > LONGEST_FILE);
    let violations: Vec<_> = long.map(|source| format!("{}: {} lines", source.path.display(), source.lines)).collect();
    assert_none(&violations, "Files above 400 lines:");
}

#[test]
fn no_file_holds_a_forbidden_word() {
    let mut violations = Vec::new();
    for path in sources::repository_files() {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (word, why) in FORBIDDEN {
            if let Some(line) = text.lines().position(|line| line.contains(word)) {
                violations.push(format!("{}:{}: `{word}`: {why}", path.display(), line + 1));
            }
        }
    }
    assert_none(&violations, "Forbidden words:");
}

#[test]
fn every_test_and_bench_file_is_registered() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let files = ["tests", "benches"].into_iter().flat_map(|folder| sources::files_in(&root().join(folder)));
    let programs = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let unregistered = programs.filter(|path| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        !manifest.contains(&format!("name = \"{name}\""))
    });
    let violations: Vec<_> = unregistered.map(|path| path.display().to_string()).collect();
    assert_none(&violations, "autotests is off, so these would never run; list them in Cargo.toml:");
}

#[test]
fn every_sample_is_used_by_a_test() {
    let tests: String = Source::all("tests").into_iter().map(|source| source.text).collect();
    let unused = folders("samples").into_iter().filter(|sample| !tests.contains(&format!("samples/{}", name(sample))));
    let violations: Vec<_> = unused.map(|sample| sample.display().to_string()).collect();
    assert_none(&violations, "A sample that no test runs is a promise nobody checks:");
}

#[test]
fn every_type_is_used_by_a_sample() {
    let files = folders("samples").into_iter().map(|sample| sample.join("dotcloud.yml"));
    let asked: String = files.map(|file| fs::read_to_string(file).unwrap() + "\n").collect();
    let types = folders("templates").into_iter().filter(|folder| folder.join("service.toml").exists());
    let unused = types.filter(|folder| !asked.lines().any(|line| line.trim() == format!("type: {}", name(folder))));
    let violations: Vec<_> = unused.map(|folder| folder.display().to_string()).collect();
    assert_none(&violations, "A service type that no sample shows:");
}

fn folders(of: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root().join(of)) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}
