//! Exclude patterns as rsync understands them (`--exclude-from`): the first that matches decides.
//!
//! The file is the user's own, but patterns are matched in time proportional to pattern and path,
//! whatever they are.

/// What the platform never uploaded.
const ALWAYS: &[&[u8]] = &[b".git", b".hg", b"*.pyc"];

/// The rules of one upload.
#[derive(Debug)]
pub(super) struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    /// A line that begins with `+ `: what it matches is uploaded whatever later lines say.
    include: bool,
    directories_only: bool,
    reach: Reach,
    tokens: Vec<Token>,
    /// Ends in `/***`: matches the folder and all that is in it.
    with_folder: bool,
}

/// Which part of a path a pattern is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The last component: the pattern has no slash.
    Name,
    /// The whole path: the pattern begins with `/`.
    Path,
    /// The whole path behind an imagined slash: the pattern begins with `**`.
    SlashedPath,
    /// As many components from the end as the pattern has.
    LastComponents(usize),
    /// The path behind any of its slashes: the pattern has `**` inside.
    Anywhere,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// `?`: any byte but a slash.
    One,
    /// `*`: any bytes but slashes.
    Some,
    /// `**`: any bytes.
    Any,
    /// `[…]`: the bytes it admits.
    Class(Box<[bool; 256]>),
}

// === impl Ignore ===

impl Ignore {
    /// The rules of an ignore file's bytes; empty bytes for no file.
    pub(super) fn new(file: &[u8]) -> Self {
        let mut rules: Vec<Rule> = ALWAYS.iter().filter_map(|pattern| Rule::new(pattern, false)).collect();
        for line in file.split(|byte| matches!(byte, b'\n' | b'\r')) {
            match line {
                [] | [b'#' | b';', ..] => {}
                b"!" => rules.truncate(ALWAYS.len()),
                [b'+', b' ', pattern @ ..] => rules.extend(Rule::new(pattern, true)),
                [b'-', b' ', pattern @ ..] | pattern => rules.extend(Rule::new(pattern, false)),
            }
        }
        Self { rules }
    }

    /// Whether an entry stays behind. `path` is relative to the tree, without a leading slash.
    pub(super) fn excludes(&self, path: &[u8], directory: bool) -> bool {
        let deciding = self.rules.iter().find(|rule| rule.matches(path, directory));
        deciding.is_some_and(|rule| !rule.include)
    }
}

// === impl Rule ===

impl Rule {
    /// `None` for an empty pattern, which matches nothing.
    fn new(line: &[u8], include: bool) -> Option<Self> {
        let directories_only = line.len() > 1 && line.ends_with(b"/");
        let pattern = if directories_only { &line[..line.len() - 1] } else { line };
        if pattern.is_empty() {
            return None;
        }
        let anchored = pattern.starts_with(b"/");
        let slashes = pattern.iter().filter(|&&byte| byte == b'/').count();
        let double_star = pattern.windows(2).any(|pair| pair == b"**");
        let reach = match () {
            () if anchored => Reach::Path,
            () if pattern.starts_with(b"**") => Reach::SlashedPath,
            () if double_star => Reach::Anywhere,
            () if slashes > 0 => Reach::LastComponents(slashes + 1),
            () => Reach::Name,
        };
        let wild = pattern.iter().any(|byte| b"*?[".contains(byte));
        let body = if anchored { &pattern[1..] } else { pattern };
        let tokens = if wild { tokens(body)? } else { body.iter().copied().map(Token::Byte).collect() };
        Some(Self { include, directories_only, reach, tokens, with_folder: pattern.ends_with(b"/***") })
    }

    fn matches(&self, path: &[u8], directory: bool) -> bool {
        if self.directories_only && !directory {
            return false;
        }
        let mut text = path.to_vec();
        if self.with_folder && directory {
            text.push(b'/');
        }
        let starts = |count: usize| {
            let mut slashes = path.iter().enumerate().rev().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at + 1);
            match slashes.nth(count - 1) {
                Some(start) => Some(start),
                None => (path.iter().filter(|&&byte| byte == b'/').count() + 1 == count).then_some(0),
            }
        };
        match self.reach {
            Reach::Name => starts(1).is_some_and(|start| whole(&self.tokens, &text[start..])),
            Reach::Path => whole(&self.tokens, &text),
            Reach::SlashedPath => {
                text.insert(0, b'/');
                whole(&self.tokens, &text)
            }
            Reach::LastComponents(count) => starts(count).is_some_and(|start| whole(&self.tokens, &text[start..])),
            Reach::Anywhere => {
                let behind_slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at + 1);
                std::iter::once(0).chain(behind_slashes).any(|start| whole(&self.tokens, &text[start..]))
            }
        }
    }
}

/// A pattern with wildcards in parts; `None` when a `[` is never closed: it matches nothing.
fn tokens(mut pattern: &[u8]) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    while let [first, rest @ ..] = pattern {
        pattern = rest;
        tokens.push(match first {
            b'?' => Token::One,
            b'*' => {
                let more = pattern.iter().take_while(|&&byte| byte == b'*').count();
                pattern = &pattern[more..];
                if more == 0 { Token::Some } else { Token::Any }
            }
            b'[' => {
                let (admitted, rest) = class(pattern)?;
                pattern = rest;
                Token::Class(admitted)
            }
            b'\\' if !pattern.is_empty() => {
                let escaped = pattern[0];
                pattern = &pattern[1..];
                Token::Byte(escaped)
            }
            &byte => Token::Byte(byte),
        });
    }
    Some(tokens)
}

/// The bytes a class admits, and the pattern behind its `]`.
fn class(mut pattern: &[u8]) -> Option<(Box<[bool; 256]>, &[u8])> {
    let mut admitted = Box::new([false; 256]);
    let negated = matches!(pattern.first(), Some(b'!' | b'^'));
    pattern = &pattern[usize::from(negated)..];
    let mut first = true;
    loop {
        match pattern {
            [] => return None,
            [b']', rest @ ..] if !first => {
                if negated {
                    admitted.iter_mut().for_each(|admits| *admits = !*admits);
                }
                admitted[usize::from(b'/')] = false;
                return Some((admitted, rest));
            }
            [b'[', b':', rest @ ..] => pattern = named_class(rest, &mut admitted)?,
            _ => {
                let (low, rest) = class_byte(pattern)?;
                let (high, rest) = match rest {
                    [b'-', after @ ..] if !matches!(after.first(), None | Some(b']')) => class_byte(after)?,
                    _ => (low, rest),
                };
                (low..=high).for_each(|byte| admitted[usize::from(byte)] = true);
                pattern = rest;
            }
        }
        first = false;
    }
}

fn class_byte(pattern: &[u8]) -> Option<(u8, &[u8])> {
    match pattern {
        [b'\\', escaped, rest @ ..] => Some((*escaped, rest)),
        [byte, rest @ ..] => Some((*byte, rest)),
        [] => None,
    }
}

/// `[:alpha:]` and its like, from behind the colon.
fn named_class<'p>(pattern: &'p [u8], admitted: &mut [bool; 256]) -> Option<&'p [u8]> {
    let end = pattern.windows(2).position(|pair| pair == b":]")?;
    let admits: fn(&u8) -> bool = match &pattern[..end] {
        b"alnum" => u8::is_ascii_alphanumeric,
        b"alpha" => u8::is_ascii_alphabetic,
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"cntrl" => u8::is_ascii_control,
        b"digit" => u8::is_ascii_digit,
        b"graph" => u8::is_ascii_graphic,
        b"lower" => u8::is_ascii_lowercase,
        b"print" => |byte| byte.is_ascii_graphic() || *byte == b' ',
        b"punct" => u8::is_ascii_punctuation,
        b"space" => u8::is_ascii_whitespace,
        b"upper" => u8::is_ascii_uppercase,
        b"xdigit" => u8::is_ascii_hexdigit,
        _ => return None,
    };
    (0..=255u8).filter(admits).for_each(|byte| admitted[usize::from(byte)] = true);
    Some(&pattern[end + 2..])
}

/// Whether the tokens match all of the text. Keeps the set of text positions that the tokens so
/// far can have reached, instead of backtracking.
fn whole(tokens: &[Token], text: &[u8]) -> bool {
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for token in tokens {
        match token {
            Token::Some | Token::Any => {
                for at in 0..text.len() {
                    reached[at + 1] |= reached[at] && (*token == Token::Any || text[at] != b'/');
                }
            }
            _ => {
                for at in (0..text.len()).rev() {
                    reached[at + 1] = reached[at] && token.admits(text[at]);
                }
                reached[0] = false;
            }
        }
    }
    reached[text.len()]
}

impl Token {
    fn admits(&self, byte: u8) -> bool {
        match self {
            Self::Byte(own) => *own == byte,
            Self::One => byte != b'/',
            Self::Class(admitted) => admitted[usize::from(byte)],
            Self::Some | Self::Any => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The paths of `paths` that the patterns exclude; a path that ends in `/` is a folder.
    fn excluded<'p>(patterns: &str, paths: &[&'p str]) -> Vec<&'p str> {
        let ignore = Ignore::new(patterns.as_bytes());
        let excluded = |path: &&&str| ignore.excludes(path.trim_end_matches('/').as_bytes(), path.ends_with('/'));
        paths.iter().filter(excluded).copied().collect()
    }

    #[test]
    fn repositories_and_compiled_python_always_stay_behind() {
        let paths = ["a.pyc", "lib/b.pyc", ".git/", "sub/.git", ".hg/", ".gitignore", "a.py", "pyc"];
        assert_eq!(excluded("", &paths), ["a.pyc", "lib/b.pyc", ".git/", "sub/.git", ".hg/"]);
        assert_eq!(excluded("+ .git\n!\n", &paths).len(), 5);
    }

    #[test]
    fn name_without_slash_matches_at_any_depth_and_anchored_only_at_the_root() {
        let paths = ["tmp/", "a/tmp/", "tmpx", "a/tmp/b"];
        assert_eq!(excluded("tmp", &paths), ["tmp/", "a/tmp/"]);
        assert_eq!(excluded("/tmp", &paths), ["tmp/"]);
        assert_eq!(excluded("tmp/b", &paths), ["a/tmp/b"]);
    }

    #[test]
    fn trailing_slash_matches_folders_only() {
        assert_eq!(excluded("log/", &["log/", "log", "a/log/"]), ["log/", "a/log/"]);
    }

    #[test]
    fn stars_stop_at_slashes_and_double_stars_do_not() {
        let paths = ["a/x.o", "a/b/x.o", "x.o", "b/a/x.o"];
        assert_eq!(excluded("a/*.o", &paths), ["a/x.o", "b/a/x.o"]);
        assert_eq!(excluded("/a/**.o", &paths), ["a/x.o", "a/b/x.o"]);
        assert_eq!(excluded("a/**.o", &paths), ["a/x.o", "a/b/x.o", "b/a/x.o"]);
        assert_eq!(excluded("**/x.o", &paths), paths);
        assert_eq!(excluded("/a/***", &["a/", "a/b", "b/a/", "a"]), ["a/", "a/b"]);
    }

    #[test]
    fn classes_question_marks_and_escapes_match_single_characters() {
        let paths = ["a1", "ab", "a-", "a/b", "a*", "a]"];
        assert_eq!(excluded("a[0-9]", &paths), ["a1"]);
        assert_eq!(excluded("a[!0-9]", &paths), ["ab", "a-", "a*", "a]"]);
        assert_eq!(excluded("a[[:alpha:]]", &paths), ["ab"]);
        assert_eq!(excluded("a[]-]", &paths), ["a-", "a]"]);
        assert_eq!(excluded("a?", &paths), ["a1", "ab", "a-", "a*", "a]"]);
        assert_eq!(excluded(r"?\*", &paths), ["a*"]);
        assert_eq!(excluded("a[", &paths), [""; 0]);
    }

    #[test]
    fn first_match_decides_and_includes_keep() {
        let paths = ["keep.log", "a.log", "b.txt"];
        assert_eq!(excluded("# note\n; note\n\n+ keep.log\r\n- *.log\n", &paths), ["a.log"]);
        assert_eq!(excluded("*.log\n+ keep.log\n", &paths), ["keep.log", "a.log"]);
        assert_eq!(excluded("*.log\n!\nb.txt\n", &paths), ["b.txt"]);
    }

    #[test]
    fn many_stars_cost_no_more_than_their_number() {
        let ignore = Ignore::new(format!("{}b", "*a".repeat(200)).as_bytes());
        assert!(!ignore.excludes("a".repeat(4000).as_bytes(), false));
    }
}
