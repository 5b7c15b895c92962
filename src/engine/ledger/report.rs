//! What a ledger has to tell, while it is kept and at its end.

use std::collections::BTreeMap;
use std::time::Duration;

use roaring::RoaringBitmap;

use crate::model::{CountedWrites, Epoch};

/// Something to tell at once.
#[derive(Debug, Clone, PartialEq)]
pub enum LedgerNews {
    /// Every second: acknowledgements so far, and since the last such news.
    Progress { acknowledged: u64, per_second: u64 },
    /// A connection was cut or cannot be made; nothing is acknowledged over new ones yet.
    Interrupted { why: String },
    /// Writes are acknowledged again.
    Resumed(Outage),
    /// All entries are being looked for.
    Reading,
    /// The end.
    Report(Box<LedgerReport>),
    /// The end, without a count.
    Failed { why: String },
}

/// A time without acknowledgements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// The last acknowledgement before it, since the ledger's beginning.
    pub began: Duration,
    /// To the first one over a connection made afterwards; `None` when none came.
    pub lasted: Option<Duration>,
    /// The failover that it was, by its epoch and new master; `None` when the master stayed.
    pub to: Option<Epoch>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct LedgerReport {
    pub lasted: Duration,
    /// Numbers that were sent: the sum of the next three.
    pub written: u64,
    pub acknowledged: u64,
    /// Answered with an error.
    pub refused: u64,
    /// Neither acknowledged nor lost: nobody knows whether they took effect before it is looked.
    pub unanswered: u64,
    /// Found at the end; unanswered ones that took effect are among them.
    pub present: u64,
    /// Acknowledged and not found.
    pub lost: u64,
    /// The first of the lost numbers, as runs `first..=last`.
    pub lost_numbers: Vec<(u32, u32)>,
    /// The ledger ended because it had no numbers left.
    pub full: bool,
    /// The first of them.
    pub outages: Vec<Outage>,
    pub outages_in_all: u64,
    /// What each failover meanwhile could have lost and lost, oldest first.
    pub failovers: Vec<Ended>,
}

/// A reign that ended while the ledger was kept, and what was acknowledged under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    pub epoch: u64,
    /// The next epoch that the ledger met. Numbers may be missing between the two: those of elections
    /// that nobody won, and of masters that went before the ledger reached them.
    pub next: u64,
    pub writes: CountedWrites,
}

/// What a book comes to.
#[derive(Debug)]
pub(super) struct Tally {
    pub written: u64,
    pub acknowledged: u64,
    pub refused: u64,
    pub unanswered: u64,
    pub present: u64,
    pub lost: RoaringBitmap,
    /// By the epoch that acknowledged.
    pub reigns: BTreeMap<u64, CountedWrites>,
    pub outages: Vec<Outage>,
    pub outages_in_all: u64,
}

/// How many runs of lost numbers a report names.
const NAMED: usize = 20;

impl Tally {
    /// `end`: the epoch in which everything was looked for. What it acknowledged itself no
    /// failover could have lost yet.
    pub fn report(self, lasted: Duration, full: bool, end: u64) -> LedgerReport {
        LedgerReport {
            failovers: self.ended(end),
            lasted,
            written: self.written,
            acknowledged: self.acknowledged,
            refused: self.refused,
            unanswered: self.unanswered,
            present: self.present,
            lost: self.lost.len(),
            lost_numbers: runs(&self.lost),
            full,
            outages: self.outages,
            outages_in_all: self.outages_in_all,
        }
    }

    fn ended(&self, end: u64) -> Vec<Ended> {
        let reigns = self.reigns.iter().filter(|(epoch, _)| **epoch < end);
        let met = self.reigns.keys().copied().filter(|epoch| *epoch < end).skip(1).chain([end]);
        reigns.zip(met).map(|((epoch, writes), next)| Ended { epoch: *epoch, next, writes: *writes }).collect()
    }
}

impl LedgerReport {
    /// The counts as the store files them: under the first epoch that can have ended the reign. From
    /// there the store puts them into the first receipt there is, because what a reign acknowledged
    /// was lost, if it was, by the first change of master after it, whether or not the ledger met it.
    pub fn filed(&self) -> BTreeMap<u64, CountedWrites> {
        self.failovers.iter().map(|ended| (ended.epoch + 1, ended.writes)).collect()
    }
}

fn runs(numbers: &RoaringBitmap) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        let named = runs.len();
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ if named == NAMED => break,
            _ => runs.push((number, number)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(acknowledged: u64) -> CountedWrites {
        CountedWrites { acknowledged, lost: 0 }
    }

    fn tally(reigns: &[(u64, u64)]) -> Tally {
        Tally {
            written: 9,
            acknowledged: 9,
            refused: 0,
            unanswered: 0,
            present: 9,
            lost: [1, 5, 6, 7].into_iter().collect(),
            reigns: reigns.iter().map(|(epoch, acknowledged)| (*epoch, counted(*acknowledged))).collect(),
            outages: Vec::new(),
            outages_in_all: 0,
        }
    }

    #[test]
    fn what_the_last_master_acknowledged_belongs_to_no_failover() {
        let report = tally(&[(2, 5), (3, 4)]).report(Duration::from_secs(1), false, 3);
        assert_eq!(report.failovers, [Ended { epoch: 2, next: 3, writes: counted(5) }]);
        assert_eq!(report.filed(), [(3, counted(5))].into());
        assert_eq!((report.lost, report.lost_numbers), (4, vec![(1, 1), (5, 7)]));
    }

    /// As terms do that nobody won, and masters that nobody reached.
    #[test]
    fn epochs_that_are_skipped_part_no_count_from_its_failover() {
        let report = tally(&[(2, 5), (6, 3), (9, 1)]).report(Duration::from_secs(1), false, 11);
        let met: Vec<(u64, u64)> = report.failovers.iter().map(|ended| (ended.epoch, ended.next)).collect();
        assert_eq!(met, [(2, 6), (6, 9), (9, 11)], "as the outages are told: by who was met next");
        assert_eq!(report.filed(), [(3, counted(5)), (7, counted(3)), (10, counted(1))].into());
        let met = tally(&[(2, 5), (6, 3)]).report(Duration::from_secs(1), false, 6).failovers;
        assert_eq!(met, [Ended { epoch: 2, next: 6, writes: counted(5) }]);
    }

    #[test]
    fn a_report_names_some_of_the_lost_numbers() {
        let every_other: RoaringBitmap = (0..1000).map(|number| number * 2).collect();
        assert_eq!(runs(&every_other).len(), NAMED);
    }
}
