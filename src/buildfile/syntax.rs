//! The YAML parser's complaints in words that help somebody who does not know YAML's grammar.

use super::diagnostic::{Diagnostic, Span, quoted};
use super::scan::SyntaxError;
use super::source::Source;

pub(super) fn is_unknown_anchor(error: &SyntaxError) -> bool {
    error.info.contains("unknown anchor")
}

/// A tab between `:` or `-` and what follows: YAML 1.2 allows it, the platform's YAML did not.
pub(super) fn tab_before_value(span: Span) -> Diagnostic {
    Diagnostic::error(span, "A tab stands before the value").hint("Replace it with a space")
}

/// True for what a wrong number of spaces before a line can cause.
pub(super) fn is_about_columns(error: &SyntaxError) -> bool {
    const SAID: &[&str] =
        &["expected key", "mapping values", "invalid indentation", "expect ':'", "expected '-'", "':' "];
    SAID.iter().any(|said| error.info.contains(said))
}

/// Words one syntax error. What is not known here is passed on as the YAML parser said it.
pub(super) fn explain(source: &Source, error: &SyntaxError) -> Diagnostic {
    let place = Place { source, error };
    let info = error.info.as_str();
    let says = |part: &str| info.contains(part);
    if error.open_flow.is_some() && (says("flow") || is_about_columns(error)) {
        return place.open_bracket();
    }
    if says("':' ") || says("expect ':'") || says("expected ':'") {
        return place.missing_colon();
    }
    if says("mapping values are not allowed") {
        return place.second_colon();
    }
    if says("did not find expected key") || info == "invalid indentation" {
        return place.misaligned();
    }
    if says("unexpected end of stream") || says("unexpected document indicator") {
        return place.line("This quote is never closed", "Close it with the same quote at the end of the value");
    }
    place.word_by_table()
}

/// What the parser says, how we say it, and what to do.
const WORDINGS: &[(&str, &str, &str)] = &[
    (
        "unknown anchor",
        "This alias refers to an anchor that does not exist",
        "If the \"*\" belongs to the value, put the value in quotes",
    ),
    ("unexpected character", "A value cannot begin with this character", "Put the value in quotes"),
    (
        "block sequence entries are not allowed",
        "A list cannot begin in the line of its key",
        "Put each \"- item\" in a line of its own, below the key",
    ),
    ("misplaced bracket", "This bracket was never opened", "Remove it, or put the value in quotes"),
    (
        "trailing content after",
        "There is text behind the closing quote",
        "Put the whole value in quotes of the other kind, or write a quote inside '…' twice",
    ),
    (
        "unknown escape character",
        "Unknown escape sequence in a value in double quotes",
        "Use single quotes, in which \"\\\" is an ordinary character",
    ),
    ("comments must be separated", "A comment needs a space before its \"#\"", "Add a space before the \"#\""),
    ("comment intercepting", "The value goes on behind a comment", "Move the comment to a line of its own"),
    (
        "expected '-' indicator",
        "A list item must begin with \"- \"",
        "Begin the line with \"- \", in the column of the other items",
    ),
    ("expected node content", "A value is missing here", "If the character belongs to the value, put it in quotes"),
    (
        "invalid indentation in quoted scalar",
        "This quote is not closed in its line",
        "Close it, or indent the lines in which the value goes on",
    ),
    ("recursion limit", "Values are nested too deeply", "A build file needs four levels"),
    (
        "expected <document start>",
        "The document has already ended here",
        "Remove what follows, or mend the indentation",
    ),
    ("byte order mark", "There is a byte order mark inside the file", "Remove the invisible character U+FEFF"),
];

struct Place<'a> {
    source: &'a Source<'a>,
    error: &'a SyntaxError,
}

impl Place<'_> {
    /// From the error's place to the end of its line.
    fn line(&self, message: impl Into<String>, hint: impl Into<String>) -> Diagnostic {
        let content = self.source.content(self.source.line_at(self.error.at));
        let start = self.error.at.clamp(content.start, content.end);
        Diagnostic::error(self.source.span(start..content.end), message).hint(hint)
    }

    fn word_by_table(&self) -> Diagnostic {
        let known = WORDINGS.iter().find(|(said, ..)| self.error.info.contains(said));
        match known {
            Some(&(_, message, hint)) => self.line(message, hint),
            None => self.line(format!("This is not YAML: {}", self.error.info), "Put special characters in quotes"),
        }
    }

    /// A line without a colon where `key: value` is expected. The parser notices it later.
    fn missing_colon(&self) -> Diagnostic {
        let mut number = self.source.line_at(self.error.at);
        let has_text = |number| !self.source.content(number).is_empty();
        if self.error.at <= self.source.content(number).start {
            number = (0..number).rev().find(|&earlier| has_text(earlier)).unwrap_or(number);
        }
        let content = self.source.content(number);
        let text = &self.source.text()[content.clone()];
        let span = self.source.span(content);
        let hint = match text.split_once(':') {
            Some((key, value)) if value.starts_with(|c: char| !c.is_whitespace()) && !key.contains(' ') => {
                format!("A space must follow the colon: write \"{key}: {value}\"")
            }
            _ => "Write \"key: value\", or \"key:\" with indented lines below it".to_owned(),
        };
        Diagnostic::error(span, format!("Expected \"key: value\", found {}", quoted(text))).hint(hint)
    }

    fn second_colon(&self) -> Diagnostic {
        let number = self.source.line_at(self.error.at);
        let content = self.source.content(number);
        let before = self.source.text().get(content.start..self.error.at).unwrap_or_default();
        if before.contains(": ") || before.starts_with("- ") {
            let hint = "Put the value in quotes if the colon belongs to it, else begin a new line for the second key";
            return self.line("A second \": \" in one line", hint);
        }
        let span = self.source.span(content);
        let hint = "The key above already has a value: give this line the indentation of that key";
        Diagnostic::error(span, "This line is indented too deeply").hint(hint)
    }

    fn misaligned(&self) -> Diagnostic {
        let content = self.source.content(self.source.line_at(self.error.at));
        let message = "This line does not line up with any line above it";
        let hint = "All keys of one mapping begin in the same column, and all \"-\" of one list";
        Diagnostic::error(self.source.span(content), message).hint(hint)
    }

    fn open_bracket(&self) -> Diagnostic {
        let Some(node) = self.error.open_flow else {
            return self.word_by_table();
        };
        // An anchor or a tag may stand before the bracket.
        let text = self.source.text().get(node..).unwrap_or_default();
        let at = node + text.find(['[', '{']).unwrap_or(0);
        let list = self.source.text().get(at..).is_some_and(|text| text.starts_with('['));
        let (open, closing) = if list { ("[", "]") } else { ("{", "}") };
        let here = self.source.span(self.error.at..self.error.at + 1);
        let hint = format!("Expected \",\" or \"{closing}\" at line {}, column {}", here.line, here.column);
        let message = format!("The list or mapping that this \"{open}\" begins is not closed properly");
        Diagnostic::error(self.source.span(at..at + 1), message).hint(hint)
    }
}
