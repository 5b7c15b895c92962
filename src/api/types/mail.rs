//! Mails that a service has caught.

use serde::{Deserialize, Serialize};

/// One line of `GET S/mail`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mail {
    /// Never given twice within a service.
    pub number: u64,
    /// RFC 3339.
    pub received: String,
    pub from: String,
    pub to: String,
    pub subject: String,
    /// Bytes, as received.
    pub size: u64,
    /// `queued`, `sent` or `failed`; absent where it is not to be handed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<String>,
    /// What the relay said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay_error: Option<String>,
}

/// `GET S/mail/N`: the whole mail, decoded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShownMail {
    #[serde(flatten)]
    pub mail: Mail,
    pub envelope_from: String,
    pub envelope_to: Vec<String>,
    pub headers: Vec<MailHeader>,
    /// Its text part, else its HTML part.
    #[serde(default)]
    pub text: Option<String>,
    pub attachments: Vec<Attachment>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MailHeader {
    pub name: String,
    pub value: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attachment {
    /// Empty where it has none.
    pub name: String,
    pub media_type: String,
    /// Bytes, decoded.
    pub size: u64,
}

/// Answer to `DELETE S/mail`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cleared {
    pub removed: u64,
}

/// Body of `PUT S/mail/relay`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RelayPermission {
    pub allowed: bool,
}

/// `GET S/mail/relay`: whether mails are handed on, and to whom.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Relay {
    pub allowed: bool,
    /// Absent where the build file names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    pub port: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Mails that wait for it.
    pub queued: u64,
}
