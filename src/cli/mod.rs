//! The command line: a thin client of the daemon.
//!
//! One file per verb, with its `Args` (their doc comments are the help) and its `run`. It knows
//! the wire types and never the engine.

pub mod activity;
pub mod app;
pub mod backup;
pub mod build_file;
pub mod completions;
pub mod connect;
pub mod connection;
pub mod connections;
pub mod context;
pub mod copy;
pub mod counts;
pub mod create;
pub mod daemon;
pub mod deploy;
pub mod describe;
pub mod destroy;
pub mod disconnect;
pub mod dlist;
pub mod dlogs;
pub mod doctor;
pub mod down;
pub mod env;
pub mod error;
pub mod exit_codes;
pub mod follow;
pub mod info;
pub mod kill;
pub mod ledger;
pub mod line;
pub mod list;
pub mod logs;
pub mod mail;
pub mod open;
pub mod pack;
pub mod parts;
pub mod pause;
pub mod push;
pub mod race;
pub mod receipt;
pub mod restart;
pub mod restore;
pub mod revisions;
pub mod run;
pub mod scale;
pub mod series;
pub mod snapshot;
pub mod status;
pub mod switchover;
pub mod table;
pub mod target;
pub mod tree;
pub mod ui;
pub mod unpause;
pub mod up;
pub mod url;
pub mod validate;
pub mod watch;

mod command;
mod entry;

pub use command::Cli;
pub use context::{Answers, Context};
pub use entry::main;
pub use error::CliError;
