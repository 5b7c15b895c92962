//! Who may ask: a trusted socket, or the holder of the API key.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::refuse::ApiError;
use crate::api::types::ErrorKind;

/// How a listener knows who asks.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Whoever can open the socket is the user: its folder is private.
    Trusted,
    /// HTTP Basic with the key's two halves, as the original client does it.
    Key(ApiKey),
}

/// dotCloud's key: 20 word characters, a colon, 40 word characters.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

impl ApiKey {
    /// The key in this file, which is made (0600) when it is missing.
    ///
    /// # Errors
    /// The file cannot be used or holds no key.
    pub fn load_or_create(path: &Path) -> io::Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(text.trim())
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a key of the form 20:40 characters")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(path),
            Err(error) => Err(error),
        }
    }

    /// The two halves with a colon between them, for `dotcloud setup --api-key`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn create(path: &Path) -> io::Result<Self> {
        let key = Self(format!("{}:{}", random_word(20)?, random_word(40)?));
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(format!("{}\n", key.0).as_bytes())?;
        file.sync_all()?;
        Ok(key)
    }

    fn parse(text: &str) -> Option<Self> {
        let word = |text: &str| text.bytes().all(|c| LETTERS.contains(&c));
        let (user, secret) = text.split_once(':')?;
        (user.len() == 20 && secret.len() == 40 && word(user) && word(secret)).then(|| Self(text.to_owned()))
    }

    fn opens_for(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let encoded =
            given.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
        let decoded = encoded.and_then(|(_, encoded)| STANDARD.decode(encoded.trim()).ok());
        decoded.is_some_and(|key| same(&key, self.0.as_bytes()))
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// Letters that are equally likely: bytes above the largest multiple of their number are left out.
fn random_word(length: usize) -> io::Result<String> {
    let fair = 256 / LETTERS.len() * LETTERS.len();
    let mut word = String::with_capacity(length);
    while word.len() < length {
        let mut byte = [0];
        getrandom::fill(&mut byte).map_err(io::Error::other)?;
        if usize::from(byte[0]) < fair {
            word.push(char::from(LETTERS[usize::from(byte[0]) % LETTERS.len()]));
        }
    }
    Ok(word)
}

/// Compares in a time that depends on the length alone.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
}

pub(super) async fn admit(State(auth): State<Auth>, request: Request, next: Next) -> Response {
    match &auth {
        Auth::Key(key) if !key.opens_for(request.headers()) => {
            let refused = ApiError::new(
                StatusCode::UNAUTHORIZED,
                ErrorKind::Unauthorized,
                "This port asks for the API key: it is in the file api-key of the daemon's home.",
            );
            let mut response = refused.into_response();
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"dotcloud\""));
            response
        }
        _ => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn key_is_made_once_and_private() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("api-key");
        let key = ApiKey::load_or_create(&path).unwrap();
        assert_eq!(ApiKey::load_or_create(&path).unwrap(), key);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!((key.as_str().len(), key.as_str().find(':')), (61, Some(20)));
        std::fs::write(&path, "short:key").unwrap();
        assert!(ApiKey::load_or_create(&path).is_err());
    }

    #[test]
    fn only_the_whole_key_opens() {
        let key = ApiKey(format!("{}:{}", "a".repeat(20), "b".repeat(40)));
        let asks = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            key.opens_for(&headers)
        };
        assert!(asks(&format!("Basic {}", STANDARD.encode(key.as_str()))));
        assert!(asks(&format!("basic {}", STANDARD.encode(key.as_str()))));
        assert!(!asks(&format!("Basic {}", STANDARD.encode(&key.as_str()[..60]))));
        assert!(!asks(&format!("Bearer {}", STANDARD.encode(key.as_str()))));
        assert!(!asks("Basic !!!"));
        assert!(!key.opens_for(&HeaderMap::new()));
    }
}
