//! Numbers of instances that a service's type does not have: ignored or refused by the platform,
//! and said while the file is being written.

use crate::buildfile::{Diagnostic, Outline, Parsed, Severity};
use crate::catalog::{Catalog, Count};

/// Adds what the types that this program carries have against a file's numbers. A number that is
/// refused makes the file unusable.
pub fn check(parsed: &mut Parsed) {
    // A template of ours that is wrong is another program's business.
    let Ok(catalog) = Catalog::embedded() else { return };
    let found: Vec<Diagnostic> = parsed.services.iter().filter_map(|service| finding(&catalog, service)).collect();
    if found.iter().any(Diagnostic::is_error) {
        parsed.stack = None;
    }
    parsed.diagnostics.extend(found);
    parsed.diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
}

fn finding(catalog: &Catalog, service: &Outline) -> Option<Diagnostic> {
    let (kind, written) = (catalog.get(&service.type_name)?, service.instances?);
    let first = kind.first_count(written.number);
    let (severity, message, why) = match kind.count(written.number) {
        Count::Fits => return None,
        Count::Ignored(why) => {
            (Severity::Warning, format!("{} instances are ignored: it begins with {first}", written.number), why)
        }
        Count::Refused(why) => (Severity::Error, format!("{} instances are too many", written.number), why),
    };
    let hint = Some(why[..1].to_uppercase() + &why[1..]);
    Some(Diagnostic { severity, span: written.span, message, hint, service: Some(service.name.clone()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> (bool, Vec<String>) {
        let mut parsed = crate::buildfile::parse(text.as_bytes(), &[]);
        check(&mut parsed);
        let text = |one: &Diagnostic| format!("{} {}:{} {}", one.severity, one.span.line, one.span.column, one.message);
        (parsed.stack.is_some(), parsed.diagnostics.iter().map(text).collect())
    }

    #[test]
    fn numbers_that_a_type_does_not_have_are_shown_where_they_stand() {
        let (valid, found) = findings("db:\n  type: mongodb\n  instances: 2\n");
        assert!(valid);
        assert_eq!(found, ["warning 3:14 2 instances are ignored: it begins with 1"]);
        let (valid, found) = findings("db:\n  type: mongodb\n  instances: 7\n");
        assert!(!valid);
        assert_eq!(found, ["error 3:14 7 instances are too many"]);
        assert_eq!(findings("db:\n  type: mongodb\n  instances: 3\n"), (true, Vec::new()));
        assert_eq!(findings("db:\n  type: redis\n  instances: 2\n"), (true, Vec::new()));
    }
}
