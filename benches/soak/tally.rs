//! What was done how often, and what came of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fault::Fault;
use crate::finding::Finding;
use crate::rows::Row;
use crate::support::statistics::{Series, save};
use crate::writers::Promises;

/// Of one service.
pub struct Tally {
    row: &'static Row,
    pub rounds: usize,
    /// By kind: how often, and how often everything held afterwards.
    faults: BTreeMap<String, (usize, usize)>,
    whole: Series,
    failovers: usize,
    promises: (usize, usize),
    findings: Vec<Finding>,
}

impl Tally {
    pub fn new(row: &'static Row) -> Self {
        let (faults, whole) = (BTreeMap::new(), Series::default());
        Self { row, rounds: 0, faults, whole, failovers: 0, promises: (0, 0), findings: Vec::new() }
    }

    /// `took`: from the end of the last fault until the service was whole.
    pub fn count(&mut self, faults: &[Fault], took: Option<Duration>, finding: Option<Finding>) {
        self.rounds += 1;
        for fault in faults {
            let (all, clean) = self.faults.entry(fault.kind()).or_default();
            *all += 1;
            *clean += usize::from(finding.is_none());
        }
        took.into_iter().for_each(|took| self.whole.push(took.as_secs_f64() * 1000.0));
        self.findings.extend(finding);
    }

    pub fn close(&mut self, promises: &Promises, failovers: usize) {
        self.promises = (self.promises.0 + promises.acknowledged, self.promises.1 + promises.lost);
        self.failovers += failovers;
    }

    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.rounds > 0
    }

    fn print(&self) {
        let (acknowledged, lost) = self.promises;
        println!(
            "\n{}: {} rounds, {} epochs, {lost} of {acknowledged} acknowledged writes lost; whole again after {:.0} ms \
             (p95 {:.0}, max {:.0})",
            self.row.name,
            self.rounds,
            self.failovers,
            self.whole.median(),
            self.whole.quantile(0.95),
            self.whole.max(),
        );
        for (kind, (all, clean)) in &self.faults {
            println!("  {kind:<32}{clean:>4} of {all:>4} clean");
        }
        for Finding { round, hand, wrong, evidence } in &self.findings {
            println!("  round {round}: {hand}\n    {}\n    {}", wrong.join("\n    "), evidence.display());
        }
    }

    fn json(&self) -> Value {
        let faults: BTreeMap<_, _> =
            self.faults.iter().map(|(kind, (all, clean))| (kind, json!({ "struck": all, "clean": clean }))).collect();
        let findings = self.findings.iter().map(|finding| {
            let Finding { round, hand, wrong, evidence } = finding;
            json!({ "round": round, "faults": hand, "wrong": wrong, "evidence": evidence })
        });
        json!({
            "service": self.row.name, "rounds": self.rounds, "epochs": self.failovers, "faults": faults,
            "acknowledged": self.promises.0, "lost": self.promises.1, "whole_again": self.whole.json(),
            "findings": findings.collect::<Vec<_>>(),
        })
    }
}

/// The table for people, the file for comparisons.
pub fn report(seed: u64, tallies: &[Tally]) {
    tallies.iter().for_each(Tally::print);
    let rows: Vec<Value> = tallies.iter().map(Tally::json).collect();
    save("soak", &json!({ "what": "faults by seed, one or two overlapping ones a round", "seed": seed, "rows": rows }));
}
