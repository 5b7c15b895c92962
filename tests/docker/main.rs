//! The runtime on the real engine. Every test has a home of its own and leaves nothing behind
//! but the type images, which all share.

mod code;
mod containers;
mod environment;
mod members;
mod support;
