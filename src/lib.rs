//! dotcloud-local: the dotCloud platform on one machine, in Docker containers.
//!
//! The rooms and who may import whom are described in `ARCHITECTURE.md` and checked by
//! `tests/architecture.rs`.

pub mod api;
pub mod buildfile;
pub mod catalog;
pub mod cli;
pub mod daemon;
pub mod docker;
pub mod engine;
pub mod failover;
pub mod faults;
pub mod model;
pub mod plan;
pub mod proxy;
pub mod race;
pub mod store;
pub mod watch;
