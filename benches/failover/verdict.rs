//! Whether a target was met, in the one form that tables and files have.

use serde_json::{Value, json};

pub fn of(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

/// A row that cannot be measured here says so in the table and in the file.
pub fn skipped(name: &str, why: &str) -> Value {
    println!("{name:<28}skipped: {why}");
    json!({ "fault": name, "verdict": "skipped", "why": why })
}
