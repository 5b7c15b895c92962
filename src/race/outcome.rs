//! What became of one update request.

use std::fmt;

use serde::Serialize;

/// One request of a race, sent exactly once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its number, from 0, in the order of sending.
    pub request: u64,
    pub verdict: Verdict,
    /// Who says to have done it; `None` when the answer does not tell or there is none.
    pub answered_by: Option<AnsweredBy>,
    /// The counter's value after this update, as the answer claims.
    pub value: Option<i64>,
}

/// Whether the client may count on an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A 2xx answer: the application promised that the update was done.
    Acknowledged,
    /// It certainly was not done: no connection was made, or a 4xx answer came.
    Refused { why: String },
    /// It may or may not have been done: a 5xx answer, a lost connection, a time-out.
    Unknown { why: String },
}

/// The process that handled a request. Ordered by instance, then worker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct AnsweredBy {
    /// `www.2`
    pub instance: String,
    /// The worker's number within its instance, from 1; `None` when the answer does not tell.
    pub worker: Option<u32>,
}

impl fmt::Display for AnsweredBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.worker {
            Some(worker) => write!(f, "{} worker {worker}", self.instance),
            None => f.write_str(&self.instance),
        }
    }
}
