//! Redis spoken by hand: one connection, one command at a time, nothing repeated.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A logged-in connection.
#[derive(Debug)]
pub struct Redis {
    stream: BufReader<TcpStream>,
}

/// A server's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Simple strings and integers, as text.
    Text(String),
    Bulk(Option<Vec<u8>>),
    List(Vec<Reply>),
    /// `READONLY You can't write against a read only replica.`
    Error(String),
}

impl Redis {
    pub fn connect(addr: SocketAddr, password: &str, patience: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, patience)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        let mut redis = Self { stream: BufReader::new(stream) };
        match redis.call(&["AUTH", password])? {
            Reply::Text(_) => Ok(redis),
            refused => Err(io::Error::other(format!("AUTH: {refused:?}"))),
        }
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.stream.get_ref().local_addr().unwrap()
    }

    pub fn call(&mut self, command: &[&str]) -> io::Result<Reply> {
        self.send(command)?;
        self.reply()
    }

    /// Asks without waiting for the answer.
    pub fn send(&mut self, command: &[&str]) -> io::Result<()> {
        let mut wire = format!("*{}\r\n", command.len());
        for part in command {
            wire.push_str(&format!("${}\r\n{part}\r\n", part.len()));
        }
        self.stream.get_mut().write_all(wire.as_bytes())
    }

    pub fn reply(&mut self) -> io::Result<Reply> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let text = line.trim_end();
        let (kind, rest) = text.split_at(1.min(text.len()));
        match kind {
            "+" | ":" => Ok(Reply::Text(rest.to_owned())),
            "-" => Ok(Reply::Error(rest.to_owned())),
            "*" => {
                let count: usize = rest.parse().map_err(io::Error::other)?;
                (0..count).map(|_| self.reply()).collect::<io::Result<_>>().map(Reply::List)
            }
            "$" => self.bulk(rest.parse().map_err(io::Error::other)?),
            _ => Err(io::Error::other(format!("unexpected reply {text:?}"))),
        }
    }

    fn bulk(&mut self, length: i64) -> io::Result<Reply> {
        let Ok(length) = usize::try_from(length) else { return Ok(Reply::Bulk(None)) };
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes)?;
        bytes.truncate(length);
        Ok(Reply::Bulk(Some(bytes)))
    }
}

/// A bitmap in Redis as a ledger: bit `n` is set by acknowledged write `n`.
pub fn is_set(bitmap: &[u8], n: usize) -> bool {
    bitmap.get(n / 8).is_some_and(|byte| byte & (0x80 >> (n % 8)) != 0)
}

/// The numbers of all bits that are set.
pub fn all_set(bitmap: &[u8]) -> impl Iterator<Item = usize> {
    let set = bitmap.iter().enumerate().filter(|(_, byte)| **byte != 0);
    set.flat_map(|(at, _)| at * 8..at * 8 + 8).filter(|n| is_set(bitmap, *n))
}
