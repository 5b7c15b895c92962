//! What the values of `config:` may be that a type knows (platform.md, §5).
//!
//! What a server of ours cannot start with is an error: it could not have worked on dotCloud
//! either. Where anything was taken, a value is understood as it was, and a warning says how.

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// A whole number in this range, both ends included.
    Number { least: u64, most: u64 },
    /// [`TRUE`] or [`FALSE`]; anything else counts as what is given here.
    Truth { else_is: bool },
    /// One of these words.
    Word(&'static [&'static str]),
    /// Whatever is written: versions (the nearest is used), names, passwords.
    Anything,
}

/// A known key of `config:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    pub types: &'static [&'static str],
    pub key: &'static str,
    pub takes: Takes,
    /// A unit or a meaning, for hints: `megabytes`.
    pub unit: &'static str,
}

/// Words for yes and no, in small letters.
pub const TRUE: &[&str] = &["true", "yes", "on", "1"];
pub const FALSE: &[&str] = &["false", "no", "off", "0"];

const fn number(
    types: &'static [&'static str],
    key: &'static str,
    least: u64,
    most: u64,
    unit: &'static str,
) -> Setting {
    Setting { types, key, takes: Takes::Number { least, most }, unit }
}

const fn truth(types: &'static [&'static str], key: &'static str, else_is: bool) -> Setting {
    Setting { types, key, takes: Takes::Truth { else_is }, unit: "" }
}

const fn word(types: &'static [&'static str], key: &'static str, words: &'static [&'static str]) -> Setting {
    Setting { types, key, takes: Takes::Word(words), unit: "" }
}

const fn anything(types: &'static [&'static str], key: &'static str) -> Setting {
    Setting { types, key, takes: Takes::Anything, unit: "" }
}

const MONGODB: &[&str] = &["mongodb"];
const PYTHON: &[&str] = &["python"];
const SMTP: &[&str] = &["smtp"];

/// Every setting that a type of ours knows. Of `replication` the first word is the default: it says
/// whether a write waits until a slave has it.
pub const SETTINGS: &[Setting] = &[
    number(MONGODB, "mongodb_oplog_size", 1, 1_048_576, "megabytes"),
    truth(MONGODB, "mongodb_noprealloc", false),
    truth(MONGODB, "mongodb_nopreallocj", false),
    truth(MONGODB, "mongodb_smallfiles", false),
    anything(&["nodejs"], "node_version"),
    anything(&["php", "php-worker"], "php_version"),
    number(&["php"], "phpfpm_processes", 1, 1024, "processes"),
    anything(&["python", "python-worker"], "python_version"),
    number(PYTHON, "uwsgi_processes", 1, 1024, "processes"),
    number(PYTHON, "uwsgi_buffer_size", 1, 1_048_576, "bytes"),
    number(PYTHON, "uwsgi_harakiri", 0, 86_400, "seconds; 0 is for ever"),
    truth(PYTHON, "uwsgi_memory_report", false),
    truth(PYTHON, "uwsgi_enable_threads", false),
    truth(PYTHON, "uwsgi_single_interpreter", false),
    word(MONGODB, "replication", &["sync", "async"]),
    word(&["mysql", "mysql-masterslave"], "replication", &["semisync", "async", "sync"]),
    word(&["postgresql", "postgis"], "replication", &["sync", "async"]),
    word(&["redis"], "replication", &["async", "sync"]),
    anything(SMTP, "smtp_relay_server"),
    number(SMTP, "smtp_relay_port", 1, 65_535, "a TCP port"),
    anything(SMTP, "smtp_relay_username"),
    anything(SMTP, "smtp_relay_password"),
    truth(&["solr"], "solr_authentication", true),
];

/// The setting of this name, with `_` in the place of `-`; `None` where the type has none.
pub fn setting(type_name: &str, key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key && setting.types.contains(&type_name))
}

impl Takes {
    /// Whether a value can be what it was meant to be.
    pub fn accepts(&self, text: &str) -> bool {
        let number = || text.parse::<u64>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        match self {
            Self::Number { least, most } => number().is_some_and(|number| (*least..=*most).contains(&number)),
            Self::Truth { .. } => [TRUE, FALSE].concat().contains(&text.to_lowercase().as_str()),
            Self::Word(words) => words.contains(&text),
            Self::Anything => true,
        }
    }
}
