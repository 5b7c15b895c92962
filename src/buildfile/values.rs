//! The mappings of a service: `config`, `environment`, `processes`.

use std::collections::BTreeMap;

use super::diagnostic::quoted;
use super::folders;
use super::keys::KNOWN_KEYS;
use super::node::Content;
use super::ports;
use super::reader::{Entry, Reader, kind};
use crate::model::PortKind;
use crate::model::settings::{Setting, Takes, setting};

/// `config`: what the platform itself understands, and what is the type's.
#[derive(Default)]
pub(super) struct Config {
    pub(super) settings: BTreeMap<String, serde_json::Value>,
    pub(super) shared_folders: BTreeMap<String, String>,
}

pub(super) fn config(reader: &mut Reader, owner: &Entry, type_name: &str) -> Config {
    let mut entries = reader.entries(owner, "\"config\"");
    let shared_folders = folders::read(reader, &entries, type_name);
    entries.retain(|entry| !folders::is_setting(&entry.key));
    Config { settings: settings(reader, entries, type_name), shared_folders }
}

/// Settings of the type. `-` and `_` in keys are the same.
fn settings(reader: &mut Reader, entries: Vec<Entry>, type_name: &str) -> BTreeMap<String, serde_json::Value> {
    let mut config = BTreeMap::new();
    for entry in entries {
        let key = entry.key.replace('-', "_");
        if KNOWN_KEYS.contains(&key.as_str()) {
            let message = format!("{} has no effect inside \"config\"", quoted(&entry.key));
            reader.warn(entry.key_bytes.clone(), message, "Move it out: it belongs beside \"config\"");
        }
        if let Some(setting) = setting(type_name, &key) {
            // A number without a value is one that is not given.
            if matches!(setting.takes, Takes::Number { .. }) && reader.tree.is_nothing(entry.value) {
                continue;
            }
            check_setting(reader, &entry, setting, type_name);
        }
        let value = reader.value(entry.value);
        if config.insert(key, value).is_some() {
            let message = format!("{} is already given in another spelling", quoted(&entry.key));
            reader.warn(entry.key_bytes, message, "\"-\" and \"_\" are the same here: keep one of the two");
        }
    }
    config
}

/// A word that nobody understands must not decide whether writes are safe, and a server must not
/// be found unable to start with it.
fn check_setting(reader: &mut Reader, entry: &Entry, setting: &Setting, type_name: &str) {
    let text = match reader.tree.content(entry.value) {
        Content::Scalar { text, .. } => text.as_str(),
        other => kind(other),
    };
    let plain = matches!(reader.tree.content(entry.value), Content::Scalar { .. });
    if matches!(setting.takes, Takes::Anything) || (plain && setting.takes.accepts(text)) {
        return;
    }
    let (place, written) = (reader.place(entry), quoted(text));
    let cannot = format!("\"{}\" of {type_name} cannot be {written}", entry.key);
    match setting.takes {
        Takes::Number { least, most } => {
            let hint = format!("Write a whole number from {least} to {most} ({})", setting.unit);
            reader.error(place, cannot, hint);
        }
        Takes::Word(words) => {
            let choice: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            reader.error(place, cannot, format!("Write one of {}", choice.join(", ")));
        }
        Takes::Truth { else_is } => {
            let message = format!("\"{}\" of {type_name} is no yes or no: {written} counts as {else_is}", entry.key);
            reader.warn(place, message, "Write true or false");
        }
        Takes::Anything => {}
    }
}

/// Variables; what is no text becomes JSON, so that programs can read it back.
pub(super) fn environment(
    reader: &mut Reader,
    owner: &Entry,
    ports: &BTreeMap<String, PortKind>,
) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    for entry in reader.entries(owner, "\"environment\"") {
        if !check_variable(reader, &entry) {
            continue;
        }
        ports::check_variable(reader, &entry, ports);
        let value = match reader.tree.content(entry.value) {
            Content::Scalar { text, .. } => text.clone(),
            other => {
                let message = format!(
                    "The value of {} is {}; programs get it as JSON",
                    quoted(&entry.key),
                    super::reader::kind(other)
                );
                reader.warn(reader.place(&entry), message, "Put the value in quotes to give it as you write it");
                reader.value(entry.value).to_string()
            }
        };
        environment.insert(entry.key, value);
    }
    environment
}

fn check_variable(reader: &mut Reader, entry: &Entry) -> bool {
    let name = entry.key.as_str();
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        let message = format!("{} is not a variable's name", quoted(name));
        reader.error(entry.key_bytes.clone(), message, "Use A-Z, a-z, 0-9 and _");
        return false;
    }
    if name.starts_with("DOTCLOUD_") {
        let message = format!("{} belongs to the platform", quoted(name));
        reader.error(entry.key_bytes.clone(), message, "Names that begin with DOTCLOUD_ cannot be set: choose another");
        return false;
    }
    true
}

/// Commands by name.
pub(super) fn commands(reader: &mut Reader, owner: &Entry) -> BTreeMap<String, String> {
    let mut commands = BTreeMap::new();
    for entry in reader.entries(owner, "\"processes\"") {
        if entry.key.contains([' ', '\t', ':', '/', '[', ']', '\n', '\r']) {
            let message = format!("{} is not a process's name", quoted(&entry.key));
            let hint = "The supervisor takes no spaces, colons, slashes or brackets in names";
            reader.error(entry.key_bytes.clone(), message, hint);
        }
        if let Some(command) = reader.text(&entry) {
            commands.insert(entry.key, command);
        }
    }
    commands
}
