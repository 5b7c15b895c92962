//! WebSockets through the proxy: whose memory a socket is in.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::support::platform::{Platform, Web, sample, text};
use crate::turn;

/// How long a message may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The nonce and its answer in RFC 6455, §1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

#[test]
fn a_message_reaches_other_instances_only_through_redis() {
    let _turn = turn();
    let platform = Platform::new();
    platform.up(&sample("samples/websocket"), "chat");
    let web = platform.web("chat", "www");

    let mut shared: Vec<_> = (0..4).map(|_| Socket::open(&web, "/redis")).collect();
    let mut own: Vec<_> = (0..4).map(|_| Socket::open(&web, "/memory")).collect();
    for sockets in [&shared, &own] {
        let on_first = sockets.iter().filter(|socket| socket.instance == "www.0").count();
        assert_eq!(on_first, 2, "the instances take turns");
    }

    shared[0].say("for all");
    for socket in &mut shared {
        assert_eq!(text(&socket.hear()["text"]), "for all");
    }
    own[0].say("for some");
    let speaker = own[0].instance.clone();
    for socket in &mut own {
        let heard = socket.all_before("a word of its own").iter().any(|text| text == "for some");
        assert_eq!(heard, socket.instance == speaker, "{} hears {speaker}", socket.instance);
    }
}

/// A client's end of one WebSocket.
struct Socket {
    stream: TcpStream,
    /// Who holds the other end.
    instance: String,
}

impl Socket {
    fn open(web: &Web, path: &str) -> Self {
        let mut stream = TcpStream::connect(web.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n",
            web.host
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 ") && head.contains(ACCEPT), "{head}");
        let mut socket = Self { stream, instance: String::new() };
        socket.instance = text(&socket.hear()["instance"]);
        socket
    }

    /// A short text frame; those of clients are masked, here with zeros.
    fn say(&mut self, message: &str) {
        let length = u8::try_from(message.len()).unwrap();
        assert!(length < 126);
        let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0];
        frame.extend(message.as_bytes());
        self.stream.write_all(&frame).unwrap();
    }

    /// The next text frame, which must be a short one.
    fn hear(&mut self) -> Value {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).unwrap();
        assert!(head[0] == 0x81 && head[1] < 126, "{head:?} begins no short text frame");
        let mut payload = vec![0; usize::from(head[1])];
        self.stream.read_exact(&mut payload).unwrap();
        serde_json::from_slice(&payload).unwrap()
    }

    /// Says something, and hears everything that comes before it.
    fn all_before(&mut self, message: &str) -> Vec<String> {
        let mark = format!("{message} {:?}", self.stream.local_addr().unwrap());
        self.say(&mark);
        let mut heard = Vec::new();
        loop {
            let next = text(&self.hear()["text"]);
            if next == mark {
                return heard;
            }
            heard.push(next);
        }
    }
}
