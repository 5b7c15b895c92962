//! Rows of SQL servers.

use std::collections::HashMap;

use super::Reply;

/// A row: its columns by name.
pub(super) struct Fields<'a>(HashMap<&'a str, &'a str>);

impl<'a> Fields<'a> {
    pub fn of(row: Option<&'a Reply>) -> Option<Self> {
        let Some(Reply::List(cells)) = row else { return None };
        let pairs = cells.chunks_exact(2).filter_map(|pair| match pair {
            [Reply::Text(name), Reply::Text(value)] => Some((name.as_str(), value.as_str())),
            _ => None,
        });
        Some(Self(pairs.collect()))
    }

    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).copied()
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// Whether it says yes, as MySQL writes that.
    pub fn flag(&self, name: &str) -> bool {
        self.text(name) == Some("1")
    }
}
