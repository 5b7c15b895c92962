//! A server's replies: where one ends. Versions 2 and 3 of the protocol at once, because their
//! types do not overlap.

/// A line that says how much follows.
const LINE_MAX: usize = 64;

/// The bytes are not what Redis sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotRedis;

/// Finds the end of one reply after the other, in pieces of any size.
#[derive(Debug)]
pub(super) struct Frames {
    /// Values that are still to come of the reply at hand; 0 between replies.
    values: u64,
    /// Bytes left of the text at hand, its line end included.
    body: u64,
    kind: u8,
    /// The number of the line at hand, as far as it is here; for lines of text only their end counts.
    digits: Vec<u8>,
    in_line: bool,
}

impl Frames {
    pub fn new() -> Self {
        Self { values: 0, body: 0, kind: 0, digits: Vec::new(), in_line: false }
    }

    /// Whether the next byte begins a reply.
    pub fn is_between(&self) -> bool {
        self.values == 0 && self.body == 0 && !self.in_line
    }

    /// Goes on to the end of the reply at hand, or of the bytes. Returns how many bytes belong
    /// to it and whether it is complete.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<(usize, bool), NotRedis> {
        if self.is_between() {
            self.values = 1;
        }
        let mut at = 0;
        while at < bytes.len() {
            if self.body > 0 {
                let skipped = self.body.min((bytes.len() - at) as u64);
                self.body -= skipped;
                at += skipped as usize;
            } else {
                at += self.line(&bytes[at..])?;
            }
            if self.is_between() {
                return Ok((at, true));
            }
        }
        Ok((at, false))
    }

    /// Takes a line, or what is here of it.
    fn line(&mut self, bytes: &[u8]) -> Result<usize, NotRedis> {
        let start = usize::from(!self.in_line);
        if !self.in_line {
            (self.kind, self.in_line) = (bytes[0], true);
            self.digits.clear();
        }
        let end = bytes[start..].iter().position(|byte| *byte == b'\n');
        let here = &bytes[start..end.map_or(bytes.len(), |end| start + end)];
        if !is_text(self.kind) {
            self.digits.extend_from_slice(here);
            if self.digits.len() > LINE_MAX {
                return Err(NotRedis);
            }
        }
        if end.is_some() {
            self.in_line = false;
            self.begun()?;
        }
        Ok(start + here.len() + usize::from(end.is_some()))
    }

    /// A line is complete: how much follows.
    fn begun(&mut self) -> Result<(), NotRedis> {
        match self.kind {
            kind if is_text(kind) => self.values -= 1,
            b'$' | b'=' | b'!' => {
                self.values -= 1;
                self.body = self.count()?.map_or(0, |length| length + 2);
            }
            b'*' | b'~' | b'>' => self.values = self.values - 1 + self.count()?.unwrap_or(0),
            b'%' => self.values = self.values - 1 + 2 * self.count()?.unwrap_or(0),
            // Stands before a value and is none.
            b'|' => self.values += 2 * self.count()?.unwrap_or(0),
            _ => return Err(NotRedis),
        }
        Ok(())
    }

    /// `None` for the null of version 2.
    fn count(&self) -> Result<Option<u64>, NotRedis> {
        let digits = self.digits.strip_suffix(b"\r").ok_or(NotRedis)?;
        let text = std::str::from_utf8(digits).map_err(|_| NotRedis)?;
        let number: i64 = text.parse().map_err(|_| NotRedis)?;
        match number {
            -1 => Ok(None),
            _ => u64::try_from(number).ok().filter(|count| *count <= 1 << 40).map(Some).ok_or(NotRedis),
        }
    }
}

/// Types that are one line.
fn is_text(kind: u8) -> bool {
    b"+-:,#(_".contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLIES: &[&[u8]] = &[
        b"+OK\r\n",
        b"-ERR no\r\n",
        b":12\r\n",
        b"$-1\r\n",
        b"$0\r\n\r\n",
        b"$6\r\na\r\n+b\r\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"*2\r\n*1\r\n:1\r\n$1\r\nx\r\n",
        b"%1\r\n+a\r\n*1\r\n#t\r\n",
        b"|1\r\n+ttl\r\n:3\r\n$1\r\nx\r\n",
        b">3\r\n+message\r\n+c\r\n$2\r\nhi\r\n",
        b"_\r\n",
        b",1.5\r\n",
        b"=7\r\ntxt:abc\r\n",
        b"(123456789012345678901234567890\r\n",
        b"~1\r\n!3\r\nbad\r\n",
    ];

    #[test]
    fn every_reply_ends_where_the_next_begins_however_it_is_cut() {
        for reply in REPLIES {
            for size in 1..=reply.len() {
                let mut frames = Frames::new();
                let both = [*reply, b"+next\r\n"].concat();
                let (mut at, mut done) = (0, false);
                while !done {
                    let piece = &both[at..both.len().min(at + size)];
                    let (taken, over) = frames.scan(piece).unwrap();
                    (at, done) = (at + taken, over);
                }
                assert_eq!(at, reply.len(), "{:?} in pieces of {size}", String::from_utf8_lossy(reply));
                assert!(frames.is_between());
            }
        }
    }

    #[test]
    fn what_is_not_redis_is_noticed() {
        for wrong in [&b"HTTP/1.1 200\r\n"[..], b"$x\r\n", b"*-2\r\n", b"$?\r\n", b"\r\n"] {
            assert_eq!(Frames::new().scan(wrong), Err(NotRedis), "{:?}", String::from_utf8_lossy(wrong));
        }
    }
}
