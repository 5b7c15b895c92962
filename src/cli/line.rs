//! A line of a log as text: a deployment's as dotCloud printed it, `HH:MM:SS.ffffff: [www.0]
//! message`; an instance's with who wrote it in a column, `HH:MM:SS.fff www.0 uwsgi | message`.

use anstyle::{AnsiColor, Style};

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

/// The column that says who wrote a line: as wide as the longest so far.
#[derive(Debug, Default)]
pub struct Columns {
    width: usize,
}

/// Red is for errors.
const COLORS: [AnsiColor; 6] =
    [AnsiColor::Cyan, AnsiColor::Yellow, AnsiColor::Green, AnsiColor::Magenta, AnsiColor::Blue, AnsiColor::BrightBlack];
const ERROR: Style = AnsiColor::BrightRed.on_default();

impl Columns {
    /// Prints what an instance wrote on stdout, as text or as one JSON document.
    pub fn print(&mut self, record: &LogRecord, ctx: &Context) {
        if ctx.json {
            ctx.ui.json(record);
        } else {
            ctx.ui.print(self.text(record));
        }
    }

    fn text(&mut self, record: &LogRecord) -> String {
        let (service, number) = (record.service.as_deref().unwrap_or("-"), record.instance.unwrap_or_default());
        let mut author = format!("{service}.{number}");
        if let Some(process) = &record.process {
            author.push(' ');
            author.push_str(process);
        }
        self.width = self.width.max(author.len());
        let time = record.created_at.as_deref().and_then(time_of_day).unwrap_or_default();
        let time = time.get(..12).unwrap_or(time);
        let color = color(service, number);
        let bar = if record.level.as_deref() == Some("ERROR") { ERROR } else { color };
        format!("{time:<12} {color}{author:<width$}{color:#} {bar}|{bar:#} {}", record.message, width = self.width)
    }
}

/// The same for an instance whatever else is printed, different for neighbours.
fn color(service: &str, number: u32) -> Style {
    let sum = service.bytes().map(usize::from).sum::<usize>();
    let place = usize::try_from(number).unwrap_or_default().wrapping_add(sum);
    COLORS[place % COLORS.len()].on_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(instance: u32, process: Option<&str>, level: &str) -> LogRecord {
        LogRecord {
            created_at: Some("2013-06-15T14:34:17.360184Z".to_owned()),
            service: Some("www".to_owned()),
            instance: Some(instance),
            process: process.map(str::to_owned),
            level: Some(level.to_owned()),
            message: "spawned".to_owned(),
            status: None,
        }
    }

    #[test]
    fn authors_stand_in_a_column_with_a_colour_of_their_instance() {
        let mut columns = Columns::default();
        let plain = |text: String| anstream::adapter::strip_str(&text).to_string();
        let wide = columns.text(&said(0, Some("nginx-access"), "INFO"));
        assert_eq!(plain(wide.clone()), "14:34:17.360 www.0 nginx-access | spawned");
        assert_eq!(plain(columns.text(&said(10, None, "INFO"))), "14:34:17.360 www.10             | spawned");
        let error = columns.text(&said(0, Some("uwsgi"), "ERROR"));
        assert_eq!(plain(error.clone()), "14:34:17.360 www.0 uwsgi        | spawned");
        let colored = format!(" {}www.0", color("www", 0));
        assert!(wide.contains(&colored) && error.contains(&colored) && error.contains(&format!("{ERROR}|")));
        assert_ne!(color("www", 0), color("www", 1));
    }

    fn line(created_at: Option<&str>, service: Option<&str>, instance: Option<u32>) -> String {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        text(&LogRecord {
            created_at: owned(created_at),
            service: owned(service),
            instance,
            process: None,
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
