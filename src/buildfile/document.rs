//! From text to tree in spite of mistakes: reads, mends or sets aside, and reads again.

use super::diagnostic::Diagnostic;
use super::node::{NodeId, Tree};
use super::repair;
use super::scan::{Failure, Scanned, SyntaxError, scan};
use super::source::Source;
use super::syntax;

/// How often one file is read again, at most, after an edit. Each reading is linear in the file's
/// length; the longest real file has 4 KiB.
const MAX_EDITS: usize = 32;
const LONG: usize = 64 * 1024;
const MAX_EDITS_OF_LONG: usize = 2;

/// What could be read.
pub(super) struct Document {
    pub(super) tree: Tree,
    pub(super) root: Option<NodeId>,
    /// False when some of the text is not YAML: then the tree lacks a part of it.
    pub(super) whole: bool,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// Reads as much of a text as possible.
pub(super) fn read(source: &Source) -> Document {
    let edits = if source.text().len() > LONG { MAX_EDITS_OF_LONG } else { MAX_EDITS };
    let text = source.text().to_owned();
    let mut reading = Reading { source, text, edits, tabs: false, diagnostics: Vec::new() };
    loop {
        let scanned = scan(source, &reading.text);
        if let Some(document) = reading.step(scanned) {
            return document;
        }
        reading.edits -= 1;
    }
}

struct Reading<'s> {
    source: &'s Source<'s>,
    /// The text as mended so far.
    text: String,
    /// Edits that are still allowed.
    edits: usize,
    /// Tabs were found and replaced.
    tabs: bool,
    diagnostics: Vec<Diagnostic>,
}

impl Reading<'_> {
    /// Judges one pass. `None`: the text was changed and should be read again.
    fn step(&mut self, mut scanned: Scanned) -> Option<Document> {
        let failure = scanned.failure.take();
        if !self.tabs && self.edits > 0 && self.replace_tabs(&scanned, failure.as_ref()) {
            return None;
        }
        match failure {
            None => {
                let whole = self.diagnostics.is_empty() && !scanned.refused;
                self.diagnostics.append(&mut scanned.diagnostics);
                let diagnostics = std::mem::take(&mut self.diagnostics);
                Some(Document { tree: scanned.tree, root: scanned.root, whole, diagnostics })
            }
            Some(Failure::Limit(diagnostic)) => {
                self.diagnostics.push(diagnostic);
                Some(self.give_up())
            }
            Some(Failure::Syntax(error)) => self.syntax_error(&error),
        }
    }

    fn syntax_error(&mut self, error: &SyntaxError) -> Option<Document> {
        if self.edits > 0 && repair::tolerate(&mut self.text, error) {
            return None;
        }
        if let Some(tabs) = repair::separating_tabs(&self.text, error.at).filter(|_| self.edits > 0) {
            self.diagnostics.push(syntax::tab_before_value(self.source.span(tabs.clone())));
            repair::blank(&mut self.text, tabs);
            return None;
        }
        let anchor_may_be_set_aside = syntax::is_unknown_anchor(error) && !self.diagnostics.is_empty();
        // Nobody knows how many spaces a tab was meant to be.
        let from_tabs = self.tabs && syntax::is_about_columns(error);
        if !anchor_may_be_set_aside && !from_tabs {
            self.diagnostics.push(syntax::explain(self.source, error));
        }
        let set_aside = self.edits > 0 && repair::blank_entry(&mut self.text, error);
        if set_aside { None } else { Some(self.give_up()) }
    }

    /// Reports and replaces tabs in the indentation, once. When the reading failed, they are
    /// its cause only if they come before that place or in the line behind it.
    fn replace_tabs(&mut self, scanned: &Scanned, failure: Option<&Failure>) -> bool {
        let indents = repair::tab_indents(self.source, &scanned.verbatim);
        let Some(first) = indents.first().cloned() else { return false };
        if let Some(Failure::Syntax(error)) = failure {
            let last = self.source.line_at(error.at) + 1;
            if self.source.line_at(first.start) > last {
                return false;
            }
        }
        let message = "This line is indented with a tab";
        let others = match indents.len() - 1 {
            0 => String::new(),
            1 => "; 1 more line begins with one".to_owned(),
            more => format!("; {more} more lines begin with one"),
        };
        let hint = format!("YAML is indented with spaces only: replace every leading tab{others}");
        self.diagnostics.push(Diagnostic::error(self.source.span(first), message).hint(hint));
        for indent in indents {
            repair::blank(&mut self.text, indent);
        }
        self.tabs = true;
        true
    }

    fn give_up(&mut self) -> Document {
        let diagnostics = std::mem::take(&mut self.diagnostics);
        Document { tree: Tree::default(), root: None, whole: false, diagnostics }
    }
}
