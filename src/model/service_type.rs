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
