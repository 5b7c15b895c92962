//! Redis' wire protocol, version 2: as much as the driver's own requests need.

use std::io;

use bytes::{Buf, BytesMut};
use tokio_util::codec::Decoder;

use crate::failover::dialect::{Reply, ServerCommand};

/// A reply larger than this is none of ours.
const LARGEST: usize = 1 << 20;

pub(super) struct Resp;

/// Commands as they are sent, one after the other.
pub(super) fn wire(commands: &[ServerCommand]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for ServerCommand(words) in commands {
        bytes.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
        }
    }
    bytes
}

impl Decoder for Resp {
    type Item = Reply;
    type Error = io::Error;

    fn decode(&mut self, from: &mut BytesMut) -> io::Result<Option<Reply>> {
        let mut reader = Reader { bytes: from, at: 0, depth: 0 };
        let reply = reader.reply()?;
        let used = reader.at;
        if reply.is_some() {
            from.advance(used);
        } else if from.len() > LARGEST {
            return Err(malformed("a reply is too large"));
        }
        Ok(reply)
    }
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads one reply without consuming it; `None` everywhere means that more is to come.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u8,
}

impl Reader<'_> {
    fn reply(&mut self) -> io::Result<Option<Reply>> {
        let Some(line) = self.line()? else { return Ok(None) };
        let (kind, rest) = line.split_at_checked(1).ok_or_else(|| malformed("an empty reply"))?;
        match kind {
            "+" => Ok(Some(Reply::Text(rest.to_owned()))),
            "-" => Ok(Some(Reply::Error(rest.to_owned()))),
            ":" => Ok(Some(Reply::Number(number(rest)?))),
            "$" => self.text(number(rest)?),
            "*" => self.list(number(rest)?),
            _ => Err(malformed("an unknown kind of reply")),
        }
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        let rest = &self.bytes[self.at..];
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        self.at += end + 2;
        String::from_utf8(rest[..end].to_vec()).map(Some).map_err(|_| malformed("a reply is not UTF-8"))
    }

    fn text(&mut self, length: i64) -> io::Result<Option<Reply>> {
        let Ok(length) = usize::try_from(length) else { return Ok(Some(Reply::Nothing)) };
        if length > LARGEST {
            return Err(malformed("a reply is too large"));
        }
        let Some(body) = self.bytes.get(self.at..self.at + length + 2) else { return Ok(None) };
        self.at += length + 2;
        Ok(Some(Reply::Text(String::from_utf8_lossy(&body[..length]).into_owned())))
    }

    fn list(&mut self, length: i64) -> io::Result<Option<Reply>> {
        if length < 0 {
            return Ok(Some(Reply::Nothing));
        }
        self.depth += 1;
        if self.depth > 8 || length > 4096 {
            return Err(malformed("a reply is too deep or too long"));
        }
        let mut items = Vec::new();
        for _ in 0..length {
            let Some(item) = self.reply()? else { return Ok(None) };
            items.push(item);
        }
        self.depth -= 1;
        Ok(Some(Reply::List(items)))
    }
}

fn number(text: &str) -> io::Result<i64> {
    text.parse().map_err(|_| malformed("a number is malformed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Option<Reply> {
        Resp.decode(&mut BytesMut::from(bytes)).unwrap()
    }

    #[test]
    fn replies_of_every_kind_are_read() {
        assert_eq!(decode(b"+PONG\r\n"), Some(Reply::Text("PONG".into())));
        assert_eq!(decode(b"-LOADING wait\r\n"), Some(Reply::Error("LOADING wait".into())));
        assert_eq!(decode(b"$4\r\na\r\nb\r\n"), Some(Reply::Text("a\r\nb".into())));
        assert_eq!(decode(b"$-1\r\n"), Some(Reply::Nothing));
        let list = Reply::List(vec![Reply::Number(7), Reply::Text("x".into())]);
        assert_eq!(decode(b"*2\r\n:7\r\n$1\r\nx\r\n"), Some(list));
    }

    #[test]
    fn a_reply_in_pieces_waits_for_the_rest() {
        let whole = b"*2\r\n:7\r\n$5\r\nhello\r\n";
        for cut in 0..whole.len() {
            let mut bytes = BytesMut::from(&whole[..cut]);
            assert_eq!(Resp.decode(&mut bytes).unwrap(), None, "cut at {cut}");
            assert_eq!(bytes.len(), cut, "nothing is consumed");
        }
    }

    #[test]
    fn what_is_not_redis_is_refused() {
        for wrong in [&b"HTTP/1.1 200\r\n"[..], b"$99999999999\r\n", b":x\r\n", b"\r\n"] {
            assert!(Resp.decode(&mut BytesMut::from(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn commands_are_arrays_of_words() {
        let commands = [ServerCommand(vec!["AUTH".into(), "p w".into()]), ServerCommand::words("PING")];
        assert_eq!(wire(&commands), b"*2\r\n$4\r\nAUTH\r\n$3\r\np w\r\n*1\r\n$4\r\nPING\r\n");
    }
}
