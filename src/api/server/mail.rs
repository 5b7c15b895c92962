//! Mails that a service has caught: list, read, remove, hand on.

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use serde::Deserialize;

use super::Api;
use super::extract::{At, ServicePath, Told};
use super::respond::{Answer, object, objects};
use crate::api::types::{Attachment, Cleared, Mail, MailHeader, Relay, RelayPermission, ShownMail};
use crate::engine::mail;
use crate::model::{AppName, ServiceName};

const MAIL: &str = "/applications/{app}/services/{service}/mail";

#[derive(Debug, Clone, Deserialize)]
struct MailPath {
    app: AppName,
    service: ServiceName,
    number: u64,
}

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route(MAIL, get(list).delete(clear))
        .route(&format!("{MAIL}/relay"), get(relay).put(permit))
        .route(&format!("{MAIL}/{{number}}"), get(show))
        .route(&format!("{MAIL}/{{number}}/raw"), get(raw))
}

async fn list(State(api): State<Api>, At(at): At<ServicePath>) -> Answer {
    Ok(objects(api.engine.mails(&at.app, &at.service).await?.into_iter().map(line)))
}

async fn clear(State(api): State<Api>, At(at): At<ServicePath>) -> Answer {
    Ok(object(Cleared { removed: api.engine.clear_mails(&at.app, &at.service).await? }))
}

async fn show(State(api): State<Api>, At(at): At<MailPath>) -> Answer {
    Ok(object(whole(api.engine.mail(&at.app, &at.service, at.number).await?)))
}

async fn raw(State(api): State<Api>, At(at): At<MailPath>) -> Answer {
    let bytes = api.engine.raw_mail(&at.app, &at.service, at.number).await?;
    Ok(([(CONTENT_TYPE, "message/rfc822")], bytes).into_response())
}

async fn relay(State(api): State<Api>, At(at): At<ServicePath>) -> Answer {
    Ok(object(state(api.engine.relay(&at.app, &at.service).await?)))
}

async fn permit(State(api): State<Api>, At(at): At<ServicePath>, Told(wanted): Told<RelayPermission>) -> Answer {
    Ok(object(state(api.engine.allow_relay(&at.app, &at.service, wanted.allowed).await?)))
}

fn line(mail: mail::Mail) -> Mail {
    let mail::Mail { number, received, from, to, subject, size, relay, relay_error } = mail;
    Mail { number, received, from, to, subject, size, relay, relay_error }
}

fn whole(shown: mail::ShownMail) -> ShownMail {
    let mail::ShownMail { mail, envelope_from, envelope_to, headers, text, attachments } = shown;
    let header = |mail::Header { name, value }| MailHeader { name, value };
    let attachment = |mail::Attachment { name, media_type, size }| Attachment { name, media_type, size };
    ShownMail {
        mail: line(mail),
        envelope_from,
        envelope_to,
        headers: headers.into_iter().map(header).collect(),
        text,
        attachments: attachments.into_iter().map(attachment).collect(),
    }
}

fn state(relay: mail::Relay) -> Relay {
    let mail::Relay { allowed, server, port, username, queued } = relay;
    Relay { allowed, server, port, username, queued }
}
