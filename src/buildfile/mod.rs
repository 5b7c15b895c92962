//! Understands build files, `dotcloud.yml`: text in, services and findings out.
//!
//! A file is read to its end whatever is wrong with it, and every finding is data with a place.
//! The room is pure: it must not know where the text comes from or whether a folder exists, and
//! nothing in a text may cost it more than a fixed amount of time and memory.

mod approot;
mod diagnostic;
mod document;
mod exported;
mod folders;
mod keys;
mod node;
mod outline;
mod ports;
mod reader;
mod render;
mod repair;
mod scan;
mod service;
mod source;
mod suggest;
mod syntax;
mod values;

#[cfg(test)]
mod tests;

pub use diagnostic::{Diagnostic, Severity, Span};
pub use keys::KNOWN_KEYS;
pub use outline::{ApprootText, InstancesText, Outline};
pub use render::render;

use document::Document;
use node::{Content, NodeId};
use reader::{Entry, Reader};
use source::Source;

use crate::model::Stack;

/// Longer build files are refused, in bytes. The longest real one has 4 KiB.
pub const MAX_BYTES: usize = 1024 * 1024;
/// More findings than this help nobody; one more says how many were left out.
const MAX_DIAGNOSTICS: usize = 100;

/// What a build file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parsed {
    /// The services to build and run; `None` when there is an error.
    pub stack: Option<Stack>,
    /// The services as written, errors or not. Empty when the text is not YAML.
    pub services: Vec<Outline>,
    /// All findings, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a build file. `more_types` are service types beside the platform's own, from a user's
/// templates. Offsets are counted behind a byte order mark.
pub fn parse(text: &[u8], more_types: &[&str]) -> Parsed {
    let text = match decode(text) {
        Ok(text) => text,
        Err(diagnostics) => return Parsed { diagnostics: tidy(diagnostics), ..Parsed::default() },
    };
    let source = Source::new(text);
    let document = document::read(&source);
    check(&source, document, more_types)
}

fn check(source: &Source, document: Document, more_types: &[&str]) -> Parsed {
    let mut reader = Reader::new(source, &document.tree);
    reader.diagnostics = document.diagnostics;
    let entries = match document.root {
        // What is left after setting broken entries aside may be no mapping: that is no finding.
        Some(root) if !document.whole && !matches!(document.tree.content(root), Content::Mapping(_)) => Vec::new(),
        Some(root) => top_level(&mut reader, root),
        None if document.whole => {
            let hint = "Write a service's name and a colon, and below it, indented, \"type: python\"";
            reader.error(0..0, "The build file is empty", hint);
            Vec::new()
        }
        None => Vec::new(),
    };
    let mut checked = Vec::new();
    for entry in &entries {
        reader.service = Some(entry.key.clone());
        checked.push(service::check(&mut reader, entry, more_types));
    }
    let described = entries.iter().zip(&checked).filter_map(|(entry, one)| Some((entry, one.spec.as_ref()?)));
    ports::warn_of_shared_variables(&mut reader, &described.collect::<Vec<_>>());
    let diagnostics = tidy(reader.diagnostics);
    let usable = document.whole && !diagnostics.iter().any(Diagnostic::is_error);
    let (services, specs): (Vec<_>, Vec<_>) = checked.into_iter().map(|one| (one.outline, one.spec)).unzip();
    let stack = if usable { specs.into_iter().collect::<Option<_>>().map(|services| Stack { services }) } else { None };
    let services = if document.whole { services } else { Vec::new() };
    Parsed { stack, services, diagnostics }
}

/// The services of the document.
fn top_level(reader: &mut Reader, root: NodeId) -> Vec<Entry> {
    let hint = "Write a service's name and a colon, and below it, indented, \"type: python\"";
    let place = reader.item_place(root);
    match reader.tree.content(root) {
        Content::Mapping(entries) if entries.is_empty() => reader.error(place, "The build file names no service", hint),
        Content::Mapping(_) => return reader.mapping(root),
        _ if reader.tree.is_nothing(root) => reader.error(place, "The build file is empty", hint),
        other => {
            let message = format!("A build file must be a mapping of services, not {}", reader::kind(other));
            reader.error(place, message, hint);
        }
    }
    Vec::new()
}

/// The text, or why it is none.
fn decode(bytes: &[u8]) -> Result<&str, Vec<Diagnostic>> {
    if bytes.len() > MAX_BYTES {
        let message = format!("The build file is longer than {} KiB", MAX_BYTES / 1024);
        let hint = "A build file describes services; put data into files of its own";
        return Err(vec![Diagnostic::error(Source::new("").span(0..0), message).hint(hint)]);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => match unprintable(without_mark(text)) {
            diagnostics if diagnostics.is_empty() => Ok(without_mark(text)),
            diagnostics => Err(diagnostics),
        },
        Err(error) => Err(vec![not_utf8(bytes, error.valid_up_to())]),
    }
}

/// The text without a byte order mark, which editors neither show nor count.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn not_utf8(bytes: &[u8], valid: usize) -> Diagnostic {
    let before = String::from_utf8_lossy(&bytes[..valid]);
    let mut span = Source::new(&before).span(valid..valid);
    span.end_column += 1;
    let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    let message = if utf16 { "The file is UTF-16, not UTF-8" } else { "The file is not UTF-8" };
    Diagnostic::error(span, message).hint("Save it again in the encoding UTF-8")
}

/// Control characters, which YAML does not allow anywhere.
fn unprintable(text: &str) -> Vec<Diagnostic> {
    let allowed = |c: char| match c {
        '\t' | '\n' | '\r' | '\u{85}' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        c => !c.is_control(),
    };
    let wrong = text.char_indices().filter(|&(_, c)| !allowed(c)).take(MAX_DIAGNOSTICS + 1);
    let mut wrong = wrong.peekable();
    if wrong.peek().is_none() {
        return Vec::new();
    }
    let source = Source::new(text);
    wrong
        .map(|(at, c)| {
            let message = format!("The character U+{:04X} is not allowed", u32::from(c));
            Diagnostic::error(source.span(at..at + c.len_utf8()), message).hint("Remove it: it is invisible in editors")
        })
        .collect()
}

/// In the order of the text, each once, and not too many. Errors are never left out for warnings.
fn tidy(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut seen = std::collections::HashSet::new();
    diagnostics.retain(|diagnostic| seen.insert((diagnostic.span, diagnostic.message.clone())));
    if diagnostics.len() > MAX_DIAGNOSTICS {
        diagnostics.sort_by_key(|diagnostic| !diagnostic.is_error());
        let left_out = diagnostics.split_off(MAX_DIAGNOSTICS);
        let message = format!("{} more findings are not shown", left_out.len());
        let mut more = Diagnostic::warning(left_out[0].span, message).hint("Mend the ones shown first");
        if left_out.iter().any(Diagnostic::is_error) {
            more.severity = Severity::Error;
        }
        diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
        diagnostics.push(more);
        return diagnostics;
    }
    diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
    diagnostics
}
