//! The driver on real Redis servers: deaths, hangs, restarts, switchovers under writes.

mod client;
mod failures;
mod restarts;
mod stage;
mod switchovers;
