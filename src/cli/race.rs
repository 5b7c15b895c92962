//! `dotcloud race`: update one counter from many clients at once and count what is left of it.

pub mod connection;
pub mod load;
