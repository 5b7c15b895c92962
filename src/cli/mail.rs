//! `dotcloud mail`: what a mail catcher has caught.

use std::io::Write;

use crate::api::types::{Attachment, Mail, Relay, ShownMail};
use crate::model::{AppName, ServiceName};

use super::dlist::moment;
use super::table::{row, size, table};
use super::{CliError, Context};

/// List and show the mails that an smtp service has caught
///
/// Every mail is kept and none leaves this machine, unless `dotcloud mail relay --allow` permits
/// handing on to the relay that the build file names.
#[derive(Debug, Clone, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(flatten)]
    of: Of,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Clone, clap::Args)]
struct Of {
    /// The smtp service [default: the only one]
    service: Option<ServiceName>,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Action {
    /// Print one mail: headers decoded, its text, the names of what is attached
    Show {
        number: u64,
        #[command(flatten)]
        of: Of,
        /// As it was received, byte for byte
        #[arg(long)]
        raw: bool,
    },
    /// Remove all mails
    Clear {
        #[command(flatten)]
        of: Of,
    },
    /// Say, or change, whether mails are handed on to the relay of the build file
    Relay {
        #[command(flatten)]
        of: Of,
        /// Hand on what is received from now on
        #[arg(long, conflicts_with = "deny")]
        allow: bool,
        /// Hand nothing on; what still waits is kept here
        #[arg(long)]
        deny: bool,
    },
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    match args.action {
        None => list(&app, args.of, ctx).await?,
        Some(Action::Show { number, of, raw: false }) => show(&app, of, number, ctx).await?,
        Some(Action::Show { number, of, raw: true }) => print_raw(&app, of, number, ctx).await?,
        Some(Action::Clear { of }) => clear(&app, of, ctx).await?,
        Some(Action::Relay { of, allow, deny }) => relay(&app, of, (allow || deny).then_some(allow), ctx).await?,
    }
    Ok(0)
}

/// The service named, else the only one whose address is one for mail.
async fn service(app: &AppName, of: Of, ctx: &Context) -> Result<String, CliError> {
    if let Some(name) = of.service {
        return Ok(name.to_string());
    }
    let all = ctx.client.services(app.as_str()).await?;
    let catches = |address: &Option<String>| address.as_ref().is_some_and(|address| address.starts_with("smtp://"));
    let names: Vec<String> = all.into_iter().filter(|one| catches(&one.address)).map(|one| one.name).collect();
    match names.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(CliError::failed(format!("The application {app} has no service that catches mail."))
            .hint("add one of type smtp to the build file and push")),
        several => Err(CliError::usage("Several services catch mail.")
            .hint(format!("name the one that is meant: {}", several.join(", ")))),
    }
}

async fn list(app: &AppName, of: Of, ctx: &Context) -> Result<(), CliError> {
    let service = service(app, of, ctx).await?;
    let mails = ctx.client.mails(app.as_str(), &service).await?;
    if ctx.json {
        ctx.ui.json(&mails);
    } else if mails.is_empty() {
        ctx.ui.info(format!("No mail has reached {service}"));
    } else {
        let head = row(["n", "date", "from", "to", "subject", "size"]);
        let rows: Vec<_> = std::iter::once(head).chain(mails.iter().map(line)).collect();
        ctx.ui.print(table(&rows));
    }
    Ok(())
}

fn line(mail: &Mail) -> Vec<String> {
    let handed = mail.relay.as_ref().map(|state| format!(" ({state})")).unwrap_or_default();
    let subject = format!("{}{handed}", printable(&mail.subject));
    let [from, to] = [&mail.from, &mail.to].map(|text| printable(text));
    row([&mail.number.to_string(), &moment(&mail.received), &from, &to, &subject, &size(mail.size)])
}

async fn show(app: &AppName, of: Of, number: u64, ctx: &Context) -> Result<(), CliError> {
    let service = service(app, of, ctx).await?;
    let shown = ctx.client.mail(app.as_str(), &service, number).await?;
    match ctx.json {
        true => ctx.ui.json(&shown),
        false => ctx.ui.print(described(&shown)),
    }
    Ok(())
}

fn described(shown: &ShownMail) -> String {
    let mut lines = vec![format!(
        "mail {} of {}, from <{}> to {}",
        shown.mail.number,
        moment(&shown.mail.received),
        printable(&shown.envelope_from),
        printable(&shown.envelope_to.join(", "))
    )];
    if let Some(state) = &shown.mail.relay {
        let error = shown.mail.relay_error.as_ref().map(|error| format!(": {}", printable(error))).unwrap_or_default();
        lines.push(format!("relay: {state}{error}"));
    }
    lines.push(String::new());
    lines.extend(
        shown.headers.iter().map(|header| format!("{}: {}", printable(&header.name), printable(&header.value))),
    );
    lines.push(String::new());
    let text = shown.text.as_deref().unwrap_or("(no text)");
    lines.extend(text.lines().map(printable));
    if !shown.attachments.is_empty() {
        lines.push(String::new());
        lines.extend(shown.attachments.iter().map(attached));
    }
    lines.join("\n")
}

fn attached(one: &Attachment) -> String {
    let name = if one.name.is_empty() { "(no name)".to_owned() } else { printable(&one.name) };
    format!("attached: {name}, {}, {} bytes", printable(&one.media_type), one.size)
}

/// What somebody sent must not command the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c == '\t' || !c.is_control() { c } else { '\u{fffd}' }).collect()
}

async fn print_raw(app: &AppName, of: Of, number: u64, ctx: &Context) -> Result<(), CliError> {
    let service = service(app, of, ctx).await?;
    let bytes = ctx.client.raw_mail(app.as_str(), &service, number).await?;
    let mut out = std::io::stdout().lock();
    match out.write_all(&bytes).and_then(|()| out.flush()) {
        // Whoever reads has enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(|error| CliError::because("cannot print the mail", &error)),
    }
}

async fn clear(app: &AppName, of: Of, ctx: &Context) -> Result<(), CliError> {
    let service = service(app, of, ctx).await?;
    let removed = ctx.client.clear_mails(app.as_str(), &service).await?;
    if ctx.json {
        ctx.ui.json(&serde_json::json!({ "removed": removed }));
    } else {
        ctx.ui.success(format!("{removed} mails of {service} removed"));
    }
    Ok(())
}

async fn relay(app: &AppName, of: Of, allow: Option<bool>, ctx: &Context) -> Result<(), CliError> {
    let service = service(app, of, ctx).await?;
    let relay = match allow {
        Some(allow) => ctx.client.allow_relay(app.as_str(), &service, allow).await?,
        None => ctx.client.relay(app.as_str(), &service).await?,
    };
    match ctx.json {
        true => ctx.ui.json(&relay),
        false => ctx.ui.print(told(&service, &relay)),
    }
    Ok(())
}

fn told(service: &str, relay: &Relay) -> String {
    let Some(server) = &relay.server else {
        return format!("{service} hands nothing on: its build file names no smtp_relay_server");
    };
    let user = relay.username.as_ref().map(|user| format!(" as {user}")).unwrap_or_default();
    let to = format!("{server}:{}{user}", relay.port);
    match relay.allowed {
        true => format!("{service} hands mails on to {to}; {} wait", relay.queued),
        false => format!("{service} hands nothing on; `dotcloud mail relay --allow` permits it to {to}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_cannot_command_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\r\u{9b}c\td"), "a\u{fffd}[31mb\u{fffd}\u{fffd}c\td");
    }

    #[test]
    fn a_relay_is_told_with_what_permits_it() {
        let mut relay = Relay {
            allowed: false,
            server: Some("m.example".into()),
            port: 587,
            username: Some("me".into()),
            queued: 0,
        };
        let text = told("mailer", &relay);
        assert_eq!(text, "mailer hands nothing on; `dotcloud mail relay --allow` permits it to m.example:587 as me");
        (relay.allowed, relay.queued) = (true, 2);
        assert_eq!(told("mailer", &relay), "mailer hands mails on to m.example:587 as me; 2 wait");
    }
}
