//! Whatever is sent, however it is cut: a client gets the server's replies, in order, without
//! ours among them, and none that acknowledges a write before a slave has it.

mod server;

use proptest::prelude::*;

use super::session::{Acks, Cut, INBOX, Session};
use server::Server;

const MARK: &str = "dotcloud-mark-of-this-session";

/// A client, the session, a server, and wires that deliver as many bytes as they like.
struct World {
    session: Session,
    server: Server,
    /// What the client is still to send.
    sending: Vec<u8>,
    received: Vec<u8>,
    acks: Acks,
    /// Writes wait all the time.
    guarded: bool,
}

fn words(words: &[&str]) -> Vec<u8> {
    let texts: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    let mut bytes = format!("*{}\r\n", texts.len()).into_bytes();
    for text in texts {
        bytes.extend(format!("${}\r\n", text.len()).bytes());
        bytes.extend(text);
        bytes.extend(b"\r\n");
    }
    bytes
}

/// Something a client does: one command, or several that belong together.
fn deed(kind: u8, size: usize) -> Vec<u8> {
    let value = "v".repeat(size);
    match kind {
        0 => words(&["SET", "k", &value]),
        1 => words(&["get", &size.to_string()]),
        2 => words(&["INCR", "n"]),
        3 => words(&["EVAL", &(size * 60).to_string()]),
        4 => [
            words(&["MULTI"]),
            words(&["SET", "k", &value]),
            words(&["GET", "3"]),
            words(&["BLPOP", "l", "0"]),
            words(&["EXEC"]),
        ]
        .concat(),
        5 => [words(&["SET", "k", "v"]), words(&["SUBSCRIBE", "a", "b"]), words(&["PING"]), words(&["UNSUBSCRIBE"])]
            .concat(),
        6 => [words(&["CLIENT", "REPLY", "SKIP"]), words(&["SET", "k", &value])].concat(),
        7 => [
            words(&["client", "reply", "off"]),
            words(&["SET", "k", &value]),
            words(&["GET", "5"]),
            words(&["BLPOP", "l", "0"]),
            words(&["CLIENT", "REPLY", "ON"]),
        ]
        .concat(),
        8 => b"\r\nPING\r\nset a b\n*0\r\n".to_vec(),
        9 => words(&["EXISTS", "k"]),
        10 => words(&["SET"]),
        11 => words(&["WAIT", "0", "0"]),
        12 => [words(&["RESET"]), words(&["GET", "1"]), words(&["SUBSCRIBE", "a"]), words(&["AUTH", "pw"])].concat(),
        13 => [words(&["MULTI"]), words(&["INCR", "n"]), words(&["DISCARD"])].concat(),
        // Refused while it only listens; the session has to find out.
        14 => [words(&["SUBSCRIBE", "a"]), words(&["GET", "9"]), words(&["UNSUBSCRIBE", "a"])].concat(),
        15 => [words(&["HELLO", "3"]), words(&["SUBSCRIBE", "a"]), words(&["INCR", "n"])].concat(),
        _ => words(&["BLPOP", "l", "0"]),
    }
}

impl World {
    fn new(sending: Vec<u8>, waits: Vec<u8>) -> Self {
        let session = Session::new(MARK.to_owned());
        Self { session, server: Server::new(MARK, waits), sending, received: Vec::new(), acks: Some(1), guarded: true }
    }

    fn client_sends(&mut self, most: usize) -> bool {
        let room = INBOX.saturating_sub(self.session.inbox.len());
        let count = most.min(self.sending.len()).min(room);
        let bytes: Vec<u8> = self.sending.drain(..count).collect();
        self.session.inbox.extend_from_slice(&bytes);
        self.turn();
        count > 0
    }

    fn server_sends(&mut self, most: usize) -> bool {
        let count = most.min(self.server.sending.len());
        let bytes: Vec<u8> = self.server.sending.drain(..count).collect();
        self.server.sent += count;
        self.session.replies(&bytes, self.acks).unwrap();
        self.turn();
        count > 0
    }

    fn turn(&mut self) {
        self.session.requests(self.acks).unwrap();
        self.server.receive(&self.session.to_server.split());
        self.received.extend_from_slice(&self.session.to_client.split());
        if self.guarded {
            let allowed = self.server.acknowledgeable();
            assert!(self.received.len() <= allowed, "{} bytes, allowed are {allowed}", self.received.len());
        }
    }

    fn step(&mut self, who: u8, most: usize) {
        match who % 3 {
            0 => drop(self.client_sends(most)),
            1 => drop(self.server.work()),
            _ => drop(self.server_sends(most)),
        }
    }

    /// Until nothing moves any more.
    fn finish(&mut self) {
        while self.client_sends(4096) | self.server.work() | self.server_sends(4096) {}
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(3000).collect()
}

fn deeds() -> impl Strategy<Value = Vec<(u8, usize)>> {
    prop::collection::vec((0_u8..17, prop_oneof![0_usize..20, 1000_usize..3000]), 1..14)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_client_gets_the_servers_replies_and_nothing_early(
        deeds in deeds(),
        steps in prop::collection::vec((0_u8..3, prop_oneof![1_usize..9, 1_usize..4000]), 0..400),
        waits in prop::collection::vec(0_u8..3, 1..9),
        logs_in in any::<bool>(),
    ) {
        let mut sending = if logs_in { words(&["AUTH", "pw"]) } else { Vec::new() };
        sending.extend(deeds.iter().flat_map(|(kind, size)| deed(*kind, *size)));
        let mut world = World::new(sending, waits);
        steps.iter().for_each(|(who, most)| world.step(*who, *most));
        world.finish();
        prop_assert!(world.session.inbox.is_empty(), "left: {:?}", text(&world.session.inbox));
        prop_assert_eq!(text(&world.received), text(&world.server.for_client));
        prop_assert!(world.received == world.server.for_client);
    }

    #[test]
    fn a_guard_that_comes_and_goes_loses_no_reply(
        deeds in deeds(),
        steps in prop::collection::vec((0_u8..3, 1_usize..4000, 0_u32..2), 0..300),
    ) {
        let mut sending = words(&["AUTH", "pw"]);
        sending.extend(deeds.iter().flat_map(|(kind, size)| deed(*kind, *size)));
        let mut world = World { guarded: false, ..World::new(sending, vec![0, 1]) };
        for (who, most, acks) in steps {
            world.acks = Some(acks);
            world.step(who, most);
        }
        world.finish();
        prop_assert!(world.received == world.server.for_client);
    }

    #[test]
    fn garbage_from_either_side_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 1_usize..50) {
        let mut session = Session::new(MARK.to_owned());
        for piece in bytes.chunks(cut) {
            session.inbox.extend_from_slice(piece);
            let _ = session.requests(Some(1));
            let _ = session.replies(piece, Some(1));
        }
    }
}

fn session_with(bytes: &[u8]) -> Session {
    let mut session = Session::new(MARK.to_owned());
    session.inbox.extend_from_slice(bytes);
    session.requests(Some(1)).unwrap();
    session
}

fn told(session: &mut Session, bytes: &[u8], acks: Acks) -> String {
    session.replies(bytes, acks).unwrap();
    text(&session.to_client.split())
}

#[test]
fn a_reply_waits_for_as_long_as_it_has_to() {
    let mut session = session_with(&words(&["SET", "k", "v"]));
    assert!(session.to_server.ends_with(&words(&["WAIT", "1", "100"])));
    assert_eq!(told(&mut session, b"+OK\r\n:0\r\n", Some(1)), "");
    assert_eq!(told(&mut session, b":0\r\n", Some(1)), "", "it is asked again");
    assert_eq!(told(&mut session, b":1\r\n", Some(1)), "+OK\r\n");
}

#[test]
fn a_lifted_guard_lets_go_and_a_route_that_closed_does_not() {
    for (acks, expected) in [(Some(0), "+OK\r\n"), (None, "")] {
        let mut session = session_with(&words(&["SET", "k", "v"]));
        assert_eq!(told(&mut session, b"+OK\r\n:0\r\n", acks), expected);
    }
}

#[test]
fn writes_at_hand_are_asked_for_together_and_reads_not_at_all() {
    let set = words(&["SET", "k", "v"]);
    let session = session_with(&[set.clone(), set.clone(), set].concat());
    assert_eq!(text(&session.to_server).matches("WAIT").count(), 1);
    let session = session_with(&words(&["GET", "k"]));
    assert_eq!(text(&session.to_server).matches("WAIT").count(), 0);
}

#[test]
fn of_a_large_reply_only_the_end_is_held_back() {
    let mut session = session_with(&words(&["EVAL", "return big", "0"]));
    let body = format!("$1000000\r\n{}", "x".repeat(1_000_000));
    session.replies(body.as_bytes(), Some(1)).unwrap();
    session.replies(b"\r\n", Some(1)).unwrap();
    assert_eq!(session.to_client.len(), body.len() - 2);
    session.to_client.clear();
    assert_eq!(told(&mut session, b":1\r\n", Some(1)), "xx\r\n");
}

#[test]
fn an_answer_to_wait_that_is_none_cuts_the_session() {
    let mut session = session_with(&words(&["SET", "k", "v"]));
    let cut = session.replies(b"+OK\r\n-NOPERM no\r\n", Some(1)).unwrap_err();
    assert_eq!(cut, Cut::Wait("-NOPERM no".to_owned()));
    assert!(session.to_client.is_empty());
}

/// The transaction did not begin, so that what was taken for queued was a write.
#[test]
fn a_write_that_was_not_queued_is_not_acknowledged() {
    let mut session = session_with(&[words(&["MULTI"]), words(&["SET", "k", "v"])].concat());
    assert_eq!(session.replies(b"-NOPERM no\r\n+OK\r\n", Some(1)), Err(Cut::Unqueued));
    assert!(!text(&session.to_client).contains("OK"));
}

#[test]
fn a_write_that_waited_for_another_client_is_asked_for_behind_a_message() {
    let blpop = words(&["BLPOP", "l", "0"]);
    let mut session = session_with(&blpop);
    let question = [words(&["SPUBLISH", "dotcloud:nobody", ""]), words(&["WAIT", "1", "100"])].concat();
    assert_eq!(text(&session.to_server), text(&[blpop, question].concat()));
    assert_eq!(told(&mut session, b"*2\r\n$1\r\nl\r\n$1\r\nv\r\n:0\r\n", Some(1)), "");
    assert_eq!(told(&mut session, b":1\r\n", Some(1)), "*2\r\n$1\r\nl\r\n$1\r\nv\r\n");
    let mut session = session_with(&words(&["BLPOP", "l", "0"]));
    let cut = session.replies(b"*-1\r\n-NOPERM no\r\n", Some(1)).unwrap_err();
    assert_eq!(cut, Cut::Nudge("-NOPERM no".to_owned()));
}

/// Also when the server says nothing more after it, or the same to our question.
#[test]
fn an_error_acknowledges_nothing_and_is_told_at_once() {
    let mut session = session_with(&words(&["SET", "k", "v"]));
    assert_eq!(told(&mut session, b"-BUSY a script\r\n", Some(1)), "-BUSY a script\r\n");
    assert!(!session.owes());
    assert_eq!(told(&mut session, b"-BUSY a script\r\n", Some(1)), "");
    session.to_server.clear();
    session.inbox.extend_from_slice(&[words(&["SET", "k", "v"]), words(&["SET"])].concat());
    session.requests(Some(1)).unwrap();
    assert_eq!(told(&mut session, b"+OK\r\n-ERR wrong number\r\n", Some(1)), "", "in order");
    assert_eq!(told(&mut session, b":1\r\n", Some(1)), "+OK\r\n-ERR wrong number\r\n");
}

/// In version 3 a client that listens may do all else, and then return to version 2, in which
/// a message looks like a reply.
#[test]
fn a_listener_that_changes_the_version_is_heard_out_before_it_writes() {
    let mut session = session_with(&words(&["HELLO", "3", "AUTH", "default", "pw"]));
    told(&mut session, b"%1\r\n+proto\r\n:3\r\n", Some(1));
    session.inbox.extend_from_slice(&[words(&["SUBSCRIBE", "a"]), words(&["GET", "k"])].concat());
    session.requests(Some(1)).unwrap();
    let mark = format!("${}\r\n{MARK}\r\n", MARK.len());
    told(&mut session, mark.as_bytes(), Some(1));
    session.requests(Some(1)).unwrap();
    told(&mut session, b"$-1\r\n", Some(1));
    session.to_server.clear();

    session.inbox.extend_from_slice(&[words(&["HELLO", "2"]), words(&["INCR", "n"])].concat());
    session.requests(Some(1)).unwrap();
    assert_eq!(text(&session.to_server), text(&[words(&["HELLO", "2"]), words(&["PING", MARK])].concat()));
    let message = "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n";
    assert_eq!(
        told(&mut session, format!("{message}+OK\r\n{message}").as_bytes(), Some(1)),
        format!("{message}+OK\r\n{message}")
    );
}

/// Behind other replies the server might not answer a wrong password, and the next reply would be
/// taken for that answer.
#[test]
fn a_login_is_sent_when_all_before_it_is_answered() {
    let (get, auth) = (words(&["GET", "k"]), words(&["AUTH", "wrong"]));
    let mut session = session_with(&[get.clone(), auth.clone()].concat());
    assert_eq!(text(&session.to_server.split()), text(&get));
    assert_eq!(told(&mut session, b"$-1\r\n", Some(1)), "$-1\r\n");
    session.requests(Some(1)).unwrap();
    assert_eq!(text(&session.to_server), text(&auth));
}

#[test]
fn a_client_that_leaves_while_an_unanswered_command_blocks_is_not_waited_for() {
    let mut session = session_with(&words(&["AUTH", "pw"]));
    told(&mut session, b"+OK\r\n", Some(1));
    session.inbox.extend_from_slice(&[words(&["CLIENT", "REPLY", "SKIP"]), words(&["BLPOP", "l", "0"])].concat());
    session.requests(Some(1)).unwrap();
    assert!(session.may_end());
}

#[test]
fn a_client_that_is_not_understood_is_told_after_what_it_is_owed() {
    let mut session = session_with(&[words(&["SET", "k", "v"]), b"*1\r\n$x\r\n".to_vec()].concat());
    assert_eq!(told(&mut session, b"+OK\r\n", Some(1)), "");
    assert_eq!(told(&mut session, b":1\r\n", Some(1)), "+OK\r\n-ERR invalid length\r\n");
    assert!(session.is_closing());
}

#[test]
fn a_client_that_leaves_while_it_blocks_is_not_waited_for() {
    assert!(session_with(&words(&["BLPOP", "l", "0"])).may_end());
    assert!(!session_with(&words(&["SET", "k", "v"])).may_end());
}

/// Its last commands are still to be sent, after the answer to the mark.
#[test]
fn a_client_that_leaves_after_it_listened_is_answered_first() {
    let mut session = session_with(&words(&["AUTH", "pw"]));
    assert_eq!(told(&mut session, b"+OK\r\n", Some(1)), "+OK\r\n");
    session.inbox.extend_from_slice(&[words(&["SUBSCRIBE", "a"]), words(&["GET", "k"])].concat());
    session.requests(Some(1)).unwrap();
    assert!(!session.may_end());
    let mark = format!("${}\r\n{MARK}\r\n", MARK.len());
    assert_eq!(told(&mut session, mark.as_bytes(), Some(1)), "");
    session.requests(Some(1)).unwrap();
    assert!(session.to_server.ends_with(&words(&["GET", "k"])) && !session.may_end());
    assert_eq!(told(&mut session, b"$-1\r\n", Some(1)), "$-1\r\n");
    assert!(session.may_end());
}

#[test]
fn replicas_are_not_fed_through_the_front() {
    let mut session = session_with(&words(&["PSYNC", "?", "-1"]));
    assert!(session.to_server.is_empty() && session.is_closing());
    assert!(text(&session.to_client.split()).starts_with("-ERR "));
}
