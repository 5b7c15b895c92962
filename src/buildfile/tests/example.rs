//! The example that people start from.

use super::*;

const EXAMPLE: &str = include_str!("../../../dotcloud.yml.example");

#[test]
fn example_is_valid_and_shows_every_key() {
    let stack = stack(EXAMPLE);
    let shown = |key: &&&str| EXAMPLE.lines().any(|line| line.trim_start().starts_with(&format!("{key}:")));
    let missing: Vec<_> = KNOWN_KEYS.iter().filter(|key| !shown(key)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(stack.services.len(), 5);
}

#[test]
fn example_names_every_type_that_is_not_retired() {
    for name in crate::model::PLATFORM_TYPES.iter().filter(|name| !["opa", "mysql-masterslave"].contains(name)) {
        let named = |line: &str| line.split([' ', ',', '.', ':']).any(|word| word == *name);
        assert!(EXAMPLE.lines().any(named), "{name}");
    }
}
