//! Faults on purpose: whom they hit, when, and in which order.
//!
//! Pure: a schedule is a function of its seed, so that a run that broke something can be
//! repeated. How a fault is done is not known here.

mod aim;
mod schedule;
mod span;

pub use aim::{Aim, AimError, Place};
pub use schedule::{Schedule, Stroke};
pub use span::{SpanError, parse_span};
