//! `dotcloud validate`: prints everything that is wrong with a build file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::build_file::{self, BuildFileError, MissingApproot};
use super::counts;
use crate::buildfile::{self, Diagnostic, Outline, Parsed};

/// Check a build file without building anything
///
/// Prints every finding with its place in the file. The exit code is 0 for a valid file, which
/// may have warnings, and 1 for one with errors.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The build file or its folder [default: dotcloud.yml here or in the nearest folder above]
    #[arg(value_name = "FILE OR FOLDER")]
    pub path: Option<PathBuf>,

    /// Print the services and all findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// Validates the file and prints what was found: for people on stderr, JSON on stdout. Returns the
/// exit code: 0 valid, 1 not.
///
/// # Errors
/// There is no build file, or it cannot be read.
pub fn run(args: &Args) -> Result<u8, BuildFileError> {
    let path = build_file::locate(args.path.as_deref())?;
    let text = build_file::read(&path)?;
    let parsed = validate(&path, &text);
    let name = path.display().to_string();
    if args.json {
        print(&mut anstream::stdout(), &Report::new(&name, &parsed).to_json());
    } else {
        // anstream drops the colours where they are not wanted: pipes, NO_COLOR.
        print(&mut anstream::stderr(), describe(&name, &text, &parsed).trim_end());
    }
    Ok(u8::from(parsed.stack.is_none()))
}

/// A reader that went away, as `head` does, has seen what it wanted.
fn print(to: &mut dyn std::io::Write, text: &str) {
    let _ = writeln!(to, "{text}");
}

fn validate(path: &Path, text: &[u8]) -> Parsed {
    let mut parsed = build_file::parse(text);
    build_file::check_tree(build_file::folder_of(path), &mut parsed, MissingApproot::Warn);
    counts::check(&mut parsed);
    parsed
}

/// All findings and one line of summary.
fn describe(name: &str, text: &[u8], parsed: &Parsed) -> String {
    let mut out = String::new();
    for diagnostic in &parsed.diagnostics {
        out.push_str(&buildfile::render(diagnostic, name, text, true));
        out.push('\n');
    }
    // Writing to a String does not fail.
    let _ = writeln!(out, "{}", summary(name, parsed));
    out
}

fn summary(name: &str, parsed: &Parsed) -> String {
    let errors = parsed.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
    let warnings = parsed.diagnostics.len() - errors;
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let mut parts = Vec::new();
    match &parsed.stack {
        Some(stack) => parts.push(format!("valid, {}", counted(stack.services.len(), "service"))),
        None => parts.push(format!("not valid, {}", counted(errors, "error"))),
    }
    if warnings > 0 {
        parts.push(counted(warnings, "warning"));
    }
    format!("{name}: {}", parts.join(", "))
}

/// The shape of `--json`.
#[derive(Serialize)]
struct Report<'p> {
    file: &'p str,
    valid: bool,
    services: Vec<Service<'p>>,
    diagnostics: Vec<Finding<'p>>,
}

#[derive(Serialize)]
struct Service<'p> {
    name: &'p str,
    #[serde(rename = "type")]
    type_name: &'p str,
}

#[derive(Serialize)]
struct Finding<'p> {
    severity: String,
    line: usize,
    column: usize,
    end_column: usize,
    message: &'p str,
    hint: Option<&'p str>,
    service: Option<&'p str>,
}

impl<'p> Report<'p> {
    fn new(file: &'p str, parsed: &'p Parsed) -> Self {
        let service = |outline: &'p Outline| Service { name: &outline.name, type_name: &outline.type_name };
        Self {
            file,
            valid: parsed.stack.is_some(),
            services: parsed.services.iter().map(service).collect(),
            diagnostics: parsed.diagnostics.iter().map(Finding::new).collect(),
        }
    }

    fn to_json(&self) -> String {
        // Strings, numbers and booleans alone: nothing that JSON could not hold.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

impl<'p> Finding<'p> {
    fn new(diagnostic: &'p Diagnostic) -> Self {
        Self {
            severity: diagnostic.severity.to_string(),
            line: diagnostic.span.line,
            column: diagnostic.span.column,
            end_column: diagnostic.span.end_column,
            message: &diagnostic.message,
            hint: diagnostic.hint.as_deref(),
            service: diagnostic.service.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_names_services_and_places() {
        let parsed = buildfile::parse(b"www:\n  type: pyton\ndb:\n  type: redis\n", &[]);
        let json: serde_json::Value = serde_json::from_str(&Report::new("a.yml", &parsed).to_json()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "file": "a.yml",
                "valid": false,
                "services": [{"name": "www", "type": "pyton"}, {"name": "db", "type": "redis"}],
                "diagnostics": [{
                    "severity": "error", "line": 2, "column": 9, "end_column": 14,
                    "message": "Unknown service type \"pyton\"",
                    "hint": "Did you mean \"python\"?", "service": "www",
                }],
            })
        );
    }

    #[test]
    fn summary_counts_what_was_found() {
        let summary = |text: &str| summary("a.yml", &buildfile::parse(text.as_bytes(), &[]));
        assert_eq!(summary("www:\n  type: static\n"), "a.yml: valid, 1 service");
        assert_eq!(summary("www:\n  type: opa\ndb:\n  type: redis\n"), "a.yml: valid, 2 services, 1 warning");
        assert_eq!(summary("www:\n  env: x\n"), "a.yml: not valid, 1 error, 1 warning");
    }

    #[test]
    fn exit_code_tells_valid_from_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dotcloud.yml");
        for (text, code) in [("www:\n  type: static\n", 0), ("www: static\n", 1)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(run(&Args { path: Some(dir.path().to_owned()), json: false }).unwrap(), code);
        }
    }
}
