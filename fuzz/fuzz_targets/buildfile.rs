//! Any bytes are answered: no panic, every place inside the text, an error whenever there is no stack.

#![no_main]

use dotcloud_local::buildfile::{Diagnostic, parse, render};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let parsed = parse(bytes, &[]);
    let refused = parsed.diagnostics.iter().any(Diagnostic::is_error);
    assert_eq!(parsed.stack.is_none(), refused);
    for finding in &parsed.diagnostics {
        assert!(finding.span.start <= finding.span.end && finding.span.end <= bytes.len());
        assert!(render(finding, "dotcloud.yml", bytes, false).contains('^'));
    }
});
