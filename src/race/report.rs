//! From outcomes to the balance: acknowledged against applied.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::Serialize;

use super::{AnsweredBy, Outcome, Verdict};

/// Everything a race has shown.
#[derive(Debug, Clone)]
pub struct Observation<'a> {
    /// The counter before the first and after the last request.
    pub initial: i64,
    pub last: i64,
    pub outcomes: &'a [Outcome],
}

/// The balance of one race. Each acknowledged request should have added exactly one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub sent: u64,
    pub acknowledged: u64,
    /// `refused` + `unknown`.
    pub failed: u64,
    /// Failed and certainly not applied.
    pub refused: u64,
    /// Failed, and perhaps applied all the same.
    pub unknown: u64,
    pub initial: i64,
    #[serde(rename = "final")]
    pub last: i64,
    /// `final - initial`: how much was really added.
    pub applied: i64,
    /// Acknowledged updates that are not in the counter: `acknowledged - applied`, never below 0.
    /// A lower bound, because an update that was applied without an answer hides a lost one.
    pub lost: u64,
    /// Updates in the counter that nobody was told of: `applied - acknowledged`, never below 0.
    pub applied_but_unacknowledged: u64,
    /// Acknowledged answers that claimed a value somebody else had claimed before.
    pub repeated_answers: u64,
    /// The values behind `repeated_answers`, lowest first.
    pub repeated: Vec<RepeatedValue>,
    /// Acknowledged requests by instance and worker. Worker 0 stands for "did not say".
    pub instances: BTreeMap<String, BTreeMap<u32, u64>>,
    /// The reasons of failed requests and how often each occurred.
    pub failures: BTreeMap<String, u64>,
}

/// One value that several acknowledged updates claimed to have written: they read the same
/// predecessor, so all but one of them are gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepeatedValue {
    pub value: i64,
    pub claims: Vec<Claim>,
}

/// Who claimed a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Claim {
    pub request: u64,
    #[serde(flatten)]
    pub answered_by: Option<AnsweredBy>,
}

/// What the caller wants to be true of a race.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// No update is lost.
    None,
    /// At least one update is lost.
    Some,
}

// === impl Report ===

impl Report {
    pub fn new(observation: &Observation<'_>) -> Self {
        let outcomes = observation.outcomes;
        let count = |is: fn(&Verdict) -> bool| outcomes.iter().filter(|outcome| is(&outcome.verdict)).count() as u64;
        let acknowledged = count(|verdict| matches!(verdict, Verdict::Acknowledged));
        let refused = count(|verdict| matches!(verdict, Verdict::Refused { .. }));
        let unknown = count(|verdict| matches!(verdict, Verdict::Unknown { .. }));
        let applied = observation.last.saturating_sub(observation.initial);
        let difference = i128::from(acknowledged) - i128::from(applied);
        let repeated = repeated_values(outcomes);
        Self {
            sent: outcomes.len() as u64,
            acknowledged,
            failed: refused + unknown,
            refused,
            unknown,
            initial: observation.initial,
            last: observation.last,
            applied,
            lost: clamp(difference),
            applied_but_unacknowledged: clamp(-difference),
            repeated_answers: repeated.iter().map(|value| value.claims.len() as u64 - 1).sum(),
            repeated,
            instances: by_instance(outcomes),
            failures: by_reason(outcomes),
        }
    }

    /// Whether an update was lost: by the balance, or by an answer given twice (which shows
    /// even where an unacknowledged update fills the gap in the balance).
    pub fn lost_some(&self) -> bool {
        self.lost > 0 || self.repeated_answers > 0
    }

    pub fn meets(&self, expectation: Expectation) -> bool {
        self.lost_some() == (expectation == Expectation::Some)
    }
}

fn acknowledged(outcomes: &[Outcome]) -> impl Iterator<Item = &Outcome> {
    outcomes.iter().filter(|outcome| outcome.verdict == Verdict::Acknowledged)
}

fn repeated_values(outcomes: &[Outcome]) -> Vec<RepeatedValue> {
    let mut claims: BTreeMap<i64, Vec<Claim>> = BTreeMap::new();
    for outcome in acknowledged(outcomes) {
        let Some(value) = outcome.value else { continue };
        let claim = Claim { request: outcome.request, answered_by: outcome.answered_by.clone() };
        claims.entry(value).or_default().push(claim);
    }
    let repeated = claims.into_iter().filter(|(_, claims)| claims.len() > 1);
    repeated.map(|(value, claims)| RepeatedValue { value, claims }).collect()
}

fn by_instance(outcomes: &[Outcome]) -> BTreeMap<String, BTreeMap<u32, u64>> {
    let mut counts: BTreeMap<String, BTreeMap<u32, u64>> = BTreeMap::new();
    for answered in acknowledged(outcomes).filter_map(|outcome| outcome.answered_by.as_ref()) {
        let worker = answered.worker.unwrap_or(0);
        *counts.entry(answered.instance.clone()).or_default().entry(worker).or_default() += 1;
    }
    counts
}

fn by_reason(outcomes: &[Outcome]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for outcome in outcomes {
        if let Verdict::Refused { why } | Verdict::Unknown { why } = &outcome.verdict {
            *counts.entry(why.clone()).or_default() += 1;
        }
    }
    counts
}

fn clamp(difference: i128) -> u64 {
    u64::try_from(difference.max(0)).unwrap_or(u64::MAX)
}

// === impl Expectation ===

impl FromStr for Expectation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "some" => Ok(Self::Some),
            _ => Err(format!("{text:?} is neither `none` nor `some`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acknowledged(request: u64, value: i64) -> Outcome {
        let answered_by = AnsweredBy { instance: "www.0".to_owned(), worker: Some(1) };
        Outcome { request, verdict: Verdict::Acknowledged, answered_by: Some(answered_by), value: Some(value) }
    }

    fn unknown(request: u64) -> Outcome {
        let verdict = Verdict::Unknown { why: "502".to_owned() };
        Outcome { request, verdict, answered_by: None, value: None }
    }

    fn report(initial: i64, last: i64, outcomes: &[Outcome]) -> Report {
        Report::new(&Observation { initial, last, outcomes })
    }

    #[test]
    fn an_answer_given_twice_is_a_lost_update() {
        let report = report(0, 2, &[acknowledged(0, 1), acknowledged(1, 2), acknowledged(2, 2)]);
        assert_eq!((report.acknowledged, report.applied, report.lost), (3, 2, 1));
        assert_eq!(report.repeated_answers, 1);
        assert_eq!(report.repeated[0].claims.iter().map(|claim| claim.request).collect::<Vec<_>>(), [1, 2]);
        assert!(report.meets(Expectation::Some) && !report.meets(Expectation::None));
    }

    #[test]
    fn an_unanswered_update_that_was_applied_is_not_a_loss() {
        let report = report(10, 12, &[acknowledged(0, 11), unknown(1)]);
        assert_eq!((report.lost, report.applied_but_unacknowledged, report.failed), (0, 1, 1));
        assert!(report.meets(Expectation::None));
    }

    #[test]
    fn a_hidden_loss_is_found_by_the_repeated_answer() {
        let report = report(0, 2, &[acknowledged(0, 1), acknowledged(1, 1), unknown(2)]);
        assert_eq!(report.lost, 0);
        assert!(report.lost_some());
    }

    #[test]
    fn a_counter_that_went_backwards_lost_everything() {
        let report = report(100, 40, &[acknowledged(0, 101)]);
        assert_eq!((report.applied, report.lost), (-60, 61));
    }

    #[test]
    fn no_request_is_no_loss() {
        let report = report(5, 5, &[]);
        assert_eq!((report.sent, report.lost, report.applied_but_unacknowledged), (0, 0, 0));
        assert!(report.meets(Expectation::None));
    }
}
