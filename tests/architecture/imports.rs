//! Reads `crate::` paths out of Rust text, `use` groups and long chains of `super` included.

/// Every path below `crate::` that the code names, without the `crate::`. A path that leaves
/// the crate's rooms through `super` counts as naming the root: `(super)`.
pub fn of(code: &str, depth: usize) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '$') {
            paths(&mut code[at + "crate::".len()..].chars().peekable(), "", &mut found);
        }
    }
    if code.contains(&"super::".repeat(depth)) {
        found.push("(super)".to_owned());
    }
    found
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Reads `a::b::{c, d::e}` into `a::b::c` and `a::b::d::e`.
fn paths(chars: &mut Chars<'_>, prefix: &str, found: &mut Vec<String>) {
    let mut path = prefix.to_owned();
    loop {
        skip_space(chars);
        if chars.next_if_eq(&'{').is_some() {
            return group(chars, &path, found);
        }
        let word = word(chars);
        if word.is_empty() {
            break;
        }
        path = if path.is_empty() { word } else { format!("{path}::{word}") };
        if chars.next_if_eq(&':').is_none() || chars.next_if_eq(&':').is_none() {
            break;
        }
    }
    found.push(path);
}

fn group(chars: &mut Chars<'_>, prefix: &str, found: &mut Vec<String>) {
    loop {
        skip_space(chars);
        match chars.peek() {
            None => return,
            Some('}') => {
                chars.next();
                return;
            }
            Some(',') => {
                chars.next();
            }
            Some(_) => {
                paths(chars, prefix, found);
                // `as name`, `*` and the like end at the next separator.
                while chars.next_if(|c| *c != ',' && *c != '}').is_some() {}
            }
        }
    }
}

fn word(chars: &mut Chars<'_>) -> String {
    std::iter::from_fn(|| chars.next_if(|c| c.is_alphanumeric() || *c == '_')).collect()
}

fn skip_space(chars: &mut Chars<'_>) {
    while chars.next_if(|c| c.is_whitespace()).is_some() {}
}

#[test]
fn groups_and_plain_paths_are_read() {
    let code = "use crate::model::{AppName, names::{A as B, C},\n group::*};\nlet x = crate::plan::go();";
    assert_eq!(of(code, 2), ["model::AppName", "model::names::A", "model::names::C", "model::group", "plan::go"]);
}

#[test]
fn a_chain_of_supers_to_the_root_is_noticed() {
    assert_eq!(of("use super::super::docker;", 2), ["(super)"]);
    assert!(of("use super::super::names;", 3).is_empty());
    assert!(of("$crate::x; mycrate::y;", 2).is_empty());
}
