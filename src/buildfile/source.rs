//! The text of a build file and the way from byte offsets to lines and columns.

use std::ops::Range;

use super::diagnostic::Span;

/// A text whose lines are known. Line breaks are `\n`, `\r\n` and a lone `\r`, as in YAML.
pub(super) struct Source<'a> {
    text: &'a str,
    /// Offset of every line's first byte.
    starts: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let is_break = |at: usize| match bytes[at] {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        };
        let starts = std::iter::once(0).chain((0..bytes.len()).filter(|&at| is_break(at)).map(|at| at + 1));
        Self { text, starts: starts.collect() }
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// The number of lines; a text that ends with a line break has an empty last one.
    pub(super) fn lines(&self) -> usize {
        self.starts.len()
    }

    /// The line (from 0) that holds this byte.
    pub(super) fn line_at(&self, offset: usize) -> usize {
        self.starts.partition_point(|&start| start <= offset) - 1
    }

    /// The bytes of a line (from 0) without its line break.
    pub(super) fn line(&self, number: usize) -> Range<usize> {
        let start = self.starts[number];
        let end = self.starts.get(number + 1).copied().unwrap_or(self.text.len());
        start..start + self.text[start..end].trim_end_matches(['\n', '\r']).len()
    }

    /// The bytes of a line without the white space around its content.
    pub(super) fn content(&self, number: usize) -> Range<usize> {
        let line = self.line(number);
        let text = &self.text[line.clone()];
        let start = line.start + (text.len() - text.trim_start_matches([' ', '\t']).len());
        start..start + self.text[start..line.end].trim_end().len()
    }

    /// The place of a stretch of bytes, cut at the end of its first line. Offsets between or
    /// behind characters are moved to the nearest character.
    pub(super) fn span(&self, bytes: Range<usize>) -> Span {
        let start = self.text.floor_char_boundary(bytes.start.min(self.text.len()));
        let number = self.line_at(start);
        let line = self.line(number);
        let start = start.min(line.end);
        let end = self.text.ceil_char_boundary(bytes.end).clamp(start, line.end);
        let column = self.text[line.start..start].chars().count() + 1;
        let end_column = column + self.text[start..end].chars().count();
        Span { start, end, line: number + 1, column, end_column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line_break_ends_a_line() {
        let source = Source::new("a\nbé\r\nc\rd");
        assert_eq!(source.lines(), 4);
        let lines: Vec<&str> = (0..4).map(|n| &source.text[source.line(n)]).collect();
        assert_eq!(lines, ["a", "bé", "c", "d"]);
        let span = source.span(3..100);
        assert_eq!((span.line, span.column, span.end_column), (2, 2, 3));
    }
}
