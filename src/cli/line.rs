//! A line of a log as text: `HH:MM:SS.ffffff: [www.0] message`, as dotCloud printed it.

use crate::api::types::LogRecord;

use super::Context;

/// Prints a record on stdout, as text or as one JSON document.
pub fn print(record: &LogRecord, ctx: &Context) {
    if ctx.json {
        ctx.ui.json(record);
    } else if record.level.as_deref() == Some("ERROR") && record.status.is_none() {
        ctx.ui.print_error(text(record));
    } else {
        ctx.ui.print(text(record));
    }
}

pub fn text(record: &LogRecord) -> String {
    let time = record.created_at.as_deref().and_then(time_of_day).map(|time| format!("{time}: ")).unwrap_or_default();
    let origin = match (&record.service, record.instance) {
        (Some(service), Some(instance)) => format!("[{service}.{instance}]"),
        (Some(service), None) => format!("[{service}]"),
        (None, _) => "-->".to_owned(),
    };
    format!("{time}{origin} {}", record.message)
}

/// `2013-06-15T14:34:17.360184Z` -> `14:34:17.360184`.
fn time_of_day(created_at: &str) -> Option<&str> {
    let (_, time) = created_at.split_once('T')?;
    let time = time.trim_end_matches('Z');
    Some(time.trim_end_matches(".000000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(created_at: Option<&str>, service: Option<&str>, instance: Option<u32>) -> String {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        text(&LogRecord {
            created_at: owned(created_at),
            service: owned(service),
            instance,
            level: None,
            message: "Launching...".to_owned(),
            status: None,
        })
    }

    #[test]
    fn lines_look_as_they_did() {
        let at = Some("2013-06-15T14:34:17.360184Z");
        assert_eq!(line(at, Some("www"), Some(0)), "14:34:17.360184: [www.0] Launching...");
        assert_eq!(line(at, Some("www"), None), "14:34:17.360184: [www] Launching...");
        assert_eq!(line(Some("2013-06-15T14:34:17.000000Z"), None, None), "14:34:17: --> Launching...");
        assert_eq!(line(None, Some("db"), Some(1)), "[db.1] Launching...");
    }
}
