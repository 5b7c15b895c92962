//! The service types of the platform, by name (platform.md, §5).
//!
//! Names alone: what a type means is in its template. A user's own templates add more types.

/// Every type a build file may ask for without a template of the user's own.
pub const PLATFORM_TYPES: &[&str] = &[
    "cassandra",
    "custom",
    "java",
    "memcached",
    "mongodb",
    "mysql",
    "mysql-masterslave",
    "nodejs",
    "opa",
    "perl",
    "perl-worker",
    "php",
    "php-worker",
    "postgis",
    "postgresql",
    "python",
    "python-worker",
    "rabbitmq",
    "redis",
    "ruby",
    "ruby-worker",
    "smtp",
    "solr",
    "static",
];

/// Those of them that keep state: created by the first push, never touched by later ones.
pub const DATA_TYPES: &[&str] = &[
    "cassandra",
    "memcached",
    "mongodb",
    "mysql",
    "mysql-masterslave",
    "postgis",
    "postgresql",
    "rabbitmq",
    "redis",
    "smtp",
    "solr",
];

/// Types the platform had withdrawn: still understood, with a warning.
pub const RETIRED_TYPES: &[&str] = &["opa"];

/// What `config.replication` may be, by type; the first is the type's default. Whether a write
/// waits until a slave has it: `async` says that it does not.
pub const REPLICATION: &[(&str, &[&str])] = &[
    ("mongodb", &["sync", "async"]),
    ("mysql", &["semisync", "async", "sync"]),
    ("mysql-masterslave", &["semisync", "async", "sync"]),
    ("postgis", &["sync", "async"]),
    ("postgresql", &["sync", "async"]),
    ("redis", &["async", "sync"]),
];
