//! The command line: a thin client of the daemon.
//!
//! One file per verb, with its `Args` (their doc comments are the help) and its `run`. It knows
//! the wire types and never the engine.

pub mod connection;
pub mod context;
pub mod error;
pub mod race;
pub mod ui;

pub use context::{Answers, Context};
pub use error::CliError;
