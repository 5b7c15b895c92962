//! Typed reading of a tree: mappings with merge keys, texts, lists. What does not fit is noted
//! with its place, and the reading goes on.

use std::collections::HashMap;
use std::ops::Range;

use super::diagnostic::{Diagnostic, Span, quoted};
use super::node::{Content, NodeId, Tree};
use super::source::Source;

/// Nodes looked at while following aliases and merge keys: stops small files that stand for
/// enormous ones.
const MAX_VISITS: usize = 200_000;
/// Merge keys and aliases inside each other.
const MAX_DEPTH: usize = 32;

/// One `key: value`.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_bytes: Range<usize>,
    pub(super) value: NodeId,
}

/// Reads values and collects findings.
pub(super) struct Reader<'a> {
    source: &'a Source<'a>,
    pub(super) tree: &'a Tree,
    /// The service that is being read, as written.
    pub(super) service: Option<String>,
    pub(super) diagnostics: Vec<Diagnostic>,
    visits: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a Source<'a>, tree: &'a Tree) -> Self {
        Self { source, tree, service: None, diagnostics: Vec::new(), visits: 0 }
    }

    pub(super) fn error(&mut self, bytes: Range<usize>, message: impl Into<String>, hint: impl Into<String>) {
        let diagnostic = Diagnostic::error(self.source.span(bytes), message).hint(hint);
        self.note(diagnostic);
    }

    pub(super) fn warn(&mut self, bytes: Range<usize>, message: impl Into<String>, hint: impl Into<String>) {
        let diagnostic = Diagnostic::warning(self.source.span(bytes), message).hint(hint);
        self.note(diagnostic);
    }

    fn note(&mut self, mut diagnostic: Diagnostic) {
        diagnostic.service.clone_from(&self.service);
        self.diagnostics.push(diagnostic);
    }

    pub(super) fn span(&self, bytes: Range<usize>) -> Span {
        self.source.span(bytes)
    }

    /// The line (from 1) a place is in.
    pub(super) fn line(&self, bytes: &Range<usize>) -> usize {
        self.source.span(bytes.clone()).line
    }

    /// Where to point at for a value: at the value when it stands in its key's line, else at the key.
    pub(super) fn place(&self, entry: &Entry) -> Range<usize> {
        let node = self.tree.node(entry.value);
        let same_line = self.source.line_at(node.bytes.start) == self.source.line_at(entry.key_bytes.start);
        let absent = matches!(&node.content, Content::Scalar { text, plain: true } if text.is_empty());
        if same_line && !absent && !node.bytes.is_empty() { node.bytes.clone() } else { entry.key_bytes.clone() }
    }

    /// The place of an item of a list.
    pub(super) fn item_place(&self, id: NodeId) -> Range<usize> {
        let bytes = self.tree.node(id).bytes.clone();
        bytes.start..bytes.end.max(bytes.start + 1)
    }

    /// False, with an error, once too much has been read.
    pub(super) fn visit(&mut self, at: &Range<usize>) -> bool {
        self.visits += 1;
        if self.visits == MAX_VISITS {
            let hint = "Write the values out instead of repeating aliases of aliases";
            self.error(at.clone(), "The aliases of this file stand for too many values", hint);
        }
        self.visits < MAX_VISITS
    }

    /// The entries of a mapping, merged ones included, each key once. An absent value has none.
    pub(super) fn entries(&mut self, owner: &Entry, what: &str) -> Vec<Entry> {
        match self.tree.content(owner.value) {
            Content::Mapping(_) => self.mapping(owner.value),
            _ if self.tree.is_nothing(owner.value) => Vec::new(),
            other => {
                let hint = format!("Write \"{}:\" and below it, indented, one \"name: value\" a line", owner.key);
                let message = format!("{what} must be a mapping, not {}", kind(other));
                self.error(self.place(owner), message, hint);
                Vec::new()
            }
        }
    }

    /// The entries of a mapping node.
    pub(super) fn mapping(&mut self, id: NodeId) -> Vec<Entry> {
        let mut gathered = Gathered::default();
        self.gather(id, &mut gathered, 0);
        gathered.entries
    }

    /// Explicit keys first, for they win over merged ones.
    fn gather(&mut self, id: NodeId, into: &mut Gathered, depth: usize) {
        let tree = self.tree;
        let Content::Mapping(pairs) = tree.content(id) else { return };
        let mut merges = Vec::new();
        let mut here = HashMap::new();
        for &(key, value) in pairs {
            let key_bytes = self.item_place(key);
            if !self.visit(&key_bytes) {
                return;
            }
            match tree.content(key) {
                Content::Scalar { text, plain: true } if text == "<<" => merges.push((key_bytes, value)),
                Content::Scalar { text, plain } => {
                    if text.is_empty() && *plain {
                        self.error(key_bytes.clone(), "A key is missing before the colon", "Write \"key: value\"");
                    }
                    let entry = Entry { key: text.clone(), key_bytes, value };
                    self.add(entry, into, &mut here);
                }
                // Refused by the scan already.
                _ => {}
            }
        }
        for (key_bytes, value) in merges {
            self.merge(key_bytes, value, into, depth);
        }
    }

    fn add(&mut self, entry: Entry, into: &mut Gathered, here: &mut HashMap<String, Range<usize>>) {
        if let Some(first) = here.get(&entry.key) {
            let first = self.source.span(first.clone());
            let message = format!("Duplicate key {}", quoted(&entry.key));
            let hint =
                format!("It is already given at line {}, column {}: keep one of the two", first.line, first.column);
            return self.error(entry.key_bytes, message, hint);
        }
        here.insert(entry.key.clone(), entry.key_bytes.clone());
        if into.keys.insert(entry.key.clone()) {
            into.entries.push(entry);
        }
    }

    fn merge(&mut self, key_bytes: Range<usize>, value: NodeId, into: &mut Gathered, depth: usize) {
        let tree = self.tree;
        let hint = "Write \"<<: *anchor\", where the anchor marks a mapping";
        match tree.content(value) {
            _ if depth >= MAX_DEPTH => self.error(key_bytes, "Merge keys are nested too deeply", hint),
            Content::Mapping(_) => self.gather(value, into, depth + 1),
            Content::Sequence(items) => {
                for &item in items {
                    match tree.content(item) {
                        Content::Mapping(_) => self.gather(item, into, depth + 1),
                        _ => self.error(self.item_place(item), "Only mappings can be merged", hint),
                    }
                }
            }
            _ => self.error(key_bytes, "Only mappings can be merged", hint),
        }
    }

    /// A text, as written; numbers and booleans are texts too. `None` when absent or no text.
    pub(super) fn text(&mut self, entry: &Entry) -> Option<String> {
        if self.tree.is_nothing(entry.value) {
            let message = format!("{} has no value and is ignored", quoted(&entry.key));
            self.warn(entry.key_bytes.clone(), message, "Give it a value or remove the line");
            return None;
        }
        match self.tree.content(entry.value) {
            Content::Scalar { text, .. } => Some(text.clone()),
            other => {
                let message = format!("{} must be plain text, not {}", quoted(&entry.key), kind(other));
                let hint = format!("Write \"{}: value\" in one line", entry.key);
                self.error(self.place(entry), message, hint);
                None
            }
        }
    }

    /// A list of texts. A lone text is taken as the words of a list, with a warning.
    pub(super) fn list(&mut self, entry: &Entry) -> Vec<String> {
        let tree = self.tree;
        let hint = format!("Write \"{}:\" and below it, indented, one \"- item\" a line", entry.key);
        match tree.content(entry.value) {
            Content::Sequence(items) => items.iter().filter_map(|&item| self.item(item, &entry.key)).collect(),
            _ if tree.is_nothing(entry.value) => Vec::new(),
            Content::Scalar { text, .. } => {
                let message = format!("{} should be a list", quoted(&entry.key));
                self.warn(self.place(entry), message, hint);
                text.split_whitespace().map(str::to_owned).collect()
            }
            other => {
                let message = format!("{} must be a list, not {}", quoted(&entry.key), kind(other));
                self.error(self.place(entry), message, hint);
                Vec::new()
            }
        }
    }

    fn item(&mut self, id: NodeId, list: &str) -> Option<String> {
        let place = self.item_place(id);
        if !self.visit(&place) {
            return None;
        }
        if self.tree.is_nothing(id) {
            let message = format!("An item of {} has no value and is ignored", quoted(list));
            self.warn(place, message, "Give it a value or remove the line");
            return None;
        }
        match self.tree.content(id) {
            Content::Scalar { text, .. } => Some(text.clone()),
            other => {
                let message = format!("An item of {} must be plain text, not {}", quoted(list), kind(other));
                self.error(place, message, "Put the item in quotes if it contains \": \"");
                None
            }
        }
    }

    /// Any value: scalars as text, the rest in its shape.
    pub(super) fn value(&mut self, id: NodeId) -> serde_json::Value {
        self.value_at(id, 0)
    }

    fn value_at(&mut self, id: NodeId, depth: usize) -> serde_json::Value {
        let place = self.item_place(id);
        if !self.visit(&place) {
            return serde_json::Value::Null;
        }
        if depth > MAX_DEPTH {
            self.error(place, "Values are nested too deeply", "Write the values out instead of aliases of aliases");
            return serde_json::Value::Null;
        }
        match self.tree.content(id) {
            Content::Sequence(items) => items.iter().map(|&item| self.value_at(item, depth + 1)).collect(),
            Content::Mapping(_) => {
                self.mapping(id).into_iter().map(|entry| (entry.key, self.value_at(entry.value, depth + 1))).collect()
            }
            Content::Scalar { text, .. } => serde_json::Value::String(text.clone()),
            Content::Alias(_) => serde_json::Value::Null,
        }
    }
}

/// Entries in order, and which keys are among them.
#[derive(Default)]
struct Gathered {
    entries: Vec<Entry>,
    keys: std::collections::HashSet<String>,
}

/// How a value is called in a message.
pub(super) fn kind(content: &Content) -> &'static str {
    match content {
        Content::Scalar { .. } => "plain text",
        Content::Sequence(_) => "a list",
        Content::Mapping(_) => "a mapping",
        Content::Alias(_) => "an alias",
    }
}
