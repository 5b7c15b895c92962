//! AMQP 0-9-1 spoken by hand: publishing one message at a time, until the broker has confirmed it.

use std::io::{Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;

/// A channel on which the broker confirms what it has on its disk.
pub struct Publisher(TcpStream);

impl Publisher {
    pub fn connect(address: SocketAddr, password: &str) -> Result<Self> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.write_all(b"AMQP\0\0\x09\x01")?;
        let mut publisher = Self(stream);
        publisher.until((10, 10))?;
        let mut login = b"\0\0\0\0\x05PLAIN".to_vec();
        let response = format!("\0root\0{password}");
        login.extend((response.len() as u32).to_be_bytes());
        login.extend(response.as_bytes());
        login.extend(b"\x05en_US");
        publisher.method(0, (10, 11), &login)?;
        publisher.until((10, 30))?;
        publisher.method(0, (10, 31), b"\0\x0a\0\x01\0\0\0\0")?;
        publisher.method(0, (10, 40), b"\x01/\0\0")?;
        publisher.until((10, 41))?;
        publisher.method(1, (20, 10), b"\0")?;
        publisher.until((20, 11))?;
        publisher.method(1, (85, 10), b"\0")?;
        publisher.until((85, 11))?;
        Ok(publisher)
    }

    /// Sends a persistent message to a queue; returns when it is safe.
    pub fn publish(&mut self, queue: &str, body: &str) -> Result<()> {
        let mut to = vec![0, 0, 0, queue.len() as u8];
        to.extend(queue.as_bytes());
        to.push(0);
        self.method(1, (60, 40), &to)?;
        let mut header = b"\0\x3c\0\0".to_vec();
        header.extend((body.len() as u64).to_be_bytes());
        // One property: the delivery mode, which is persistent.
        header.extend(b"\x10\0\x02");
        self.frame(HEADER, 1, &header)?;
        self.frame(BODY, 1, body.as_bytes())?;
        self.until((60, 80))
    }

    fn method(&mut self, channel: u16, (class, method): (u16, u16), arguments: &[u8]) -> Result<()> {
        let payload = [&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat();
        self.frame(METHOD, channel, &payload)
    }

    fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) -> Result<()> {
        let length = (payload.len() as u32).to_be_bytes();
        self.0.write_all(&[&[kind][..], &channel.to_be_bytes(), &length, payload, b"\xce"].concat())
    }

    /// Reads until this method; another one is an error that the broker tells.
    fn until(&mut self, (class, method): (u16, u16)) -> Result<()> {
        let mut head = [0; 7];
        self.0.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
        let mut payload = vec![0; length as usize + 1];
        self.0.read_exact(&mut payload)?;
        let wanted = [class.to_be_bytes(), method.to_be_bytes()].concat();
        match payload.starts_with(&wanted) {
            true => Ok(()),
            false => Err(std::io::Error::other(String::from_utf8_lossy(&payload).into_owned())),
        }
    }
}
