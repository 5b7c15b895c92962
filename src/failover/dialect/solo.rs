//! Servers that stand alone: nothing is replicated, so nobody is elected and nothing is to be
//! commanded. One that answers is writable; the machine only opens it, watches it and starts it
//! again.

use std::time::Duration;

use super::{Dialect, Election, MemberReport, Pace, Protocol, ReadError, Reply, RoleChange, ServerCommand};

/// A server that is watched, not led.
pub struct Solo {
    protocol: Protocol,
    /// Asked for pings and reports alike.
    question: &'static str,
    /// What its answer begins with; what follows is the version, if anything.
    answer: &'static str,
    /// Seconds for which it may refuse connections while it starts.
    boots: u64,
}

/// `VERSION 1.6.38`.
pub static MEMCACHED: Solo =
    Solo { protocol: Protocol::Lines { greeting: None }, question: "version", answer: "VERSION ", boots: 10 };
/// Greets with 220 and answers 250 to `NOOP`.
pub static SMTP: Solo =
    Solo { protocol: Protocol::Lines { greeting: Some("220 ") }, question: "NOOP", answer: "250 ", boots: 30 };
/// AMQP 0-9-1, logged in as applications are: a broker without its user is not ready.
pub static AMQP: Solo = Solo { protocol: Protocol::Amqp { user: "root" }, question: "", answer: "", boots: 120 };
/// Whatever opens its port last: that it accepts connections says enough.
pub static CONNECT: Solo = Solo { protocol: Protocol::Connect, question: "", answer: "", boots: 300 };

/// The server that is asked in this way (`protocol` in `service.toml`).
pub fn of(protocol: &str) -> Option<&'static dyn Dialect> {
    match protocol {
        "memcached" => Some(&MEMCACHED),
        "smtp" => Some(&SMTP),
        "amqp" => Some(&AMQP),
        "connect" => Some(&CONNECT),
        _ => None,
    }
}

impl Dialect for Solo {
    fn election(&self) -> Election {
        Election::ByUs
    }

    fn protocol(&self) -> Protocol {
        self.protocol
    }

    fn login(&self, _password: &str) -> Vec<ServerCommand> {
        Vec::new()
    }

    fn ping(&self) -> ServerCommand {
        ServerCommand(vec![self.question.to_owned()])
    }

    fn probe(&self) -> Vec<ServerCommand> {
        vec![self.ping()]
    }

    fn read(&self, output: &[Reply]) -> Result<MemberReport, ReadError> {
        match output.last() {
            Some(Reply::Text(text)) => {
                let rest = text.strip_prefix(self.answer).ok_or_else(|| ReadError::Refused(text.clone()))?;
                Ok(self.report(Some(rest)))
            }
            Some(Reply::Error(error)) => Err(ReadError::Refused(error.clone())),
            _ => Ok(self.report(None)),
        }
    }

    fn commands(&self, _change: RoleChange, _password: &str) -> Vec<ServerCommand> {
        Vec::new()
    }

    fn pace(&self) -> Option<Pace> {
        // Nobody could take over: haste would only take load for a hang.
        let second = Duration::from_secs(1);
        Some(Pace { ping_every: second, answer_within: second, boots_within: Duration::from_secs(self.boots) })
    }
}

impl Solo {
    /// Of a server that answers. Its contents are nobody's but its own, so they are not counted.
    fn report(&self, version: Option<&str>) -> MemberReport {
        let is_version = |text: &&str| text.starts_with(|c: char| c.is_ascii_digit());
        MemberReport {
            writable: true,
            empty: true,
            version: version.filter(is_version).map(str::to_owned),
            ..MemberReport::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Vec<Reply> {
        vec![Reply::Text(text.to_owned())]
    }

    #[test]
    fn what_answers_is_writable_and_tells_its_version() {
        let report = MEMCACHED.read(&text("VERSION 1.6.38")).unwrap();
        assert!(report.writable);
        assert_eq!(report.version.as_deref(), Some("1.6.38"));
        let report = AMQP.read(&text("4.0.5")).unwrap();
        assert_eq!(report.version.as_deref(), Some("4.0.5"));
        assert_eq!(SMTP.read(&text("250 OK")).unwrap().version, None);
        assert!(CONNECT.read(&[Reply::Nothing]).unwrap().writable);
    }

    #[test]
    fn another_answer_is_the_servers_complaint() {
        let refused = MEMCACHED.read(&text("ERROR")).unwrap_err();
        assert_eq!(refused, ReadError::Refused("ERROR".to_owned()));
        assert!(SMTP.read(&text("421 too busy")).is_err());
    }

    #[test]
    fn every_protocol_is_known_by_its_name() {
        for name in ["memcached", "smtp", "amqp", "connect"] {
            assert!(of(name).is_some_and(|dialect| dialect.pace().is_some()), "{name}");
        }
        assert!(of("").is_none() && of("gopher").is_none());
    }
}
