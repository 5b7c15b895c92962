//! The mails that a service has caught: what its member's own command says of them.

use bytes::BytesMut;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::model::observed::{Purpose, RunState};
use crate::model::{AppName, ServiceName};

use super::backup::Words;
use super::handle::{Engine, EngineError, Result};
use super::runtime::{ExecOutput, ExecSpec, RuntimeError};

/// How the command ends when there is no such mail…
const NO_SUCH_MAIL: i64 = 3;
/// …and when it refuses.
const REFUSED: i64 = 4;

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Mail {
    pub number: u64,
    /// RFC 3339.
    pub received: String,
    pub from: String,
    pub to: String,
    pub subject: String,
    /// Bytes, as received.
    pub size: u64,
    /// `queued`, `sent` or `failed`; `None` where it is not to be handed on.
    pub relay: Option<String>,
    pub relay_error: Option<String>,
}

/// A whole mail, decoded.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ShownMail {
    #[serde(flatten)]
    pub mail: Mail,
    pub envelope_from: String,
    pub envelope_to: Vec<String>,
    pub headers: Vec<Header>,
    /// Its text part, else its HTML part.
    pub text: Option<String>,
    pub attachments: Vec<Attachment>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Header {
    pub name: String,
    pub value: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Attachment {
    pub name: String,
    #[serde(rename = "type")]
    pub media_type: String,
    /// Bytes.
    pub size: u64,
}

/// Whether mails are handed on, and to whom.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Relay {
    pub allowed: bool,
    /// `None` where the build file names no relay.
    pub server: Option<String>,
    pub port: u16,
    pub username: Option<String>,
    /// Mails that wait for it.
    pub queued: u64,
}

#[derive(Debug, Deserialize)]
struct Removed {
    removed: u64,
}

impl Engine {
    /// The oldest first.
    pub async fn mails(&self, app: &AppName, service: &ServiceName) -> Result<Vec<Mail>> {
        self.ask_mail(app, service, &["list"]).await
    }

    /// # Errors
    /// `NotFound` when there is no such mail.
    pub async fn mail(&self, app: &AppName, service: &ServiceName, number: u64) -> Result<ShownMail> {
        self.ask_mail(app, service, &["show", &number.to_string()]).await
    }

    /// As it was received.
    ///
    /// # Errors
    /// `NotFound` when there is no such mail.
    pub async fn raw_mail(&self, app: &AppName, service: &ServiceName, number: u64) -> Result<Vec<u8>> {
        self.run_mail(app, service, &["raw", &number.to_string()]).await
    }

    /// Removes all mails; how many.
    pub async fn clear_mails(&self, app: &AppName, service: &ServiceName) -> Result<u64> {
        let removed: Removed = self.ask_mail(app, service, &["clear"]).await?;
        Ok(removed.removed)
    }

    pub async fn relay(&self, app: &AppName, service: &ServiceName) -> Result<Relay> {
        self.ask_mail(app, service, &["relay"]).await
    }

    /// Whether mails that are received from now on are handed on to the relay of the build file.
    ///
    /// # Errors
    /// `Invalid` when the build file names none.
    pub async fn allow_relay(&self, app: &AppName, service: &ServiceName, allow: bool) -> Result<Relay> {
        let word = if allow { "allow" } else { "deny" };
        let relay = self.ask_mail(app, service, &["relay", word]).await?;
        let details = [("service", service.to_string()), ("relay", word.to_owned())];
        self.inner().record_activity(app, "service", "mail", &details).await;
        Ok(relay)
    }

    async fn ask_mail<T: DeserializeOwned>(&self, app: &AppName, service: &ServiceName, words: &[&str]) -> Result<T> {
        let answer = self.run_mail(app, service, words).await?;
        serde_json::from_slice(&answer).map_err(|error| failed(service, error))
    }

    /// Runs the type's command in the service's running server.
    async fn run_mail(&self, app: &AppName, service: &ServiceName, words: &[&str]) -> Result<Vec<u8>> {
        let app = self.seen_app(app).await?;
        let record = app.record();
        let known = record.service(service).and_then(|known| self.inner().catalog.get(&known.type_name));
        let missing = || EngineError::NotFound(format!("The service \"{service}\" does not exist."));
        let kind = known.ok_or_else(missing)?;
        let command = kind.data.as_ref().map(|data| data.mail_command.clone()).unwrap_or_default();
        if command.is_empty() {
            return Err(EngineError::Invalid(format!(
                "The service \"{service}\" keeps no mails: its type is {}.",
                kind.name
            )));
        }
        let observed = app.status.borrow().observed.clone();
        let running = observed.containers.iter().find(|container| {
            let identity = &container.identity;
            identity.purpose == Purpose::Member
                && identity.instance.service == *service
                && container.state == RunState::Running
        });
        let down = || {
            EngineError::Invalid(format!(
                "The service \"{service}\" does not run now: `dotcloud status {service}` says why."
            ))
        };
        let container = running.ok_or_else(down)?;
        let command = command.into_iter().chain(words.iter().map(|&word| word.to_owned())).collect();
        let spec = ExecSpec { command, ..ExecSpec::default() };
        let mut session = self.inner().runtime.exec(&container.id, &spec).await?;
        let (mut answer, mut complaint) = (BytesMut::new(), Words::default());
        while let Some(output) = session.output.recv().await {
            match output? {
                ExecOutput::Stdout(bytes) => answer.extend_from_slice(&bytes),
                ExecOutput::Stderr(bytes) => complaint.hear(&bytes),
                ExecOutput::Exit(0) => return Ok(answer.to_vec()),
                ExecOutput::Exit(code) => return Err(refusal(service, code, &complaint.last_line())),
            }
        }
        Err(failed(service, "the command ended without a word"))
    }
}

fn refusal(service: &ServiceName, code: i64, complaint: &str) -> EngineError {
    let words = complaint.trim();
    match code {
        NO_SUCH_MAIL => EngineError::NotFound(words.to_owned()),
        REFUSED => EngineError::Invalid(words.to_owned()),
        _ => failed(service, format!("the command ended with {code}: {words}")),
    }
}

fn failed(service: &ServiceName, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> EngineError {
    EngineError::Runtime(RuntimeError::Failed {
        attempt: format!("ask {service} for its mails"),
        source: source.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_answers_are_understood() {
        let line = r#"{"number": 3, "received": "2026-01-02T03:04:05.000006Z", "from": "Zo\u00eb <z@x>", "to": "b@x",
            "subject": "", "size": 7, "relay": "failed", "relay_error": "550 no"}"#;
        let mail: Mail = serde_json::from_str(line).unwrap();
        assert_eq!((mail.number, mail.from.as_str(), mail.relay.as_deref()), (3, "Zoë <z@x>", Some("failed")));
        let relay = r#"{"allowed": false, "server": null, "port": 25, "username": null, "queued": 0}"#;
        assert_eq!(serde_json::from_str::<Relay>(relay).unwrap().server, None);
    }

    #[test]
    fn a_missing_mail_is_told_from_a_refusal_and_from_a_failure() {
        let service = "mailer".parse().unwrap();
        assert!(
            matches!(refusal(&service, 3, "There is no mail 7.\n"), EngineError::NotFound(text) if text == "There is no mail 7.")
        );
        assert!(matches!(refusal(&service, 4, "no relay"), EngineError::Invalid(_)));
        assert!(matches!(refusal(&service, 1, "Traceback"), EngineError::Runtime(_)));
    }
}
