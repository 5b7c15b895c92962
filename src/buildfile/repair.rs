//! Edits that make an unreadable text readable, so that one mistake does not hide the others.
//!
//! Every edit keeps the length of the text: a byte offset in the edited text is the same place
//! in the user's file.

use std::ops::Range;

use super::scan::SyntaxError;
use super::source::Source;

/// The indentation of every line that begins with a tab and is not blank; a comment counts too. Lines inside
/// `verbatim`, where indentation means nothing, are left out.
pub(super) fn tab_indents(source: &Source, verbatim: &[Range<usize>]) -> Vec<Range<usize>> {
    (0..source.lines())
        .filter_map(|number| {
            let content = source.content(number);
            let indent = source.line(number).start..content.start;
            let text = source.text();
            let counts = !content.is_empty() && text[indent.clone()].contains('\t');
            (counts && !verbatim.iter().any(|range| range.start < indent.start && indent.start < range.end))
                .then_some(indent)
        })
        .collect()
}

/// Overwrites these bytes with spaces; line breaks stay.
pub(super) fn blank(text: &mut String, bytes: Range<usize>) {
    let blank: String = text[bytes.clone()]
        .bytes()
        .map(|byte| if matches!(byte, b'\n' | b'\r') { char::from(byte) } else { ' ' })
        .collect();
    text.replace_range(bytes, &blank);
}

/// Mends what PyYAML, and so the platform, read without complaint. False when it is not that.
pub(super) fn tolerate(text: &mut String, error: &SyntaxError) -> bool {
    if let Some(tabs) = error.open_flow.and_then(|_| separating_tabs(text, error.at)) {
        blank(text, tabs);
        return true;
    }
    let dedented = error.info == "invalid indentation" || error.info == "invalid indentation in flow construct";
    if let Some(start) = error.open_flow.filter(|_| dedented) {
        return join_lines(text, start);
    }
    if error.info.contains("comments must be separated") {
        return drop_comment(text, error.at);
    }
    if error.info == "invalid indentation in quoted scalar" {
        return join_quoted(text, error.at);
    }
    false
}

/// `'value'#note`: the comment goes.
fn drop_comment(text: &mut String, at: usize) -> bool {
    if !text[at..].starts_with('#') {
        return false;
    }
    let length = text[at..].find(['\n', '\r']).unwrap_or(text.len() - at);
    blank(text, at..at + length);
    true
}

/// True when a service begins in the stretch: then not the columns are wrong, but the quote or
/// bracket before it was meant to end earlier.
fn swallows_entry(stretch: &str) -> bool {
    stretch.split(['\n', '\r']).skip(1).any(|line| {
        let name = line.trim_end().strip_suffix(':').unwrap_or_default();
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    })
}

/// Stands for a line break inside quotes. No text has it: control characters are refused.
pub(super) const JOINT: char = '\u{1}';

/// A quoted text may go on in any column. Its line breaks become joints, which `fold` reads.
fn join_quoted(text: &mut String, start: usize) -> bool {
    let quote = text.as_bytes()[start];
    let mut end = start + 1;
    while let Some(&byte) = text.as_bytes().get(end) {
        match byte {
            b'\\' if quote == b'"' => end += 1,
            byte if byte == quote => break,
            _ => {}
        }
        end += 1;
    }
    let Some(quoted) = text.get(start..end).filter(|quoted| !swallows_entry(quoted)) else { return false };
    if end >= text.len() {
        return false;
    }
    let joined = quoted.replace("\r\n", " \u{1}").replace(['\r', '\n'], "\u{1}");
    let changed = joined != quoted;
    text.replace_range(start..end, &joined);
    changed
}

/// Folds the lines of a quoted text as YAML does: a break is a space, and of several all but the
/// first stay.
pub(super) fn fold(text: &str) -> String {
    let mut lines = text.split(JOINT);
    let mut folded = lines.next().unwrap_or_default().trim_end_matches([' ', '\t']).to_owned();
    let mut empty = 0;
    let mut rest = lines.peekable();
    while let Some(line) = rest.next() {
        let line = line.trim_start_matches([' ', '\t']);
        let last = rest.peek().is_none();
        let line = if last { line } else { line.trim_end_matches([' ', '\t']) };
        if line.is_empty() && !last {
            empty += 1;
            continue;
        }
        folded.push_str(&if empty == 0 { " ".to_owned() } else { "\n".repeat(empty) });
        folded.push_str(line);
        empty = 0;
    }
    folded
}

/// The white space between `:` or `-` and what begins at `start`, if there is a tab in it:
/// `type:<tab>python`.
pub(super) fn separating_tabs(text: &str, start: usize) -> Option<Range<usize>> {
    let before = text.get(..start)?;
    let kept = before.trim_end_matches(['\t', ' ']);
    (kept.ends_with([':', '-', '?']) && before[kept.len()..].contains('\t')).then_some(kept.len()..start)
}

/// Inside brackets lines may begin in any column: from the bracket at `start` to its counterpart
/// the text becomes one line, without comments.
fn join_lines(text: &mut String, start: usize) -> bool {
    let mut joined = String::new();
    let (mut quote, mut comment, mut before, mut depth, mut closed) = (None, false, ' ', 0_usize, false);
    for c in text[start..].chars() {
        let starts_token = before.is_whitespace() || "[{,:".contains(before);
        match (quote, c) {
            _ if comment => comment = !matches!(c, '\n' | '\r'),
            (Some(open), _) if open == c => quote = None,
            (None, '"' | '\'') if starts_token => quote = Some(c),
            (None, '#') if before.is_whitespace() => comment = true,
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        let keep = !comment && (quote.is_some() || !matches!(c, '\n' | '\r'));
        if keep {
            joined.push(c);
        } else {
            joined.extend(std::iter::repeat_n(' ', c.len_utf8()));
        }
        if depth == 0 && matches!(c, ']' | '}') && quote.is_none() && !comment {
            closed = true;
            break;
        }
        before = c;
    }
    let bytes = start..start + joined.len();
    if !closed || swallows_entry(&text[bytes.clone()]) || joined == text[bytes.clone()] {
        return false;
    }
    text.replace_range(bytes, &joined);
    true
}

/// Overwrites the top-level entries a syntax error lies in, so that the others can be checked.
/// False when nothing is left to overwrite.
pub(super) fn blank_entry(text: &mut String, error: &SyntaxError) -> bool {
    let entry = {
        let source = Source::new(text);
        let begins = |number: &usize| {
            let line = source.line(*number);
            source.text()[line].starts_with(|c: char| !c.is_whitespace() && c != '#')
        };
        let from = error.open_flow.unwrap_or(error.at).min(error.at);
        let first = (0..=source.line_at(from)).rev().find(begins).unwrap_or(0);
        let next = (source.line_at(error.at) + 1..source.lines()).find(begins);
        source.line(first).start..next.map_or(text.len(), |number| source.line(number).start)
    };
    if text[entry.clone()].trim().is_empty() {
        return false;
    }
    blank(text, entry);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joining_drops_comments_and_keeps_quoted_texts_and_the_length() {
        let mut text = "[ a, # é\n 'x # y',\n# b]\n c]".to_owned();
        let length = text.len();
        assert!(join_lines(&mut text, 0));
        assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["[", "a,", "'x", "#", "y',", "c]"]);
        assert_eq!(text.len(), length);
    }

    #[test]
    fn quoted_lines_fold_as_in_yaml() {
        let folded = |text: &str| fold(&text.replace('\n', "\u{1}"));
        assert_eq!(folded("a \n  b"), "a b");
        assert_eq!(folded("a\n\n\nb\n c "), "a\n\nb c ");
        assert_eq!(folded("a\n"), "a ");
        let mut text = "k: \"a\\\"\r\nb\" c".to_owned();
        assert!(join_quoted(&mut text, 3));
        assert_eq!(text, "k: \"a\\\" \u{1}b\" c");
    }

    #[test]
    fn only_indentation_counts_as_tab_indentation() {
        let text = "a:\n\tb: c\t\n \t# note\n\t\n  \td: e\n";
        let source = Source::new(text);
        let lines = |verbatim: Vec<Range<usize>>| {
            let indents = tab_indents(&source, &verbatim).into_iter();
            indents.map(|indent| source.line_at(indent.start) + 1).collect::<Vec<_>>()
        };
        assert_eq!(lines(Vec::new()), [2, 3, 5]);
        assert_eq!(lines(vec![1..text.find("#").unwrap_or(0); 1]), [5]);
    }
}
