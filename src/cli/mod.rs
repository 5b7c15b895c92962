//! To be written.

pub mod build_file;
pub mod pack;
pub mod validate;
