//! AMQP 0-9-1: logging in, and opening and closing a channel, which every broker answers.

use std::io;
use std::net::SocketAddr;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::failover::dialect::{Reply, ServerCommand};

use super::connection::ConnectError;

const HEADER: &[u8] = b"AMQP\0\0\x09\x01";
/// The one type of frame that carries methods.
const METHOD: u8 = 1;
const FRAME_END: u8 = 0xce;
/// A frame larger than this is none of the answers here.
const LARGEST: usize = 1 << 17;
/// A channel of its own for questions; 0 is the connection's.
const CHANNEL: u16 = 1;

/// Class and method.
type Method = (u16, u16);
const START: Method = (10, 10);
const START_OK: Method = (10, 11);
const TUNE: Method = (10, 30);
const TUNE_OK: Method = (10, 31);
const OPEN: Method = (10, 40);
const OPEN_OK: Method = (10, 41);
const CLOSE: Method = (10, 50);
const CHANNEL_OPEN: Method = (20, 10);
const CHANNEL_OPEN_OK: Method = (20, 11);
const CHANNEL_CLOSE: Method = (20, 40);
const CHANNEL_CLOSE_OK: Method = (20, 41);

pub(super) struct Amqp {
    stream: TcpStream,
    version: String,
}

impl Amqp {
    pub async fn open(addr: SocketAddr, user: &str, password: &str) -> Result<Self, ConnectError> {
        let mut stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        stream.write_all(HEADER).await?;
        let mut amqp = Self { stream, version: String::new() };
        let start = amqp.expect(START).await?;
        amqp.version = version(&start).unwrap_or_default();
        amqp.send(0, START_OK, &start_ok(user, password)).await?;
        let tune = amqp.expect(TUNE).await?;
        amqp.send(0, TUNE_OK, &tune_ok(tune)?).await?;
        // The virtual host "/", and two fields without a meaning.
        amqp.send(0, OPEN, b"\x01/\0\0").await?;
        amqp.expect(OPEN_OK).await?;
        Ok(amqp)
    }

    /// Whatever is asked, a channel is opened and closed.
    pub async fn ask(&mut self, commands: &[ServerCommand]) -> io::Result<Vec<Reply>> {
        let mut replies = Vec::with_capacity(commands.len());
        for _ in commands {
            self.send(CHANNEL, CHANNEL_OPEN, b"\0").await?;
            self.expect(CHANNEL_OPEN_OK).await.map_err(broken)?;
            self.send(CHANNEL, CHANNEL_CLOSE, b"\0\xc8\0\0\0\0\0").await?;
            self.expect(CHANNEL_CLOSE_OK).await.map_err(broken)?;
            replies.push(Reply::Text(self.version.clone()));
        }
        Ok(replies)
    }

    async fn send(&mut self, channel: u16, method: Method, arguments: &[u8]) -> io::Result<()> {
        let mut frame = BytesMut::new();
        frame.put_u8(METHOD);
        frame.put_u16(channel);
        frame.put_u32(arguments.len() as u32 + 4);
        frame.put_u16(method.0);
        frame.put_u16(method.1);
        frame.put_slice(arguments);
        frame.put_u8(FRAME_END);
        self.stream.write_all(&frame).await
    }

    /// The arguments of the next method, which has to be this one. Heartbeats are skipped.
    async fn expect(&mut self, wanted: Method) -> Result<Bytes, ConnectError> {
        loop {
            let (kind, mut payload) = self.frame().await?;
            if kind != METHOD {
                continue;
            }
            let method = (payload.try_get_u16().map_err(malformed)?, payload.try_get_u16().map_err(malformed)?);
            return match method {
                _ if method == wanted => Ok(payload),
                CLOSE => Err(ConnectError::Login(refusal(payload))),
                _ => Err(ConnectError::Broken),
            };
        }
    }

    async fn frame(&mut self) -> io::Result<(u8, Bytes)> {
        let mut head = [0; 7];
        self.stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        if length > LARGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is too large"));
        }
        let mut payload = vec![0; length + 1];
        self.stream.read_exact(&mut payload).await?;
        match payload.pop() {
            Some(FRAME_END) => Ok((head[0], payload.into())),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "a frame does not end")),
        }
    }
}

fn malformed(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn broken(error: ConnectError) -> io::Error {
    match error {
        ConnectError::Broken => io::ErrorKind::UnexpectedEof.into(),
        ConnectError::Login(words) => io::Error::other(words),
    }
}

/// No properties of ours; the credentials as PLAIN has them; a locale. The capability makes the
/// broker say why it refuses a login instead of hanging up.
fn start_ok(user: &str, password: &str) -> Vec<u8> {
    let mut inner = BytesMut::new();
    short(&mut inner, "authentication_failure_close");
    inner.put_slice(b"t\x01");
    let mut properties = BytesMut::new();
    short(&mut properties, "capabilities");
    properties.put_u8(b'F');
    long(&mut properties, &inner);
    let mut arguments = BytesMut::new();
    long(&mut arguments, &properties);
    short(&mut arguments, "PLAIN");
    long(&mut arguments, format!("\0{user}\0{password}").as_bytes());
    short(&mut arguments, "en_US");
    arguments.to_vec()
}

/// The broker's own limits, and no heartbeats: pings are ours.
fn tune_ok(mut tune: Bytes) -> io::Result<Vec<u8>> {
    let (channels, frame) = (tune.try_get_u16().map_err(malformed)?, tune.try_get_u32().map_err(malformed)?);
    let mut arguments = BytesMut::new();
    arguments.put_u16(channels);
    arguments.put_u32(frame);
    arguments.put_u16(0);
    Ok(arguments.to_vec())
}

fn short(to: &mut BytesMut, text: &str) {
    to.put_u8(text.len() as u8);
    to.put_slice(text.as_bytes());
}

fn long(to: &mut BytesMut, bytes: &[u8]) {
    to.put_u32(bytes.len() as u32);
    to.put_slice(bytes);
}

/// `version` among the server's properties: a long string.
fn version(start: &[u8]) -> Option<String> {
    const KEY: &[u8] = b"\x07versionS";
    let at = start.windows(KEY.len()).position(|bytes| bytes == KEY)? + KEY.len();
    let length = u32::from_be_bytes(start.get(at..at + 4)?.try_into().ok()?) as usize;
    let text = start.get(at + 4..at.checked_add(4)?.checked_add(length)?)?;
    String::from_utf8(text.to_vec()).ok()
}

/// A code and the broker's words.
fn refusal(mut close: Bytes) -> String {
    let (Ok(_code), Ok(length)) = (close.try_get_u16(), close.try_get_u8()) else { return String::new() };
    String::from_utf8_lossy(&close[..usize::from(length).min(close.len())]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_among_the_brokers_properties() {
        let start = b"\0\x09\0\0\0\x3e\x07productS\0\0\0\x08RabbitMQ\x07versionS\0\0\0\x054.0.5";
        assert_eq!(version(start).as_deref(), Some("4.0.5"));
        for cut in 0..start.len() {
            assert_eq!(version(&start[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn a_refusal_is_the_brokers_words_whatever_its_length_says() {
        assert_eq!(refusal(Bytes::from_static(b"\x01\x93\x03why\0\0")), "why");
        assert_eq!(refusal(Bytes::from_static(b"\x01\x93\xffwhy")), "why");
        assert_eq!(refusal(Bytes::from_static(b"\x01")), "");
    }

    #[test]
    fn credentials_are_sent_as_plain_has_them() {
        let arguments = start_ok("root", "pw");
        let expected = b"\x05PLAIN\0\0\0\x08\0root\0pw\x05en_US";
        assert!(arguments.ends_with(expected), "{arguments:?}");
    }
}
