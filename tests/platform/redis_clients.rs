//! Whatever a client says to a Redis whose writes wait for a slave, byte for byte: it reads what
//! the server itself would have answered, and our questions to the server leave no trace.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::support::platform::Platform;
use crate::support::redis::{Redis, Reply};
use crate::support::wait_for;

const PATIENCE: Duration = Duration::from_secs(20);
const LARGE: usize = 3 << 20;
/// So that every conversation begins in the same way.
const FORGET: &str = "for _, key in ipairs(redis.call('KEYS', 'c:*')) do redis.call('DEL', key) end return 1";

/// What somebody says after having logged in, of keys that begin with `c:`; it ends with the
/// connection.
struct Conversation {
    about: &'static str,
    said: Vec<u8>,
}

/// The service `db` of an application, and its master past the front.
struct Ways<'p> {
    platform: &'p Platform,
    app: &'p str,
    front: SocketAddr,
    master: SocketAddr,
    password: String,
}

/// Each conversation is had with the master itself, then twice through the front: sent at once,
/// and in small pieces.
pub fn are_answered_as_by_the_server(platform: &Platform, app: &str) {
    with_one_master(platform, app, |ways| {
        conversations(&ways.password).iter().find_map(|conversation| ways.differ(conversation))
    });
    with_one_master(platform, app, who_does_not_know_the_password_is_told);
    with_one_master(platform, app, who_only_stops_talking_is_answered_to_the_end);
    let (front, password) = platform.data(app, "db");
    who_monitors_sees_what_others_do(front, &password);
}

/// What is wrong counts if the master was the same all the time: on a starved machine it may be
/// replaced, and then everything is tried once more.
fn with_one_master(platform: &Platform, app: &str, attempt: impl Fn(&Ways<'_>) -> Option<String>) {
    for _ in 0..5 {
        platform.settle(app);
        let ((front, password), master) = (platform.data(app, "db"), platform.member(app, "db", "master").addr(6379));
        let ways = Ways { platform, app, front, master, password };
        let epoch = ways.epoch();
        let Some(wrong) = attempt(&ways) else { return };
        platform.settle(app);
        assert_ne!(ways.epoch(), epoch, "{wrong}");
    }
    panic!("there was no master for long enough");
}

impl Ways<'_> {
    fn epoch(&self) -> Value {
        self.platform.service(self.app, "db")["group"]["epoch"].clone()
    }

    /// Says everything after a login, in the same state of the data.
    fn said(&self, rest: &[u8]) -> Vec<u8> {
        [&words(&[&["AUTH", &self.password], &["EVAL", FORGET, "0"]]), rest].concat()
    }

    fn differ(&self, Conversation { about, said }: &Conversation) -> Option<String> {
        let bytes = self.said(said);
        let expected = read_back(self.master, &bytes, bytes.len());
        if !(expected.starts_with(b"+OK\r\n:1\r\n") && expected.len() > 9) {
            return Some(format!("{about}: {:?}", shown(&expected)));
        }
        let tell = |piece| read_back(self.front, &bytes, piece);
        let told = [bytes.len(), (bytes.len() / 300).max(1)].map(tell).into_iter().find(|told| *told != expected)?;
        Some(format!("{about}: {:?} instead of {:?}", shown(&told), shown(&expected)))
    }
}

fn conversations(password: &str) -> Vec<Conversation> {
    let large = "x".repeat(LARGE);
    let pipeline: Vec<&[&str]> = vec![&["INCR", "c:n"]; 500];
    let all: Vec<(&'static str, Vec<u8>)> = vec![
        ("a pipeline", words(&pipeline)),
        (
            "transactions",
            words(&[
                &["MULTI"],
                &["SET", "c:t", "1"],
                &["GET", "c:t"],
                &["BLPOP", "c:none", "0"],
                &["EXEC"],
                &["MULTI"],
                &["SET", "c:t"],
                &["EXEC"],
                &["MULTI"],
                &["INCR", "c:t"],
                &["DISCARD"],
                &["EXEC"],
                &["WATCH", "c:t"],
                &["SET", "c:t", "2"],
                &["MULTI"],
                &["INCR", "c:t"],
                &["EXEC"],
                &["GET", "c:t"],
            ]),
        ),
        (
            "channels",
            words(&[
                &["SUBSCRIBE", "c:news", "c:more"],
                &["PSUBSCRIBE", "c:p*"],
                &["PING"],
                &["GET", "c:c"],
                &["UNSUBSCRIBE", "c:news"],
                &["INCR", "c:c"],
                &["UNSUBSCRIBE", "c:more"],
                &["PUNSUBSCRIBE", "c:p*"],
                &["INCR", "c:c"],
                &["PUBLISH", "c:news", "nobody hears it"],
                &["GET", "c:c"],
            ]),
        ),
        (
            "version 3",
            words(&[
                &["HELLO", "3"],
                &["SUBSCRIBE", "c:own"],
                &["PUBLISH", "c:own", "hi"],
                &["INCR", "c:v"],
                &["CLIENT", "TRACKING", "ON"],
                &["GET", "c:v"],
                &["INCR", "c:v"],
                &["CONFIG", "GET", "maxmemory"],
                &["HELLO", "2"],
                &["PING"],
                &["INCR", "c:v"],
                &["UNSUBSCRIBE", "c:own"],
                &["INCR", "c:v"],
            ]),
        ),
        (
            "replies switched off",
            words(&[
                &["CLIENT", "REPLY", "OFF"],
                &["INCR", "c:r"],
                &["RPUSH", "c:list", "x"],
                &["BLPOP", "c:list", "0"],
                &["CLIENT", "REPLY", "ON"],
                &["CLIENT", "REPLY", "SKIP"],
                &["INCR", "c:r"],
                &["INCR", "c:r"],
                &["CLIENT", "REPLY", "SKIP"],
                &["GET", "c:r"],
                &["GET", "c:r"],
            ]),
        ),
        ("inline commands", b"SET c:i 1\r\nget c:i\n\r\nPING\r\nSET c:i\r\nSET c:i \"a b\"\r\nGET c:i\r\n".to_vec()),
        ("a quote that is left open", b"SET c:q \"b\r\n".to_vec()),
        ("a value beyond all bounds", b"*3\r\n$3\r\nSET\r\n$3\r\nc:b\r\n$999999999999\r\n".to_vec()),
        (
            "scripts",
            words(&[
                &["EVAL", "redis.call('DEL', KEYS[1]) return redis.call('INCR', KEYS[1])", "1", "c:s"],
                &["EVAL", "redis.call('INCR', KEYS[1]) return redis.error_reply('no')", "1", "c:s"],
                &["EVAL", "redis.call('INCR', KEYS[1]) return string.rep('y', 200000)", "1", "c:s"],
                &["EVALSHA", "ffffffffffffffffffffffffffffffffffffffff", "0"],
                &["GET", "c:s"],
            ]),
        ),
        (
            "blocking commands",
            words(&[
                &["BLPOP", "c:l", "0.1"],
                &["RPUSH", "c:l", "1", "2"],
                &["BLPOP", "c:l", "0"],
                &["BLMOVE", "c:l", "c:m", "LEFT", "LEFT", "0"],
                &["XADD", "c:x", "1-1", "f", "v"],
                &["XGROUP", "CREATE", "c:x", "g", "0"],
                &["XREADGROUP", "GROUP", "g", "me", "BLOCK", "0", "STREAMS", "c:x", ">"],
                &["XACK", "c:x", "g", "1-1"],
                &["WAIT", "1", "5000"],
            ]),
        ),
        (
            "large values",
            words(&[
                &["SET", "c:large", &large],
                &["GET", "c:large"],
                &["SET", "c:large", "small", "GET"],
                &["DEL", "c:large"],
            ]),
        ),
        (
            "a connection begun anew",
            words(&[
                &["MULTI"],
                &["INCR", "c:a"],
                &["RESET", "all"],
                &["RESET"],
                &["INCR", "c:a"],
                &["AUTH", password],
                &["INCR", "c:a"],
                &["SUBSCRIBE", "c:news"],
                &["RESET", "all"],
                &["RESET"],
                &["AUTH", password],
                &["INCR", "c:a"],
                &["INCR", "c:a"],
            ]),
        ),
        ("words too many", words(&[&["MONITOR", "me"], &["INCR", "c:w"], &["EXEC", "now"], &["GET", "c:w"]])),
    ];
    let quits =
        |(about, said): (&'static str, Vec<u8>)| Conversation { about, said: [said, words(&[&["QUIT"]])].concat() };
    all.into_iter().map(quits).collect()
}

/// Redis 8 itself would say nothing to a wrong password that is not asked for alone.
fn who_does_not_know_the_password_is_told(ways: &Ways<'_>) -> Option<String> {
    let said = ways.said(&words(&[&["AUTH", "default", "wrong"], &["INCR", "c:p"], &["QUIT"]]));
    let told = shown(&read_back(ways.front, &said, said.len()));
    let right = told.starts_with("+OK\r\n:1\r\n-WRONGPASS ") && told.ends_with("\r\n:1\r\n+OK\r\n");
    (!right).then_some(told)
}

/// Its own half of the connection is closed; nobody says `QUIT`.
fn who_only_stops_talking_is_answered_to_the_end(ways: &Ways<'_>) -> Option<String> {
    let said = ways.said(&words(&[&["INCR", "c:h"], &["GET", "c:h"]]));
    let mut stream = connect(ways.front);
    stream.write_all(&said).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut told = Vec::new();
    let ended = stream.read_to_end(&mut told);
    let right = ended.is_ok() && told == b"+OK\r\n:1\r\n:1\r\n$1\r\n1\r\n";
    (!right).then(|| format!("{ended:?} after {:?}", shown(&told)))
}

fn who_monitors_sees_what_others_do(front: SocketAddr, password: &str) {
    let mut monitor = Redis::connect(front, password, PATIENCE).unwrap();
    assert_eq!(monitor.call(&["MONITOR"]).unwrap(), Reply::Text("OK".to_owned()));
    let mut other = Redis::connect(front, password, PATIENCE).unwrap();
    assert_eq!(other.call(&["SET", "c:seen", "1"]).unwrap(), Reply::Text("OK".to_owned()));
    wait_for("the monitor shows it", PATIENCE, || match monitor.reply().unwrap() {
        Reply::Text(line) => line.contains("\"SET\" \"c:seen\" \"1\"").then_some(()),
        other => panic!("{other:?}"),
    });
}

fn words(commands: &[&[&str]]) -> Vec<u8> {
    let word = |word: &&str| format!("${}\r\n{word}\r\n", word.len());
    let command = |words: &&[&str]| format!("*{}\r\n{}", words.len(), words.iter().map(word).collect::<String>());
    commands.iter().map(command).collect::<String>().into_bytes()
}

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// All that is answered, without what is different for each connection; what went wrong stands
/// behind it.
fn read_back(addr: SocketAddr, bytes: &[u8], piece: usize) -> Vec<u8> {
    let mut stream = connect(addr);
    let mut reader = stream.try_clone().unwrap();
    let reading = std::thread::spawn(move || {
        let mut told = Vec::new();
        let ended = reader.read_to_end(&mut told);
        (told, ended)
    });
    for piece in bytes.chunks(piece) {
        // Who is refused may be hung up on before all was said.
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    let (mut told, ended) = reading.join().unwrap();
    if let Err(error) = ended {
        told.extend(error.to_string().bytes());
    }
    without_id(told)
}

/// `HELLO` tells the connection's number.
fn without_id(mut told: Vec<u8>) -> Vec<u8> {
    const ID: &[u8] = b"$2\r\nid\r\n:";
    let mut from = 0;
    while let Some(at) = told[from..].windows(ID.len()).position(|window| window == ID) {
        from += at + ID.len();
        let digits = told[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        told.drain(from..from + digits);
    }
    told
}

fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let from = text.char_indices().rev().nth(1500).map_or(0, |(at, _)| at);
    text[from..].to_owned()
}
