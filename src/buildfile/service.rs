//! One service: from its mapping to a `ServiceSpec`.

use std::collections::BTreeMap;

use super::diagnostic::quoted;
use super::keys::{self, KNOWN_KEYS};
use super::node::Content;
use super::outline::{ApprootText, InstancesText, Outline};
use super::reader::{Entry, Reader, kind};
use super::suggest;
use super::{approot, exported, ports, values};
use crate::model::{PLATFORM_TYPES, Processes, RETIRED_TYPES, ServiceName, ServiceSpec};

/// More instances than this are a slip, not a wish.
const MAX_INSTANCES: u32 = 256;

/// What came of one service. `spec` is there when nothing essential is missing; the findings
/// tell whether it may be used.
pub(super) struct Checked {
    pub(super) outline: Outline,
    pub(super) spec: Option<ServiceSpec>,
}

/// Reads a service; `owner` is its entry in the file's mapping.
pub(super) fn check(reader: &mut Reader, owner: &Entry, more_types: &[&str]) -> Checked {
    let name = check_name(reader, owner);
    let mut outline = Outline { name: owner.key.clone(), ..Outline::default() };
    let Some(fields) = Fields::of(reader, owner) else {
        return Checked { outline, spec: None };
    };
    fields.warn_about_slips(reader);
    let type_name = check_type(reader, owner, &fields, more_types);
    outline.type_name = type_name.clone().unwrap_or_default();
    let approot = check_approot(reader, &fields);
    if let (Some(entry), Some(_)) = (fields.get("approot"), &approot) {
        let span = reader.span(reader.place(entry));
        outline.approot = approot.clone().map(|path| ApprootText { path, span });
    }
    let spec = read_spec(reader, &fields, name, type_name, approot);
    if let (Some(entry), Some(spec)) = (fields.get("instances"), &spec) {
        let span = reader.span(reader.place(entry));
        outline.instances = Some(InstancesText { number: spec.instances, span });
    }
    Checked { outline, spec }
}

fn read_spec(
    reader: &mut Reader,
    fields: &Fields,
    name: Option<ServiceName>,
    type_name: Option<String>,
    approot: Option<String>,
) -> Option<ServiceSpec> {
    let instances = fields.get("instances").map_or(Some(1), |entry| check_instances(reader, entry));
    let [prebuild, postbuild, postinstall, buildscript] =
        ["prebuild", "postbuild", "postinstall", "buildscript"].map(|key| fields.text(reader, key));
    if type_name.as_deref() == Some("custom") && buildscript.is_none() {
        let hint = "Name the script that builds it: \"buildscript: builder\"";
        reader.warn(fields.type_place(reader), "A custom service without a \"buildscript\" builds nothing", hint);
    }
    let [systempackages, requirements, exclude_bundler_groups] =
        ["systempackages", "requirements", "exclude_bundler_groups"]
            .map(|key| fields.get(key).map(|entry| reader.list(entry)).unwrap_or_default());
    let type_text = type_name.as_deref().unwrap_or_default();
    let config = fields.get("config").map(|entry| values::config(reader, entry, type_text)).unwrap_or_default();
    let kind = type_name.as_deref();
    let ports = fields.get("ports").map(|entry| ports::ports(reader, entry, kind)).unwrap_or_default();
    let environment = fields.get("environment").map(|entry| values::environment(reader, entry, &ports));
    let processes = check_processes(reader, fields);
    Some(ServiceSpec {
        name: name?,
        type_name: type_name?,
        approot: approot.unwrap_or_else(|| ".".to_owned()),
        instances: instances?,
        prebuild,
        postbuild,
        postinstall,
        buildscript,
        systempackages,
        requirements,
        config: config.settings,
        shared_folders: config.shared_folders,
        environment: environment.unwrap_or_default(),
        ports,
        processes,
        exclude_bundler_groups,
        exported: exported::scalars(reader, &fields.entries),
    })
}

/// The entries of a service.
struct Fields {
    entries: Vec<Entry>,
}

impl Fields {
    /// `None`, with an error, when the service is no mapping.
    fn of(reader: &mut Reader, owner: &Entry) -> Option<Self> {
        let tree = reader.tree;
        let content = tree.content(owner.value);
        if matches!(content, Content::Mapping(_)) {
            return Some(Self { entries: reader.mapping(owner.value) });
        }
        let (message, example) = match content {
            _ if tree.is_nothing(owner.value) => ("is empty".to_owned(), "python"),
            Content::Scalar { text, .. } if PLATFORM_TYPES.contains(&text.as_str()) => {
                ("must be a mapping, not plain text".to_owned(), text.as_str())
            }
            other => (format!("must be a mapping, not {}", kind(other)), "python"),
        };
        let message = format!("Service {} {message}", quoted(&owner.key));
        let hint = match content {
            Content::Scalar { text, .. } if without_space(text).is_some() => {
                format!("A space must follow the colon: write \"{}\"", without_space(text).unwrap_or_default())
            }
            _ => format!("Write \"{}:\" and below it, indented, \"type: {example}\"", owner.key),
        };
        reader.error(reader.place(owner), message, hint);
        None
    }

    fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    fn text(&self, reader: &mut Reader, key: &str) -> Option<String> {
        self.get(key).and_then(|entry| reader.text(entry))
    }

    fn type_place(&self, reader: &Reader) -> std::ops::Range<usize> {
        self.get("type").map_or(0..0, |entry| reader.place(entry))
    }

    fn warn_about_slips(&self, reader: &mut Reader) {
        for entry in self.entries.iter().filter(|entry| !KNOWN_KEYS.contains(&entry.key.as_str())) {
            // A missing type is an error of its own, which names the slip.
            let Some(meant) = keys::meant(&entry.key).filter(|&meant| meant != "type") else { continue };
            if self.get(meant).is_none() {
                let message = format!("The platform has no key {}; only build scripts see it", quoted(&entry.key));
                reader.warn(entry.key_bytes.clone(), message, format!("Did you mean \"{meant}\"?"));
            }
        }
    }
}

/// `type:python` with its space; `None` for other texts.
fn without_space(text: &str) -> Option<String> {
    let (key, value) = text.split_once(':')?;
    KNOWN_KEYS.contains(&key).then(|| format!("{key}: {}", value.split(' ').next().unwrap_or_default()))
}

fn check_name(reader: &mut Reader, owner: &Entry) -> Option<ServiceName> {
    if let Ok(name) = owner.key.parse() {
        return Some(name);
    }
    let message = format!("{} is not a service name", quoted(&owner.key));
    let rule = "A name has 1 to 16 characters of a-z, 0-9 and _";
    let lower = owner.key.to_lowercase().replace(['-', ' ', '.'], "_");
    let allowed = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_';
    let kept: String = lower.chars().filter(allowed).take(16).collect();
    let hint = match kept.trim_matches('_') {
        "" => rule.to_owned(),
        near => format!("{rule}. Did you mean \"{near}\"?"),
    };
    reader.error(owner.key_bytes.clone(), message, hint);
    None
}

/// The type as written, known or not; `None` when there is none.
fn check_type(reader: &mut Reader, owner: &Entry, fields: &Fields, more_types: &[&str]) -> Option<String> {
    let known = || PLATFORM_TYPES.iter().chain(more_types).copied();
    let tree = reader.tree;
    let Some(entry) = fields.get("type").filter(|entry| !tree.is_nothing(entry.value)) else {
        let near = fields.entries.iter().find(|entry| keys::meant(&entry.key) == Some("type"));
        let hint = match near {
            Some(near) => format!("Write \"type\" instead of \"{}\"", near.key),
            None => format!("Add a line \"type: …\" with one of {}", listed(known())),
        };
        let place = fields.get("type").map_or(&owner.key_bytes, |entry| &entry.key_bytes);
        reader.error(place.clone(), format!("Service {} has no type", quoted(&owner.key)), hint);
        return None;
    };
    let written = reader.text(entry)?;
    if !known().any(|name| name == written) {
        let hint = match suggest::nearest(&written, known()) {
            Some(near) => format!("Did you mean \"{near}\"?"),
            None => format!("Known types: {}", listed(known())),
        };
        reader.error(reader.place(entry), format!("Unknown service type {}", quoted(&written)), hint);
    } else if RETIRED_TYPES.contains(&written.as_str()) && !more_types.contains(&written.as_str()) {
        let message = format!("The service type {} has been retired", quoted(&written));
        reader.warn(reader.place(entry), message, "Use a custom service with a build script");
    }
    Some(written)
}

fn listed<'t>(types: impl Iterator<Item = &'t str>) -> String {
    let mut types: Vec<&str> = types.collect();
    types.sort_unstable();
    types.dedup();
    types.join(", ")
}

/// The approot in its shortest form; `None` when there is none or it leads out of the tree.
fn check_approot(reader: &mut Reader, fields: &Fields) -> Option<String> {
    let entry = fields.get("approot")?;
    let written = reader.text(entry)?;
    match approot::shortest(&written) {
        Ok(path) => Some(path),
        Err(why) => {
            let message = format!("The approot {} {why}", quoted(&written));
            let hint =
                "Give a folder relative to the build file, inside its folder; leave it out for the folder itself";
            reader.error(reader.place(entry), message, hint);
            None
        }
    }
}

fn check_instances(reader: &mut Reader, entry: &Entry) -> Option<u32> {
    if reader.tree.is_nothing(entry.value) {
        return reader.text(entry).map_or(Some(1), |_| None);
    }
    let written = reader.text(entry)?;
    let digits = !written.is_empty() && written.bytes().all(|byte| byte.is_ascii_digit());
    match written.parse().ok().filter(|_| digits) {
        Some(number @ 1..=MAX_INSTANCES) => Some(number),
        _ => {
            let message = format!("{} is not a number of instances", quoted(&written));
            let hint = format!("Write a number from 1 to {MAX_INSTANCES}; `dotcloud scale` changes it later");
            reader.error(reader.place(entry), message, hint);
            None
        }
    }
}

/// `process` and `processes`, each of which may be written as the other.
fn check_processes(reader: &mut Reader, fields: &Fields) -> Processes {
    let tree = reader.tree;
    let given = |key| fields.get(key).filter(|entry| !tree.is_nothing(entry.value));
    if let (Some(process), Some(processes)) = (given("process"), given("processes")) {
        let [first, second] = if process.key_bytes.start < processes.key_bytes.start {
            [process, processes]
        } else {
            [processes, process]
        };
        let hint = format!("Keep one of the two; {} is at line {}", quoted(&first.key), reader.line(&first.key_bytes));
        reader.error(second.key_bytes.clone(), "\"process\" and \"processes\" exclude each other", hint);
    }
    let Some(entry) = given("processes").or_else(|| given("process")) else {
        return Processes::Unset;
    };
    match tree.content(entry.value) {
        Content::Scalar { text, .. } => {
            if entry.key == "processes" {
                let hint = "Write \"process: command\" for a single one";
                reader.warn(reader.place(entry), "\"processes\" should be a mapping of names to commands", hint);
            }
            Processes::Single(text.clone())
        }
        Content::Sequence(_) => {
            let message = format!("{} must not be a list: every process has a name", quoted(&entry.key));
            let hint = "Write \"processes:\" and below it, indented, one \"name: command\" a line";
            reader.error(reader.place(entry), message, hint);
            Processes::Unset
        }
        _ => Processes::Named(values::commands(reader, entry).into_iter().collect::<BTreeMap<_, _>>()),
    }
}
