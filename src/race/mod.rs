//! The race lab's arithmetic: what a burst of concurrent updates should have added up to,
//! what it did add up to, and which answers prove the difference.
//!
//! Pure: it is given outcomes and two counter values and must not know how requests travel,
//! what an instance is made of, or what time it is.

mod outcome;
mod render;
mod report;

pub use outcome::{AnsweredBy, Outcome, Verdict};
pub use report::{Expectation, Observation, RepeatedValue, Report};
