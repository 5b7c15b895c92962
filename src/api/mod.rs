//! The REST interface: what travels ([`types`]), who asks ([`client`]), who answers ([`server`]).
//!
//! The shapes are dotCloud's own, so that its CLI 0.9 works unmodified; our extensions live in
//! the same tree and are listed in [`server`].

pub mod client;
pub mod home;
pub mod server;
pub mod types;
