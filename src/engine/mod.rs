//! Observe, decide, act: owns every application's state, and the traits [`runtime::Runtime`] and
//! [`traffic::Traffic`] through which it reaches containers and the proxy.
//!
//! State of the world = what is observed + the store. Nothing else matters: kill the daemon at
//! any moment, start it again, and a fresh look continues the work.

mod activity;
mod adopt;
mod aftermath;
mod app;
mod backoff;
pub mod backup;
mod clock;
mod connections;
mod deploy;
mod desired;
mod disks;
mod doctor;
pub mod driver;
mod environment;
mod execute;
pub mod fault;
mod fronts;
pub mod group;
mod groups;
pub mod handle;
mod health;
mod info;
mod inner;
pub mod ledger;
mod lifecycle;
pub mod live;
mod logs;
pub mod mail;
mod naming;
mod pauses;
mod ports;
mod power;
mod publish;
mod reconcile;
mod routes;
pub mod runtime;
mod scale;
mod serving;
pub mod shell;
pub mod snapshot;
mod spec;
mod switchover;
pub mod traffic;
pub mod view;

pub use handle::{Engine, EngineError};
pub use inner::EngineConfig;
