//! The room's claims, told on whole files.

mod example;
mod findings;
mod hostile;
mod meaning;
mod properties;
mod settings;

use super::*;
use crate::model::{ServiceSpec, Stack};

/// All findings of a text as a person reads them.
fn rendered(text: &str) -> String {
    let parsed = parse(text.as_bytes(), &[]);
    let findings = parsed.diagnostics.iter();
    findings.map(|finding| render(finding, "dotcloud.yml", text.as_bytes(), false)).collect::<Vec<_>>().join("\n")
}

/// The services of a text that must be valid and without warnings.
fn stack(text: &str) -> Stack {
    let parsed = parse(text.as_bytes(), &[]);
    assert!(parsed.diagnostics.is_empty(), "{}", rendered(text));
    parsed.stack.unwrap()
}

/// The one service of a text that must be valid; warnings are allowed.
fn service(text: &str) -> ServiceSpec {
    let parsed = parse(text.as_bytes(), &[]);
    let stack = parsed.stack.unwrap_or_else(|| panic!("{}", rendered(text)));
    assert_eq!(stack.services.len(), 1);
    stack.services.into_iter().next().unwrap()
}

/// The messages of a text, each with its severity, line and column.
fn messages(text: &str) -> Vec<String> {
    let parsed = parse(text.as_bytes(), &[]);
    let message = |finding: &Diagnostic| {
        format!("{} {}:{} {}", finding.severity, finding.span.line, finding.span.column, finding.message)
    };
    parsed.diagnostics.iter().map(message).collect()
}
