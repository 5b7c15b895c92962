//! `config.shared_folders`: folders that all instances of a service, and other services that
//! name the same one, have in common.

use std::collections::BTreeMap;

use super::diagnostic::quoted;
use super::reader::{Entry, Reader};
use crate::model::DATA_TYPES;

/// The setting that holds them, inside `config`.
pub(super) const KEY: &str = "shared_folders";

const HOME: &str = "/home/dotcloud/";
/// What the platform or the build puts into the home folder.
const TAKEN: &[&str] =
    &["code", "current", "env", "data", ".dotcloud", "environment.json", "environment.yml", "environment.yaml"];
const LONGEST_PATH: usize = 255;

/// Name -> absolute path, of the entries of `config`. Also warns of settings that were probably
/// meant to be this one.
pub(super) fn read(reader: &mut Reader, config: &[Entry], type_name: &str) -> BTreeMap<String, String> {
    let Some(owner) = config.iter().find(|entry| is_setting(&entry.key)) else {
        warn_about_slips(reader, config);
        return BTreeMap::new();
    };
    if DATA_TYPES.contains(&type_name) {
        let message = format!("A service of type {} has no shared folders", quoted(type_name));
        let hint = "Name them in the code services that use them: a data service keeps its files by itself";
        reader.error(owner.key_bytes.clone(), message, hint);
        return BTreeMap::new();
    }
    let mut folders = BTreeMap::new();
    for entry in reader.entries(owner, "\"shared_folders\"") {
        let named = check_name(reader, &entry);
        let Some(path) = check_path(reader, &entry) else { continue };
        if named && is_free(reader, &entry, &path, &folders) {
            folders.insert(entry.key, path);
        }
    }
    folders
}

/// Both spellings are one, as everywhere in `config`.
pub(super) fn is_setting(key: &str) -> bool {
    key.replace('-', "_") == KEY
}

fn warn_about_slips(reader: &mut Reader, config: &[Entry]) {
    for entry in config {
        let plain = entry.key.replace('-', "_").to_lowercase();
        if strsim::damerau_levenshtein(&plain, KEY) <= 2 {
            let message = format!("The platform does not know {}", quoted(&entry.key));
            reader.warn(entry.key_bytes.clone(), message, format!("Did you mean \"{KEY}\"?"));
        }
    }
}

fn check_name(reader: &mut Reader, entry: &Entry) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if (1..=32).contains(&entry.key.len()) && entry.key.chars().all(allowed) {
        return true;
    }
    let message = format!("{} is not a shared folder's name", quoted(&entry.key));
    let near: String = entry.key.to_lowercase().replace([' ', '.', '/'], "-").chars().filter(|c| allowed(*c)).collect();
    let near: String = near.trim_matches('-').chars().take(32).collect();
    let rule = "A name has 1 to 32 characters of a-z, 0-9, - and _";
    let hint = if near.is_empty() { rule.to_owned() } else { format!("{rule}. Did you mean \"{near}\"?") };
    reader.error(entry.key_bytes.clone(), message, hint);
    false
}

/// The path in its shortest form.
fn check_path(reader: &mut Reader, entry: &Entry) -> Option<String> {
    if reader.tree.is_nothing(entry.value) {
        let message = format!("The shared folder {} has no path", quoted(&entry.key));
        reader.error(reader.place(entry), message, format!("Write \"{}: ~/store\"", entry.key));
        return None;
    }
    let written = reader.text(entry)?;
    match shortest(&written) {
        Ok(path) => Some(path),
        Err(Refusal { why, hint }) => {
            let message = format!("The shared folder's path {} {why}", quoted(&written));
            reader.error(reader.place(entry), message, hint);
            None
        }
    }
}

/// No folder inside another one: it would depend on their order which is seen.
fn is_free(reader: &mut Reader, entry: &Entry, path: &str, others: &BTreeMap<String, String>) -> bool {
    let within =
        |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|r| r.is_empty() || r.starts_with('/'));
    let Some((other, at)) = others.iter().find(|(_, at)| within(path, at) || within(at, path)) else { return true };
    let message = format!("The shared folders {} and {} are in each other's way", quoted(other), quoted(&entry.key));
    reader.error(reader.place(entry), message, format!("{} is at {at}: choose a path beside it", quoted(other)));
    false
}

/// Why a path is refused, as the end of a sentence.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    why: String,
    hint: String,
}

fn shortest(written: &str) -> Result<String, Refusal> {
    let refuse = |why: &str, hint: String| Err(Refusal { why: why.to_owned(), hint });
    let example = || "Write a path below the home folder, for example ~/store".to_owned();
    if written.len() > LONGEST_PATH {
        return refuse("is too long", example());
    }
    if written.contains(|c: char| c == ':' || c.is_control()) {
        return refuse("has characters that no shared folder may have", example());
    }
    let inside = match written.strip_prefix("~/").or_else(|| written.strip_prefix(HOME)) {
        Some(inside) => inside,
        None if matches!(written.trim_end_matches('/'), "~" | "/home/dotcloud") => "",
        None if written.starts_with(['/', '~']) => return refuse("is not below /home/dotcloud", example()),
        None => return refuse("is not absolute", format!("Did you mean \"~/{}\"?", written.trim_start_matches("./"))),
    };
    let parts: Vec<&str> = inside.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return refuse("contains \"..\"", "Write the path without it".to_owned());
    }
    match parts.first() {
        None => refuse("is the home folder itself", example()),
        Some(first) if TAKEN.contains(first) => {
            let link = match *first {
                "code" | "current" => format!(", and link to it in postinstall: ln -s ~/store ~/{}", parts.join("/")),
                _ => String::new(),
            };
            refuse("belongs to the platform", format!("Choose a folder beside it, for example ~/store{link}"))
        }
        Some(_) => Ok(format!("{HOME}{}", parts.join("/"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below_the_home_folder_are_shortened_and_others_refused() {
        for (written, path) in [
            ("/home/dotcloud/store", "/home/dotcloud/store"),
            ("~/store/", "/home/dotcloud/store"),
            ("~//a/./b", "/home/dotcloud/a/b"),
            ("~/database", "/home/dotcloud/database"),
        ] {
            assert_eq!(shortest(written).unwrap(), path);
        }
        let long = format!("~/{}", "x".repeat(300));
        for written in [
            "",
            "~",
            "~/",
            "/home/dotcloud",
            "/home/dotcloud/",
            "~/.",
            "store",
            "/tmp/x",
            "~other/x",
            "/home/dotcloudx/y",
        ]
        .into_iter()
        .chain(["~/../etc", "~/a/../b", "~/data", "~/data/x", "~/./current/x", "~/.dotcloud", "~/a:b", "~/a\nb"])
        .chain([long.as_str()])
        {
            assert!(shortest(written).is_err(), "{written}");
        }
    }
}
