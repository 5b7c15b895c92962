//! The report as a person reads it.

use std::collections::BTreeMap;
use std::fmt;

use super::report::{Claim, RepeatedValue};
use super::{AnsweredBy, Report};

const WHY: &str = "\
GET and SET are two commands: two workers that read the same value both write that value plus one,
so two acknowledged updates add one. INCR reads, adds and writes as one command inside the server,
where nobody comes in between, so every acknowledged update is in the sum.
";

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "sent                       {:>8}", self.sent)?;
        writeln!(f, "acknowledged               {:>8}", self.acknowledged)?;
        self.write_failed(f)?;
        writeln!(f, "applied                    {:>8}   counter {} -> {}", self.applied, self.initial, self.last)?;
        writeln!(f, "lost                       {:>8}", self.lost)?;
        writeln!(f, "applied, unacknowledged    {:>8}", self.applied_but_unacknowledged)?;
        self.write_repeated(f)?;
        self.write_instances(f)?;
        writeln!(f, "\n{}\n{WHY}", self.verdict())
    }
}

impl Report {
    /// The outcome in one sentence.
    pub fn verdict(&self) -> String {
        match (self.lost, self.repeated_answers) {
            (0, 0) => format!("No update was lost: all {} acknowledged ones are in the counter.", self.acknowledged),
            (0, repeated) => format!("Updates were lost: {repeated} answers claim a value that was already taken."),
            (lost, _) => format!("{lost} of {} acknowledged updates were lost.", self.acknowledged),
        }
    }

    fn write_failed(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed                     {:>8}", self.failed)?;
        if self.failed > 0 {
            write!(f, "   {} certainly not applied, {} unknown", self.refused, self.unknown)?;
        }
        writeln!(f)?;
        for (why, count) in &self.failures {
            writeln!(f, "    {count} x {why}")?;
        }
        Ok(())
    }

    fn write_repeated(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "answers given twice        {:>8}", self.repeated_answers)?;
        if let Some(RepeatedValue { value, claims }) = self.repeated.first() {
            let named = claims.iter().take(2).map(Claim::to_string).collect::<Vec<_>>().join(" and ");
            write!(f, "   first: {value}, to {named}")?;
            if claims.len() > 2 {
                write!(f, " and {} more", claims.len() - 2)?;
            }
        }
        writeln!(f)
    }

    fn write_instances(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.instances.is_empty() {
            return Ok(());
        }
        writeln!(f, "\ninstance    acknowledged   by worker")?;
        for (instance, workers) in &self.instances {
            writeln!(f, "{instance:<12}{:>12}   {}", workers.values().sum::<u64>(), worker_counts(workers))?;
        }
        Ok(())
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request {}", self.request)?;
        match &self.answered_by {
            Some(AnsweredBy { instance, worker: Some(worker) }) => write!(f, " ({instance} worker {worker})"),
            Some(AnsweredBy { instance, worker: None }) => write!(f, " ({instance})"),
            None => Ok(()),
        }
    }
}

/// `1: 12  2: 9`; empty when no answer named its worker.
fn worker_counts(workers: &BTreeMap<u32, u64>) -> String {
    let named = workers.iter().filter(|(worker, _)| **worker > 0);
    named.map(|(worker, count)| format!("{worker}: {count}")).collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use crate::race::{AnsweredBy, Observation, Outcome, Report, Verdict};

    fn acknowledged(request: u64, value: i64, instance: &str, worker: u32) -> Outcome {
        let answered_by = Some(AnsweredBy { instance: instance.to_owned(), worker: Some(worker) });
        Outcome { request, verdict: Verdict::Acknowledged, answered_by, value: Some(value) }
    }

    fn outcomes() -> Vec<Outcome> {
        let lost = Verdict::Unknown { why: "502 Bad Gateway".to_owned() };
        let refused = Verdict::Refused { why: "no connection".to_owned() };
        vec![
            acknowledged(0, 8, "www.0", 1),
            acknowledged(1, 8, "www.1", 3),
            acknowledged(2, 9, "www.0", 2),
            acknowledged(3, 9, "www.0", 1),
            Outcome { request: 4, verdict: lost, answered_by: None, value: None },
            Outcome { request: 5, verdict: refused, answered_by: None, value: None },
        ]
    }

    #[test]
    fn a_race_is_told_in_one_screen() {
        let report = Report::new(&Observation { initial: 7, last: 9, outcomes: &outcomes() });
        insta::assert_snapshot!(report, @r#"
        sent                              6
        acknowledged                      4
        failed                            2   1 certainly not applied, 1 unknown
            1 x 502 Bad Gateway
            1 x no connection
        applied                           2   counter 7 -> 9
        lost                              2
        applied, unacknowledged           0
        answers given twice               2   first: 8, to request 0 (www.0 worker 1) and request 1 (www.1 worker 3)

        instance    acknowledged   by worker
        www.0                  3   1: 2  2: 1
        www.1                  1   3: 1

        2 of 4 acknowledged updates were lost.
        GET and SET are two commands: two workers that read the same value both write that value plus one,
        so two acknowledged updates add one. INCR reads, adds and writes as one command inside the server,
        where nobody comes in between, so every acknowledged update is in the sum.
        "#);
    }

    #[test]
    fn json_names_every_figure() {
        let report = Report::new(&Observation { initial: 7, last: 9, outcomes: &outcomes()[..2] });
        insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap(), @r#"
        {
          "sent": 2,
          "acknowledged": 2,
          "failed": 0,
          "refused": 0,
          "unknown": 0,
          "initial": 7,
          "final": 9,
          "applied": 2,
          "lost": 0,
          "applied_but_unacknowledged": 0,
          "repeated_answers": 1,
          "repeated": [
            {
              "value": 8,
              "claims": [
                {
                  "request": 0,
                  "instance": "www.0",
                  "worker": 1
                },
                {
                  "request": 1,
                  "instance": "www.1",
                  "worker": 3
                }
              ]
            }
          ],
          "instances": {
            "www.0": {
              "1": 1
            },
            "www.1": {
              "3": 1
            }
          },
          "failures": {}
        }
        "#);
    }

    #[test]
    fn a_clean_race_says_so() {
        let outcomes = [acknowledged(0, 8, "www.0", 1)];
        let report = Report::new(&Observation { initial: 7, last: 8, outcomes: &outcomes });
        assert_eq!(report.verdict(), "No update was lost: all 1 acknowledged ones are in the counter.");
    }
}
