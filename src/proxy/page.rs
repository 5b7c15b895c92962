//! The answers the proxy gives itself: what failed, for which service, and why, as HTML,
//! plain text or JSON.

use std::fmt::Write as _;

use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Response, StatusCode};

use super::reply::Reply;
use super::service::LiveService;

/// Hosts a 404 page lists at most.
const HOSTS_MAX: usize = 50;

/// An answer that no instance gave.
#[derive(Debug)]
pub(super) struct Refusal {
    pub status: StatusCode,
    /// One sentence: the cause.
    cause: String,
    /// Application and service, once they are known.
    place: Option<(String, String)>,
    hosts: Vec<String>,
}

/// What the client reads, by its `Accept`; HTML unless it asks for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Html,
    Plain,
    Json,
}

// === impl Refusal ===

impl Refusal {
    pub fn of(service: &LiveService, status: StatusCode, cause: impl Into<String>) -> Self {
        let place = Some((service.app.to_string(), service.service.to_string()));
        Self { status, cause: cause.into(), place, hosts: Vec::new() }
    }

    pub fn unknown_host(host: &str, mut known: Vec<String>) -> Self {
        let cause = match host {
            "" => "The request names no host.".to_owned(),
            host => format!("No application answers to the host \"{host}\"."),
        };
        known.truncate(HOSTS_MAX);
        Self { status: StatusCode::NOT_FOUND, cause, place: None, hosts: known }
    }

    pub fn respond(&self, format: Format) -> Response<Reply> {
        let (kind, text) = match format {
            Format::Html => ("text/html; charset=utf-8", self.html()),
            Format::Plain => ("text/plain; charset=utf-8", self.plain()),
            Format::Json => ("application/json", self.json()),
        };
        let mut response = Response::new(Reply::page(text));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    fn title(&self) -> String {
        format!("{} {}", self.status.as_u16(), self.status.canonical_reason().unwrap_or("Error"))
    }

    fn plain(&self) -> String {
        let mut text = format!("{}\n\n{}\n", self.title(), self.cause);
        if let Some((app, service)) = &self.place {
            let _ = write!(text, "\napplication: {app}\nservice:     {service}\n");
        }
        if !self.hosts.is_empty() {
            let _ = write!(text, "\nKnown hosts:\n  {}\n", self.hosts.join("\n  "));
        }
        text
    }

    fn html(&self) -> String {
        let title = escape(&self.title());
        let mut body = format!("<h1>{title}</h1>\n<p>{}</p>\n", escape(&self.cause));
        if let Some((app, service)) = &self.place {
            let (app, service) = (escape(app), escape(service));
            let _ = writeln!(
                body,
                "<p>Application <b>{app}</b>, service <b>{service}</b>. \
                 Its log: <code>dotcloud -A {app} logs {service}</code></p>"
            );
        }
        if !self.hosts.is_empty() {
            let item = |host: &String| format!("<li>{}</li>", escape(host));
            let items: String = self.hosts.iter().map(item).collect();
            let _ = writeln!(body, "<p>Known hosts:</p>\n<ul>{items}</ul>");
        }
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
             <style>body{{font:16px/1.5 sans-serif;max-width:40em;margin:4em auto;padding:0 1em}}</style>\
             </head><body>\n{body}</body></html>\n"
        )
    }

    fn json(&self) -> String {
        let mut error = serde_json::json!({ "status": self.status.as_u16(), "cause": self.cause });
        if let Some((app, service)) = &self.place {
            error["application"] = app.as_str().into();
            error["service"] = service.as_str().into();
        }
        if !self.hosts.is_empty() {
            error["hosts"] = self.hosts.clone().into();
        }
        format!("{}\n", serde_json::json!({ "error": error }))
    }
}

// === impl Format ===

impl Format {
    pub fn of(headers: &HeaderMap) -> Self {
        let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        match accept {
            accept if accept.contains("text/html") => Self::Html,
            accept if accept.contains("json") => Self::Json,
            accept if accept.contains("text/plain") => Self::Plain,
            _ => Self::Html,
        }
    }
}

/// For text and double-quoted attributes.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(accept: &'static str) -> Format {
        Format::of(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]))
    }

    #[test]
    fn the_client_chooses_the_format() {
        assert_eq!(format("*/*"), Format::Html);
        assert_eq!(format("text/html,application/xhtml+xml,*/*;q=0.8"), Format::Html);
        assert_eq!(format("application/json, text/plain, */*"), Format::Json);
        assert_eq!(format("text/plain"), Format::Plain);
    }

    #[test]
    fn what_the_client_sent_is_escaped() {
        let page = Refusal::unknown_host("<script>\"&", vec!["www.a.localhost".into()]);
        assert!(page.html().contains("&lt;script&gt;&quot;&amp;"));
        assert!(page.html().contains("<li>www.a.localhost</li>"));
        assert!(page.json().contains("\"hosts\":[\"www.a.localhost\"]"));
        assert!(page.plain().starts_with("404 Not Found\n\nNo application answers"));
    }
}
