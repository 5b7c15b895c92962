//! The mail catcher: what is sent is kept and shown, and leaves only when that is allowed.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::support::platform::{Platform, text};
use crate::support::wait_for;
use crate::turn;

const APP: &str = "post";
const PATIENCE: Duration = Duration::from_secs(30);

const MAIL: &str = "From: =?utf-8?q?Zo=C3=AB?= <zoe@example.com>\r\nTo: bob@example.com\r\n\
    Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\r\nH=E4llo\r\n.a line with a dot\r\n--b\r\n\
    Content-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"bill.pdf\"\r\n\
    Content-Transfer-Encoding: base64\r\n\r\nMTIzNDU=\r\n--b--\r\n";

#[test]
fn mails_are_kept_and_leave_only_when_that_is_allowed() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| std::fs::write(folder.path().join("dotcloud.yml"), text).unwrap();
    write("sink: {type: smtp}\n");
    let platform = Platform::new();
    platform.up(folder.path(), APP);
    platform.settle(APP);
    let (sink, password) = platform.data(APP, "sink");
    write(&format!(
        "sink: {{type: smtp}}\nmailer:\n  type: smtp\n  config:\n    smtp_relay_server: sink.{APP}.dc.internal\n    \
         smtp_relay_port: {}\n    smtp_relay_username: dotcloud\n    smtp_relay_password: {password}\n",
        sink.port()
    ));
    platform.up(folder.path(), APP);
    platform.settle(APP);
    let (mailer, password) = platform.data(APP, "mailer");

    assert!(mail(&platform, &["mail", "mailer"]).as_array().unwrap().is_empty());
    assert!(send(mailer, Some(&password)).starts_with("250"), "a mail with the password");
    assert!(send(mailer, None).starts_with("250"), "a mail from nobody");
    assert!(send(mailer, Some("wrong")).starts_with("535"), "a wrong password shows");
    it_is_listed_and_shown(&platform);
    it_survives_a_kill(&platform, mailer);
    it_leaves_only_when_that_is_allowed(&platform, mailer);

    assert_eq!(mail(&platform, &["mail", "clear", "mailer"])["removed"], 3);
    assert!(mail(&platform, &["mail", "mailer"]).as_array().unwrap().is_empty());
    assert!(send(mailer, None).contains("mail 4"), "numbers are not given twice");
    let said = platform.refused(&["-A", APP, "mail"]);
    assert!(said.contains("sink, mailer") || said.contains("mailer, sink"), "{said}");
}

fn mail(platform: &Platform, words: &[&str]) -> Value {
    let mut all = vec!["-A", APP];
    all.extend(words);
    platform.json(&all)
}

fn it_is_listed_and_shown(platform: &Platform) {
    let listed = mail(platform, &["mail", "mailer"]);
    let one = &listed[0];
    assert_eq!((one["number"].as_u64(), listed.as_array().unwrap().len()), (Some(1), 2), "{listed}");
    assert_eq!((text(&one["from"]).as_str(), text(&one["subject"]).as_str()), ("Zoë <zoe@example.com>", "Grüße"));
    assert!(one["relay"].is_null() && one["size"].as_u64().unwrap() > 400, "{one}");
    let table = platform.run(&["-A", APP, "mail", "mailer"]);
    assert!(table.lines().nth(1).unwrap().contains("Zoë <zoe@example.com>  bob@example.com  Grüße"), "{table}");

    let shown = platform.run(&["-A", APP, "mail", "show", "1", "mailer"]);
    for part in [
        "from <z@example.com> to b@example.com",
        "Subject: Grüße",
        "Hällo",
        ".a line",
        "bill.pdf, application/pdf, 5 bytes",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let raw = platform.run(&["-A", APP, "mail", "show", "1", "mailer", "--raw"]);
    assert_eq!(raw, MAIL);
    let said = platform.refused(&["-A", APP, "mail", "show", "77", "mailer"]);
    assert!(said.contains("There is no mail 77"), "{said}");
}

fn it_survives_a_kill(platform: &Platform, mailer: SocketAddr) {
    platform.run(&["-A", APP, "kill", "mailer"]);
    wait_for("the mailer is open again", PATIENCE, || {
        (platform.service(APP, "mailer")["receipts"].as_array()?.len() == 1).then_some(())
    });
    platform.settle(APP);
    assert_eq!(platform.data(APP, "mailer").0, mailer, "the address stays");
    assert_eq!(mail(platform, &["mail", "mailer"]).as_array().unwrap().len(), 2);
}

fn it_leaves_only_when_that_is_allowed(platform: &Platform, mailer: SocketAddr) {
    let relay = mail(platform, &["mail", "relay", "mailer"]);
    assert_eq!((relay["allowed"].as_bool(), text(&relay["username"]).as_str()), (Some(false), "dotcloud"), "{relay}");
    let said = platform.refused(&["-A", APP, "mail", "relay", "--allow", "sink"]);
    assert!(said.contains("no smtp_relay_server"), "{said}");
    mail(platform, &["mail", "relay", "--allow", "mailer"]);
    assert!(send(mailer, None).starts_with("250"));
    let sent = wait_for("the mail is handed on", PATIENCE, || {
        let listed = mail(platform, &["mail", "mailer"]);
        let last = listed.as_array()?.last()?.clone();
        (last["relay"] == "sent").then_some(listed)
    });
    let states: Vec<_> = sent.as_array().unwrap().iter().map(|one| text(&one["relay"])).collect();
    assert_eq!(states, ["", "", "sent"], "what came before stays");
    let handed = mail(platform, &["mail", "sink"]);
    assert_eq!(handed.as_array().unwrap().len(), 1, "{handed}");
    assert_eq!(platform.run(&["-A", APP, "mail", "show", "1", "sink", "--raw"]), MAIL, "as it was received");
    assert_eq!(mail(platform, &["mail", "relay", "--deny", "mailer"])["allowed"], false);
}

/// Sends [`MAIL`], with a login if a password is given; the last answer.
fn send(address: SocketAddr, password: Option<&str>) -> String {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut session = (stream.try_clone().unwrap(), BufReader::new(stream));
    let mut said = answer(&mut session.1);
    let login = password.map(|password| format!("AUTH PLAIN {}", base64(&format!("\0dotcloud\0{password}"))));
    let body = format!("{}.", MAIL.replace("\r\n.", "\r\n.."));
    let lines = ["MAIL FROM:<z@example.com>", "RCPT TO:<b@example.com>", "DATA", &body].map(str::to_owned);
    for line in ["EHLO test".to_owned()].into_iter().chain(login).chain(lines) {
        if said.starts_with(['4', '5']) {
            break;
        }
        session.0.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        said = answer(&mut session.1);
    }
    said
}

/// The last line of an answer.
fn answer(from: &mut impl BufRead) -> String {
    loop {
        let mut line = String::new();
        from.read_line(&mut line).unwrap();
        if line.as_bytes().get(3) != Some(&b'-') {
            return line;
        }
    }
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |bytes: &[u8]| {
        let number = bytes.iter().chain(&[0, 0]).take(3).fold(0usize, |number, byte| number << 8 | usize::from(*byte));
        let digit = |n: usize| if n > bytes.len() { '=' } else { char::from(DIGITS[number >> (18 - 6 * n) & 63]) };
        (0..4).map(digit).collect::<String>()
    };
    text.as_bytes().chunks(3).map(group).collect()
}
