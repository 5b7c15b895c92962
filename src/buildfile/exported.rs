//! What build scripts see of a service: `SERVICE_<KEY>`.

use std::collections::BTreeMap;

use super::node::Content;
use super::reader::{Entry, Reader};

/// Build scripts of the time read at most `SERVICE_CONFIG_RUBY_VERSION`.
const MAX_DEPTH: usize = 4;

/// Every scalar as text; one inside a mapping under the names of both, joined by `_`. What no
/// variable's name may contain is `_` too.
pub(super) fn scalars(reader: &mut Reader, entries: &[Entry]) -> BTreeMap<String, String> {
    let mut exported = BTreeMap::new();
    gather(reader, entries, "", 0, &mut exported);
    exported
}

fn gather(reader: &mut Reader, entries: &[Entry], prefix: &str, depth: usize, into: &mut BTreeMap<String, String>) {
    let tree = reader.tree;
    for entry in entries {
        if !reader.visit(&entry.key_bytes) {
            return;
        }
        let name = entry.key.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let key = format!("{prefix}{name}");
        match tree.content(entry.value) {
            Content::Scalar { text, .. } => drop(into.insert(key, text.clone())),
            Content::Mapping(_) if depth < MAX_DEPTH => {
                // Its findings were noted when it was read for its own sake.
                let noted = reader.diagnostics.len();
                let inner = reader.mapping(entry.value);
                reader.diagnostics.truncate(noted);
                gather(reader, &inner, &format!("{key}_"), depth + 1, into);
            }
            _ => {}
        }
    }
}
