//! Prints a finding the way compilers do: message, place, the line itself, a caret, help.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthChar as _;

use super::diagnostic::{Diagnostic, Severity};

/// Longer lines are shown in part, in characters.
const WINDOW: usize = 120;
/// Characters shown before the place in a line that is shown in part.
const BEFORE: usize = 40;

/// The finding as lines of text that end with a line break. `file` is the name to show, `text` the
/// bytes that were parsed.
pub fn render(diagnostic: &Diagnostic, file: &str, text: &[u8], colour: bool) -> String {
    let style = |style: Style| if colour { style } else { Style::new() };
    let bold = style(Style::new().bold());
    let blue = style(AnsiColor::Blue.on_default().bold());
    let accent = style(match diagnostic.severity {
        Severity::Error => AnsiColor::Red.on_default().bold(),
        Severity::Warning => AnsiColor::Yellow.on_default().bold(),
    });
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let span = &diagnostic.span;
    let number = span.line.to_string();
    let gutter = " ".repeat(number.len());
    let shown = Excerpt::new(line(text, span.line), span.column, span.end_column);
    let (severity, message) = (diagnostic.severity, &diagnostic.message);
    let mut out = format!("{accent}{severity}{accent:#}{bold}: {message}{bold:#}\n");
    let place = format!("{}:{}", span.line, span.column);
    // Writing to a String does not fail.
    let _ = writeln!(out, "{gutter}{blue}-->{blue:#} {file}:{place}");
    let _ = writeln!(out, "{gutter} {blue}|{blue:#}");
    let _ = writeln!(out, "{blue}{number} |{blue:#} {}", shown.line);
    let caret = format!("{}{accent}{}{accent:#}", " ".repeat(shown.before), "^".repeat(shown.marked));
    let _ = writeln!(out, "{gutter} {blue}|{blue:#} {caret}");
    if let Some(hint) = &diagnostic.hint {
        let _ = writeln!(out, "{gutter} {blue}={blue:#} {bold}help{bold:#}: {hint}");
    }
    out
}

/// The bytes of a line (from 1), without its line break. A lone `\r` ends a line too.
fn line(text: &[u8], number: usize) -> &[u8] {
    let mut rest = text;
    for _ in 1..number {
        rest = &rest[line_length(rest)..];
        rest = rest.strip_prefix(b"\r\n".as_slice()).unwrap_or_else(|| rest.get(1..).unwrap_or_default());
    }
    &rest[..line_length(rest)]
}

fn line_length(text: &[u8]) -> usize {
    text.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(text.len())
}

/// A line as it is shown, with widths in terminal cells.
struct Excerpt {
    line: String,
    before: usize,
    marked: usize,
}

impl Excerpt {
    fn new(line: &[u8], column: usize, end_column: usize) -> Self {
        // Four bytes a character at most, and never the whole of an enormous line.
        let line = &line[..line.len().min(4 * (column + WINDOW))];
        let characters: Vec<char> = String::from_utf8_lossy(line).chars().collect();
        let first = if characters.len() <= WINDOW { 1 } else { column.saturating_sub(BEFORE).max(1) };
        let last = first + WINDOW;
        let mut excerpt = Self { line: String::new(), before: 0, marked: 0 };
        if first > 1 {
            excerpt.push('…', 0, 1, 0);
        }
        for (at, &c) in characters.iter().enumerate().map(|(index, c)| (index + 1, c)).skip(first - 1) {
            if at >= last {
                excerpt.line.push('…');
                break;
            }
            excerpt.push(c, at, column, end_column);
        }
        let line = excerpt.line.trim_end().len();
        excerpt.line.truncate(line);
        excerpt.marked = excerpt.marked.max(1);
        excerpt
    }

    fn push(&mut self, c: char, at: usize, column: usize, end_column: usize) {
        let (c, width) = match c {
            '\t' => (' ', 4),
            c if c.is_control() => ('\u{fffd}', 1),
            c => (c, c.width().unwrap_or(1)),
        };
        if c == ' ' {
            self.line.push_str(&" ".repeat(width))
        } else {
            self.line.push(c)
        }
        if at < column {
            self.before += width;
        } else if at < end_column {
            self.marked += width;
        }
    }
}
