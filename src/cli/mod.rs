//! The command line: a thin client of the daemon.
//!
//! One file per verb, with its `Args` (their doc comments are the help) and its `run`. It knows
//! the wire types and never the engine.

pub mod build_file;
pub mod connection;
pub mod context;
pub mod error;
pub mod pack;
pub mod ui;
pub mod validate;

pub use context::{Answers, Context};
pub use error::CliError;
