//! The only place of the engine that reads a clock.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Monotonic time since the engine first asked.
pub fn monotonic() -> Duration {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    BEGINNING.get_or_init(Instant::now).elapsed()
}

/// The wall clock, for what outlives the daemon.
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// RFC 3339, UTC, microseconds: what logs and records carry.
pub fn timestamp() -> String {
    format_timestamp(now())
}

/// Milliseconds since 1970, for revision names.
pub fn unix_millis() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

pub fn format_timestamp(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}
