//! To be written.

pub mod race;
