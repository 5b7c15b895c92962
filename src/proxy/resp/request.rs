//! A client's requests: where one begins, what it is, where it ends. Bytes are never changed.

use super::command::{Class, LONGEST, classify};

/// As in Redis: a request that is not an array has to fit.
const INLINE_MAX: usize = 64 * 1024;
/// A line with a number.
const LINE_MAX: usize = 32;
/// A `SET` up to this length is searched for the word that makes its reply a value.
const SEARCHED: usize = 1024;

/// What the bytes at hand begin with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// More has to come before anything can be said.
    Incomplete,
    /// A request without words, which is not answered.
    Empty(usize),
    Command(Command),
    Malformed(&'static str),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command {
    pub class: Class,
    /// How many of the bytes at hand belong to it.
    pub here: usize,
    /// What is still to come of it.
    pub rest: Option<Walk>,
}

/// The way through the rest of an array of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Walk {
    words: u64,
    /// Bytes left of the word at hand, its line end included.
    body: u64,
}

impl Head {
    pub fn of(bytes: &[u8]) -> Self {
        match bytes.first() {
            None => Self::Incomplete,
            Some(b'*') => array(bytes),
            Some(_) => inline(bytes),
        }
    }
}

fn array(bytes: &[u8]) -> Head {
    let (count, start) = match number(bytes, b'*') {
        Ok(Some(read)) => read,
        Ok(None) => return Head::Incomplete,
        Err(why) => return Head::Malformed(why),
    };
    let Some(argc) = u64::try_from(count).ok().filter(|count| *count > 0) else { return Head::Empty(start) };
    if argc > i32::MAX as u64 {
        return Head::Malformed("invalid multibulk length");
    }
    let words = match first_words(&bytes[start..], argc) {
        Ok(Some(words)) => words,
        Ok(None) => return Head::Incomplete,
        Err(why) => return Head::Malformed(why),
    };
    let mut rest = Walk { words: argc, body: 0 };
    let here = match rest.advance(&bytes[start..]) {
        Ok(passed) => start + passed,
        Err(why) => return Head::Malformed(why),
    };
    let rest = (!rest.is_over()).then_some(rest);
    let class = with_options(classify(&words, argc), &words, argc, rest.is_none().then_some(&bytes[..here]));
    Head::Command(Command { class, here, rest })
}

/// `SET … GET` answers with the old value, which may be large.
fn with_options(class: Class, words: &[Option<&[u8]>], argc: u64, whole: Option<&[u8]>) -> Class {
    let set = words.first().copied().flatten().is_some_and(|name| name.eq_ignore_ascii_case(b"set"));
    if !set || argc <= 3 {
        return class;
    }
    let get = |bytes: &[u8]| bytes.windows(5).any(|five| five.eq_ignore_ascii_case(b"\nget\r"));
    let short = whole.is_some_and(|bytes| bytes.len() <= SEARCHED && !get(bytes));
    if short { class } else { Class::Write { blocking: false } }
}

/// Up to three words, as far as they may be of interest; `None` when they are not all here.
#[allow(clippy::type_complexity)]
fn first_words(mut bytes: &[u8], argc: u64) -> Result<Option<Vec<Option<&[u8]>>>, &'static str> {
    let mut words: Vec<Option<&[u8]>> = Vec::with_capacity(3);
    for at in 0..argc.min(3) {
        let Some((length, start)) = number(bytes, b'$')? else { return Ok(None) };
        let length = usize::try_from(length).map_err(|_| "invalid bulk length")?;
        if length > LONGEST {
            words.push(None);
            break;
        }
        let Some(word) = bytes.get(start..start + length) else { return Ok(None) };
        let Some(end) = bytes.get(start + length..start + length + 2) else { return Ok(None) };
        if end != b"\r\n" {
            return Err("a word is longer than it says");
        }
        words.push(Some(word));
        bytes = &bytes[start + length + 2..];
        // Only here do further words change what the command is.
        if at == 0 && !word.eq_ignore_ascii_case(b"client") {
            break;
        }
    }
    Ok(Some(words))
}

/// `*12\r\n` -> (12, 5); `None` when the line is not complete.
fn number(bytes: &[u8], kind: u8) -> Result<Option<(i64, usize)>, &'static str> {
    const WRONG: &str = "invalid length";
    match bytes.first() {
        None => return Ok(None),
        Some(first) if *first != kind => return Err("expected '$'"),
        Some(_) => {}
    }
    let Some(end) = bytes.iter().take(LINE_MAX).position(|byte| *byte == b'\n') else {
        return if bytes.len() >= LINE_MAX { Err(WRONG) } else { Ok(None) };
    };
    let digits = bytes[1..end].strip_suffix(b"\r").ok_or(WRONG)?;
    let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).ok_or(WRONG)?;
    Ok(Some((number, end + 1)))
}

fn inline(bytes: &[u8]) -> Head {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        return if bytes.len() > INLINE_MAX { Head::Malformed("too big inline request") } else { Head::Incomplete };
    };
    let line = &bytes[..end];
    let words: Vec<Option<&[u8]>> = line
        .split(|byte| byte.is_ascii_whitespace() || *byte == 0x0b)
        .filter(|word| !word.is_empty())
        .map(Some)
        .collect();
    if words.is_empty() {
        return Head::Empty(end + 1);
    }
    let quoted = |word: &Option<&[u8]>| word.is_some_and(|word| word.iter().any(|byte| b"\"'\\".contains(byte)));
    let is_client = words[0].is_some_and(|name| name.eq_ignore_ascii_case(b"client"));
    // Quotes could hide what is asked for; of other commands only the name says what they are.
    // So could the byte at which Redis stops to read a line.
    if line.contains(&0) || quoted(&words[0]) || is_client && words.iter().take(3).any(quoted) {
        return Head::Malformed("quotes or a NUL where an inline command says what it is");
    }
    let argc = words.len() as u64;
    let class = with_options(classify(&words, argc), &words, argc, None);
    Head::Command(Command { class, here: end + 1, rest: None })
}

// === impl Walk ===

impl Walk {
    pub fn is_over(&self) -> bool {
        self.words == 0 && self.body == 0
    }

    /// Goes on as far as the bytes reach; returns how many belong to the command. A line that is
    /// not complete is left.
    ///
    /// # Errors
    /// What is wrong with a length.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<usize, &'static str> {
        let mut at = 0;
        loop {
            let skipped = self.body.min((bytes.len() - at) as u64);
            at += skipped as usize;
            self.body -= skipped;
            if self.body > 0 || self.words == 0 {
                return Ok(at);
            }
            let Some((length, start)) = number(&bytes[at..], b'$')? else { return Ok(at) };
            self.body = u64::try_from(length).map_err(|_| "invalid bulk length")? + 2;
            self.words -= 1;
            at += start;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(bytes: &[u8]) -> Command {
        match Head::of(bytes) {
            Head::Command(command) => command,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_whole_command_ends_where_the_next_begins() {
        let set = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\n\r\n\r\n\r\n";
        let both = [&set[..], b"PING\r\n"].concat();
        assert_eq!(command(&both), Command { class: Class::ShortWrite, here: set.len(), rest: None });
        assert_eq!(command(b"PING\r\n").here, 6);
        assert_eq!(command(b"get k\n").class, Class::Read { blocking: false });
        assert_eq!(command(b"get \"a key\"\n").class, Class::Read { blocking: false });
    }

    #[test]
    fn a_command_is_known_as_soon_as_its_name_is_here() {
        let set = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$400\r\nxx";
        for end in 0..13 {
            assert_eq!(Head::of(&set[..end]), Head::Incomplete, "{end}");
        }
        let partial = command(&set[..14]);
        assert_eq!((partial.here, partial.class), (13, Class::ShortWrite));
        let mut rest = partial.rest.unwrap();
        assert_eq!(rest.advance(&set[13..]), Ok(set.len() - 13));
        assert!(!rest.is_over());
        assert_eq!(rest.advance(&[b'x'; 400]), Ok(400));
        assert!(rest.is_over());
    }

    #[test]
    fn a_set_that_answers_with_a_value_is_told_from_others() {
        let set = |option: &str| format!("*4\r\n$3\r\nset\r\n$1\r\nk\r\n$1\r\nv\r\n${}\r\n{option}\r\n", option.len());
        assert_eq!(command(set("nx").as_bytes()).class, Class::ShortWrite);
        assert_eq!(command(set("GeT").as_bytes()).class, Class::Write { blocking: false });
    }

    #[test]
    fn requests_without_words_are_passed_on() {
        assert_eq!(Head::of(b"\r\n"), Head::Empty(2));
        assert_eq!(Head::of(b"*0\r\n"), Head::Empty(4));
        assert_eq!(Head::of(b"*-1\r\n"), Head::Empty(5));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let wrong: [&[u8]; 7] = [
            b"*x\r\n",
            b"*1\r\n+x\r\n",
            b"*1\r\n$-1\r\n",
            b"*1\r\n$4\r\nPINGxx",
            b"\"SUBSCRIBE\" x\r\n",
            b"client \"reply\" off\r\n",
            b"client reply off \0\r\n",
        ];
        for bytes in wrong {
            assert!(matches!(Head::of(bytes), Head::Malformed(_)), "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
