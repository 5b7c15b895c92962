//! Texts made to hurt: each is answered quickly and within fixed memory.
//!
//! Memory is watched by `tests/hostile.rs`, which runs every one in a process of its own.

use std::time::{Duration, Instant};

use super::*;

/// A debug build on a busy machine needs tenths of a second.
const LONGEST: Duration = Duration::from_secs(10);

fn repeated(part: &str) -> String {
    part.repeat(MAX_BYTES / part.len())
}

#[track_caller]
fn refused(text: &[u8]) -> Parsed {
    let start = Instant::now();
    let parsed = parse(text, &[]);
    let size: usize = parsed.diagnostics.iter().map(|finding| render(finding, "f", text, false).len()).sum();
    assert!(start.elapsed() < LONGEST, "took {:?}", start.elapsed());
    assert!(parsed.stack.is_none());
    assert!(parsed.diagnostics.iter().any(Diagnostic::is_error));
    assert!(parsed.diagnostics.len() <= MAX_DIAGNOSTICS + 1);
    assert!(size < 100_000, "{size} bytes of findings");
    parsed
}

#[test]
fn nesting_is_refused_whatever_it_is_made_of() {
    for part in ["[", "{", "{a: ", "- ", "? ", ": ", "[{a: ", "&a [", "!!seq ["] {
        let parsed = refused(repeated(part).as_bytes());
        let deep = |finding: &Diagnostic| finding.message.contains("nested");
        assert!(parsed.diagnostics.iter().any(deep), "{part}: {:?}", parsed.diagnostics);
    }
    let stairs: String = (0..1400).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    refused(stairs.as_bytes());
}

#[test]
fn alias_bombs_are_refused_after_a_bounded_number_of_values() {
    let names: Vec<char> = ('a'..='j').collect();
    let mut bomb = "a: &a {x: y}\n".to_owned();
    for pair in names.windows(2) {
        let nine = vec![format!("*{}", pair[0]); 9].join(", ");
        bomb.push_str(&format!("{0}: &{0} [{nine}]\n", pair[1]));
    }
    bomb.push_str("www: {type: python, config: {k: *j}, environment: {E: *j}}\n");
    let parsed = refused(bomb.as_bytes());
    let counted = "The aliases of this file stand for too many values";
    assert!(parsed.diagnostics.iter().any(|finding| finding.message == counted));
}

#[test]
fn merge_bombs_are_refused_after_a_bounded_number_of_values() {
    let mut bomb = "a0: &a0 {x: y}\n".to_owned();
    for number in 1..=30 {
        bomb.push_str(&format!("a{number}: &a{number}\n  <<: [*a{0}, *a{0}]\n", number - 1));
    }
    bomb.push_str("www:\n  <<: *a30\n  type: python\n");
    refused(bomb.as_bytes());
}

#[test]
fn long_chains_of_aliases_do_not_overflow_the_stack() {
    let link = |number: usize| format!("a{number}: &a{number} [*a{}]\n", number - 1);
    let chain: String = (1..9000).map(link).collect();
    refused(format!("a0: &a0 [x]\n{chain}w: {{type: python, config: {{k: *a8999}}}}\n").as_bytes());
}

#[test]
fn too_many_keys_and_too_many_bytes_are_refused() {
    let keys: String = (0..100_000).map(|number| format!("k{number}: v\n")).collect();
    refused(keys.as_bytes());
    refused(&vec![b'a'; 50_000_000]);
}

#[test]
fn endless_scalars_and_lines_are_refused_and_shown_in_part() {
    for text in ["www:\n  type: x", "www:\n  type: \"x", "x", "www:\n  type: |\n    x", "a: b : "] {
        refused(format!("{text}{}", "y".repeat(MAX_BYTES - 100)).as_bytes());
    }
}

#[test]
fn no_grammar_mistake_repeated_many_times_takes_long() {
    let parts =
        ["a: [\n", "a: 'x\n", "'a'#x\n", "a:\n   b: c\n  d: e\n", "\tb: c\n", "---\n", "%\n", "*a ", "&a ", "!a "];
    for part in parts {
        refused(repeated(part).as_bytes());
        refused(part.repeat(60_000 / part.len()).as_bytes());
    }
    for bytes in [&b"\0"[..], b"\x01", b"\xff"] {
        refused(&bytes.repeat(MAX_BYTES));
    }
}
