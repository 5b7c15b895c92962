//! Observe, decide, act: owns every application's state and the trait [`runtime::Runtime`].

pub mod driver;
pub mod group;
pub mod handle;
pub mod runtime;
pub mod view;

pub use handle::{Engine, EngineError};
