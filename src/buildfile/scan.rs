//! Text to tree: drives the YAML parser's events, within limits.
//!
//! The events are pulled one by one and kept on a stack of our own, so that no nesting of the
//! text can nest calls.

use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::diagnostic::{Diagnostic, quoted};
use super::node::{Content, Node, NodeId, Tree};
use super::repair;
use super::source::Source;
use super::syntax;

/// Deeper nesting than this has no meaning in a build file.
const MAX_DEPTH: usize = 32;
/// More keys and values than this are refused: about a hundred times the largest real file.
const MAX_NODES: usize = 50_000;

/// What one pass over the text found.
#[derive(Default)]
pub(super) struct Scanned {
    pub(super) tree: Tree,
    /// `None` when the text holds no document, only comments.
    pub(super) root: Option<NodeId>,
    /// Quoted texts, block texts and `[…]`/`{…}`: where indentation means nothing.
    pub(super) verbatim: Vec<Range<usize>>,
    /// Findings that do not stop the reading.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Something is grammatical today for which PyYAML, and so the platform, refused the document.
    pub(super) refused: bool,
    /// Where the reading stopped.
    pub(super) failure: Option<Failure>,
}

pub(super) enum Failure {
    /// Not YAML, in the YAML parser's words.
    Syntax(SyntaxError),
    /// A limit of ours.
    Limit(Diagnostic),
}

pub(super) struct SyntaxError {
    pub(super) at: usize,
    pub(super) info: String,
    /// Where the outermost `[` or `{` stands that is still open.
    pub(super) open_flow: Option<usize>,
}

/// Reads the first document of `text`: the source's text, or an edited one of the same length.
/// Places are told in the source.
pub(super) fn scan(source: &Source, text: &str) -> Scanned {
    let mut builder = Builder::new(source, text);
    for event in Parser::new_from_str(text) {
        let outcome = match event {
            Ok((event, span)) => builder.take(event, span.start, span.end),
            Err(error) => Err(builder.syntax_error(*error.marker(), error.info())),
        };
        if let Err(failure) = outcome {
            builder.scanned.failure = Some(failure);
            break;
        }
    }
    builder.finish()
}

/// Character numbers, which the YAML parser counts in, to byte offsets.
struct Offsets {
    /// Empty for a text of ASCII alone, where both are the same.
    bytes: Vec<u32>,
    end: usize,
}

/// A collection whose end has not been seen yet.
struct Open {
    id: NodeId,
    /// The key that waits for its value.
    key: Option<NodeId>,
    /// Written in brackets.
    flow: bool,
    /// A template's placeholder, not a mapping.
    placeholder: bool,
}

struct Builder<'s> {
    source: &'s Source<'s>,
    text: &'s str,
    offsets: Offsets,
    scanned: Scanned,
    open: Vec<Open>,
    /// Anchors by the parser's number.
    anchors: HashMap<usize, NodeId>,
    documents: usize,
}

// === impl Offsets ===

impl Offsets {
    fn new(text: &str) -> Self {
        let bytes = if text.is_ascii() { Vec::new() } else { text.char_indices().map(|(at, _)| at as u32).collect() };
        Self { bytes, end: text.len() }
    }

    fn byte(&self, marker: Marker) -> usize {
        if self.bytes.is_empty() {
            return marker.index().min(self.end);
        }
        self.bytes.get(marker.index()).map_or(self.end, |&at| at as usize)
    }
}

// === impl Builder ===

impl<'s> Builder<'s> {
    fn new(source: &'s Source<'s>, text: &'s str) -> Self {
        Self {
            source,
            text,
            offsets: Offsets::new(text),
            scanned: Scanned::default(),
            open: Vec::new(),
            anchors: HashMap::new(),
            documents: 0,
        }
    }

    fn take(&mut self, event: Event, start: Marker, end: Marker) -> Result<(), Failure> {
        let start = self.offsets.byte(start);
        let bytes = start..self.offsets.byte(end).max(start);
        match event {
            Event::DocumentStart(_) => return self.begin_document(bytes),
            Event::Scalar(..) | Event::Alias(_) | Event::SequenceStart(..) | Event::MappingStart(..) => {
                self.check_separation(bytes.start);
                return self.take_node(event, bytes);
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(&bytes),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn take_node(&mut self, event: Event, bytes: Range<usize>) -> Result<(), Failure> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                if style != ScalarStyle::Plain {
                    self.scanned.verbatim.push(bytes.clone());
                }
                self.check_tag(tag.as_deref(), &bytes);
                let joined = self.text[bytes.clone()].contains(repair::JOINT);
                let text = if joined { repair::fold(&text) } else { text.into_owned() };
                let content = Content::Scalar { text, plain };
                self.place(bytes, content, anchor)?;
            }
            Event::Alias(anchor) => self.place_alias(anchor, bytes)?,
            Event::SequenceStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), &bytes);
                self.begin(bytes, Content::Sequence(Vec::new()), anchor)?;
            }
            Event::MappingStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), &bytes);
                self.begin(bytes, Content::Mapping(Vec::new()), anchor)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Outside brackets a tab cannot stand between `:` or `-` and what follows it in the line.
    fn check_separation(&mut self, start: usize) {
        if self.open.iter().any(|open| open.flow) {
            return;
        }
        let Some(tabs) = repair::separating_tabs(self.text, start) else { return };
        self.scanned.refused = true;
        self.scanned.diagnostics.push(syntax::tab_before_value(self.source.span(tabs)));
    }

    fn begin_document(&mut self, bytes: Range<usize>) -> Result<(), Failure> {
        self.documents += 1;
        if self.documents == 1 {
            return Ok(());
        }
        let hint = "Describe all services in one mapping, and remove the \"---\" between them";
        let message = "A build file holds one document; a second one begins here";
        Err(Failure::Limit(Diagnostic::error(self.source.span(bytes), message).hint(hint)))
    }

    /// Adds a node where the next one belongs.
    fn place(&mut self, bytes: Range<usize>, content: Content, anchor: usize) -> Result<NodeId, Failure> {
        if self.scanned.tree.len() >= MAX_NODES {
            let message = format!("A build file holds at most {MAX_NODES} keys and values");
            return Err(Failure::Limit(Diagnostic::error(self.source.span(bytes), message)));
        }
        let id = self.scanned.tree.add(Node { bytes, content });
        if anchor > 0 {
            self.anchors.insert(anchor, id);
        }
        self.attach(id);
        Ok(id)
    }

    /// A collection as a key: nearly always a template's placeholder, `{{ name }}`.
    fn refuse_key(&mut self, id: NodeId) {
        self.scanned.refused = true;
        let at = self.scanned.tree.node(id).bytes.start;
        let text = self.text;
        let placeholder = text[at..].starts_with('{') && text[..at].ends_with('{');
        if let Some(open) = self.open.last_mut() {
            open.placeholder |= placeholder;
        }
        let diagnostic = if placeholder {
            let end = text[at..].find("}}").map_or(at + 1, |length| at + length + 2);
            let hint = "Replace the placeholder by its value, or put it in quotes: \"{{ name }}\"";
            Diagnostic::error(self.source.span(at - 1..end), "A template's placeholder is left in the file").hint(hint)
        } else {
            Diagnostic::error(self.source.span(at..at + 1), "A key must be plain text, not a list or a mapping")
        };
        self.scanned.diagnostics.push(diagnostic);
    }

    fn attach(&mut self, id: NodeId) {
        let awaits_key = self.open.last().is_some_and(|open| open.key.is_none());
        let collection = matches!(self.scanned.tree.content(id), Content::Sequence(_) | Content::Mapping(_));
        let parent = self.open.last().map(|open| &self.scanned.tree.node(open.id).content);
        if awaits_key && collection && matches!(parent, Some(Content::Mapping(_))) {
            self.refuse_key(id);
        }
        let Some(open) = self.open.last_mut() else {
            self.scanned.root = Some(id);
            return;
        };
        match &mut self.scanned.tree.node_mut(open.id).content {
            Content::Sequence(items) => items.push(id),
            Content::Mapping(entries) => match open.key.take() {
                Some(key) => entries.push((key, id)),
                None => open.key = Some(id),
            },
            Content::Scalar { .. } | Content::Alias(_) => {}
        }
    }

    fn place_alias(&mut self, anchor: usize, bytes: Range<usize>) -> Result<(), Failure> {
        let target = self.anchors.get(&anchor).copied();
        let content = match target {
            Some(target) if !self.open.iter().any(|open| open.id == target) => Content::Alias(target),
            _ => {
                let message = "This alias stands inside the value it refers to";
                self.scanned.diagnostics.push(Diagnostic::error(self.source.span(bytes.clone()), message));
                Content::Scalar { text: String::new(), plain: true }
            }
        };
        self.place(bytes, content, 0).map(drop)
    }

    fn begin(&mut self, bytes: Range<usize>, content: Content, anchor: usize) -> Result<(), Failure> {
        if self.open.len() >= MAX_DEPTH {
            let message = format!("Values are nested deeper than {MAX_DEPTH} levels");
            return Err(Failure::Limit(Diagnostic::error(self.source.span(bytes), message)));
        }
        let flow = self.text[bytes.clone()].ends_with(['[', '{']);
        let id = self.place(bytes, content, anchor)?;
        self.open.push(Open { id, key: None, flow, placeholder: false });
        Ok(())
    }

    fn end(&mut self, bytes: &Range<usize>) {
        let Some(open) = self.open.pop() else { return };
        if open.flow {
            let text = self.text;
            let node = self.scanned.tree.node_mut(open.id);
            node.bytes.end = bytes.end.max(node.bytes.start);
            if open.placeholder {
                let text = text[node.bytes.clone()].to_owned();
                node.content = Content::Scalar { text, plain: false };
            }
            self.scanned.verbatim.push(node.bytes.clone());
        }
    }

    /// Tags of the core types change nothing, for the text is kept as written; others ask for
    /// something the platform never had.
    fn check_tag(&mut self, tag: Option<&Tag>, bytes: &Range<usize>) {
        const HARMLESS: &[&str] = &["str", "int", "float", "bool", "null", "seq", "map", "timestamp"];
        let Some(tag) = tag else { return };
        if tag.is_yaml_core_schema() && HARMLESS.contains(&tag.suffix.as_str()) {
            return;
        }
        let written = self.text[bytes.clone()].split_whitespace().find(|word| word.starts_with('!'));
        let message = format!("Unknown tag {}", quoted(written.unwrap_or("!")));
        let hint = "Remove it, or put the value in quotes if the \"!\" belongs to it";
        self.scanned.diagnostics.push(Diagnostic::error(self.source.span(bytes.clone()), message).hint(hint));
    }

    fn syntax_error(&self, marker: Marker, info: &str) -> Failure {
        let open_flow = self.open.iter().find(|open| open.flow);
        Failure::Syntax(SyntaxError {
            at: self.offsets.byte(marker),
            info: info.to_owned(),
            open_flow: open_flow.map(|open| self.scanned.tree.node(open.id).bytes.start),
        })
    }

    fn finish(mut self) -> Scanned {
        // Where an open bracket ends is not known: no tab behind it is to blame yet.
        let end = self.text.len();
        let still_open = self.open.iter().filter(|open| open.flow);
        let ranges = still_open.map(|open| self.scanned.tree.node(open.id).bytes.start..end);
        self.scanned.verbatim.extend(ranges);
        self.scanned
    }
}
