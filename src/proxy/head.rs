//! Header fields: who is asked for, what stays on one hop, what the next one is told.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, Entry, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::PathAndQuery;
use http::{Uri, request};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// The client's side of a connection.
#[derive(Debug, Clone)]
pub(super) struct ClientSide {
    pub peer: SocketAddr,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The port the client connected to.
    pub port: u16,
}

/// The host a request is for: of the absolute URI, else of `Host`; lower case, without port
/// and trailing dot. Empty when it names none.
pub(super) fn host_of(uri: &Uri, headers: &HeaderMap) -> String {
    let named = uri.authority().map(|authority| authority.as_str());
    let named = named.or_else(|| headers.get(HOST).and_then(|host| host.to_str().ok())).unwrap_or_default();
    let host = match named.rsplit_once('@').map_or(named, |(_, host)| host) {
        v6 if v6.starts_with('[') => v6.split_inclusive(']').next().unwrap_or(v6),
        plain => plain.split(':').next().unwrap_or(plain),
    };
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Turns a request as it came into one for the backend; `upgrade` is the protocol it asks for.
pub(super) fn prepare_request(head: &mut request::Parts, client: &ClientSide, upgrade: Option<HeaderValue>) {
    name_host(head);
    strip_hop(&mut head.headers);
    head.headers.remove(EXPECT);
    forward_client(&mut head.headers, client);
    if let Some(protocol) = upgrade {
        mark_upgrade(&mut head.headers, protocol);
    }
    head.version = http::Version::HTTP_11;
    head.extensions.clear();
}

/// Absolute form becomes origin form, its authority the `Host` (RFC 9112, 3.2.2).
fn name_host(head: &mut request::Parts) {
    let Some(authority) = head.uri.authority() else { return };
    if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
        head.headers.insert(HOST, host);
    }
    let path = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    head.uri = Uri::from(path);
}

fn forward_client(headers: &mut HeaderMap, client: &ClientSide) {
    let ip = client.peer.ip().to_canonical();
    let Ok(value) = HeaderValue::try_from(ip.to_string()) else { return };
    append_list(headers, FORWARDED_FOR, ip, &value);
    headers.insert(REAL_IP, value);
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(client.scheme));
    headers.insert(FORWARDED_PORT, HeaderValue::from(client.port));
}

/// One field with one list: some servers read only the first field.
fn append_list(headers: &mut HeaderMap, name: HeaderName, ip: IpAddr, value: &HeaderValue) {
    match headers.entry(name) {
        Entry::Vacant(vacant) => {
            vacant.insert(value.clone());
        }
        Entry::Occupied(mut occupied) => {
            let before: Vec<Cow<'_, str>> =
                occupied.iter().map(|field| String::from_utf8_lossy(field.as_bytes())).collect();
            let list = HeaderValue::try_from(format!("{}, {ip}", before.join(", ")));
            occupied.insert(list.unwrap_or_else(|_| value.clone()));
        }
    }
}

/// Removes what concerns only the connection it came on (RFC 9110, 7.6.1).
pub(super) fn strip_hop(headers: &mut HeaderMap) {
    for named in named_by_connection(headers) {
        headers.remove(named);
    }
    if headers.remove(TRANSFER_ENCODING).is_some() {
        headers.remove(CONTENT_LENGTH);
    }
    for name in [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, UPGRADE] {
        headers.remove(name);
    }
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let fields = headers.get_all(CONNECTION).iter().filter_map(|field| field.to_str().ok());
    let tokens = fields.flat_map(|field| field.split(',')).map(str::trim);
    let removable = |name: &HeaderName| *name != HOST && *name != CONTENT_LENGTH;
    tokens.filter_map(|token| token.parse().ok()).filter(removable).collect()
}

/// The protocol a message upgrades to: `Connection: upgrade` with an `Upgrade` field.
pub(super) fn upgrade_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let protocol = headers.get(UPGRADE)?;
    named_by_connection(headers).contains(&UPGRADE).then(|| protocol.clone())
}

pub(super) fn mark_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn hosts_are_found_in_uri_and_field_without_port_dot_and_case() {
        let host = |uri: &str, field: &'static str| host_of(&uri.parse().unwrap(), &headers(&[("host", field)]));
        assert_eq!(host("/", "WWW.App.localhost.:8080"), "www.app.localhost");
        assert_eq!(host("http://b.localhost:80/x", "a.localhost"), "b.localhost");
        assert_eq!(host("/", "[::1]:8080"), "[::1]");
        assert_eq!(host("/", "a"), "a");
    }

    #[test]
    fn fields_of_one_hop_do_not_travel() {
        let mut all = headers(&[
            ("connection", "close, X-Secret, host"),
            ("x-secret", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("host", "kept"),
            ("x-kept", "1"),
        ]);
        strip_hop(&mut all);
        let left: Vec<_> = all.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["host", "x-kept"]);
    }

    #[test]
    fn upgrade_needs_both_fields() {
        let asked = headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
        assert_eq!(upgrade_of(&asked).unwrap(), "websocket");
        assert_eq!(upgrade_of(&headers(&[("upgrade", "h2c")])), None);
    }

    #[test]
    fn forwarded_for_is_appended_to_one_list() {
        let mut all = headers(&[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-proto", "https")]);
        all.append("x-forwarded-for", HeaderValue::from_static("2.2.2.2"));
        let client = ClientSide { peer: "[::ffff:3.3.3.3]:1".parse().unwrap(), scheme: "http", port: 8080 };
        forward_client(&mut all, &client);
        assert_eq!(all.get_all("x-forwarded-for").iter().collect::<Vec<_>>(), ["1.1.1.1, 2.2.2.2, 3.3.3.3"]);
        assert_eq!(all["x-real-ip"], "3.3.3.3");
        assert_eq!(all["x-forwarded-proto"], "http");
        assert_eq!(all["x-forwarded-port"], "8080");
    }
}
