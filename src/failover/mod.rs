//! Who is master: the state machine of a replicated group and the judgement in it.
//!
//! Pure, in the manner of quinn: [`Group::handle`] takes `now` and an [`Event`] and returns
//! [`Action`]s; [`Group::next_timeout`] says when to call again. It must not know of sockets,
//! containers, tasks or clocks: `engine::driver` performs what is decided here, and the
//! scenarios perform it on simulated servers.
//!
//! - `edges`: every permitted change of phase, as a table; the documentation's diagram comes from it.
//! - `group`: the machine. - `elect`: which member may be master, as functions.
//! - `kinship`: whether one member can follow another, from what both say.
//! - `electorate`: the machine of groups whose members elect among themselves. - `machine`: either.
//! - Of both: `config` (how patient), `book` (what the ledger says), `roster` (the members and their
//!   processes), `front` (orders to it), `wish` (a switchover), `restart` (on purpose), `accounts`.
//! - `ballot`: what such members say and are asked. - `dialect`: how a server is asked and told things.

mod accounts;
pub mod ballot;
mod book;
mod config;
pub mod dialect;
pub mod edges;
pub mod elect;
pub mod electorate;
pub mod event;
mod front;
pub mod group;
pub mod kinship;
pub mod machine;
mod restart;
mod roster;
mod wish;

pub use config::Config;
pub use edges::{Phase, diagram};
pub use electorate::Electorate;
pub use event::{Account, Action, Event, Joint, Miss, Moment, Seat, Server};
pub use group::Group;
pub use machine::Machine;
