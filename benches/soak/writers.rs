//! Clients that write through the stable address, and past it to the members themselves, and what
//! they were promised.

use std::time::Duration;

use crate::place::Place;
use crate::stage::Stage;
use crate::support::ledger::{Database, Ledger, Writer};
use crate::support::wait_for;

/// Clients that write at the same time.
const CLIENTS: usize = 3;
/// Between two writes of a client: servers are struck, not measured.
const PACE: Duration = Duration::from_millis(3);
/// Between two attempts past the front.
const STRAY_PACE: Duration = Duration::from_millis(50);
/// Of each client, before and after what happens.
const WARM: usize = 20;
const PATIENCE: Duration = Duration::from_secs(60);
/// Ledgers of earlier rounds that are read again: what is gone may go later.
const REMEMBERED: usize = 20;

/// The clients of one round.
pub struct Writers {
    writers: Vec<(Ledger, Writer)>,
    /// To each member, where a server itself makes a write wait: what any of them acknowledges,
    /// whoever it takes itself for, has to stay.
    strays: Vec<(Ledger, Writer)>,
}

/// What was acknowledged in one ledger, and what is known to be gone.
pub struct Promise {
    pub ledger: Ledger,
    acknowledged: Vec<usize>,
    lost: usize,
}

/// What was promised so far.
#[derive(Default)]
pub struct Promises {
    kept: Vec<Promise>,
    pub acknowledged: usize,
    pub lost: usize,
}

// === impl Writers ===

impl Writers {
    /// Returns when each has had its first acknowledgements.
    pub fn start(stage: &Stage<'_>, round: usize) -> Self {
        let made = |key: String| {
            let ledger = Ledger { key, ..stage.ledger.clone() };
            // A busy machine makes servers look hung, and such a one is replaced: it is asked again.
            wait_for("a ledger is made", PATIENCE, || ledger.try_create().ok());
            ledger
        };
        let stray = |place: &Place| {
            let ledger = made(format!("soak_{round}_past_{}", place.number));
            let writer = Writer::paced(stage.at(place, &ledger), STRAY_PACE);
            (ledger, writer)
        };
        let writer = |client| {
            let ledger = made(format!("soak_{round}_{client}"));
            (ledger.clone(), Writer::paced(ledger, PACE))
        };
        let waits = stage.row.keeps_all && stage.ledger.database != Database::Redis;
        let strays = stage.places().iter().filter(|_| waits).map(stray).collect();
        let all = Self { writers: (0..CLIENTS).map(writer).collect(), strays };
        all.go_on("before it is struck");
        all
    }

    /// Returns when each has had further writes acknowledged.
    pub fn go_on(&self, when: &str) {
        let before: Vec<_> = self.writers.iter().map(|(_, writer)| writer.acknowledged()).collect();
        for ((ledger, writer), before) in self.writers.iter().zip(before) {
            wait_for(&format!("{} is written {when}", ledger.key), PATIENCE, || {
                (writer.acknowledged() >= before + WARM).then_some(())
            });
        }
    }

    pub fn stop(self) -> Vec<Promise> {
        let all = self.strays.into_iter().chain(self.writers);
        all.map(|(ledger, writer)| Promise { ledger, acknowledged: writer.stop(), lost: 0 }).collect()
    }
}

// === impl Promises ===

impl Promises {
    pub fn remember(&mut self, promises: Vec<Promise>) {
        self.acknowledged += promises.iter().map(|promise| promise.acknowledged.len()).sum::<usize>();
        self.kept.extend(promises);
        self.kept.drain(..self.kept.len().saturating_sub(REMEMBERED));
    }

    /// Reads everything back; what is gone and was there before, or never was, in words.
    pub fn look(&mut self) -> Result<Vec<String>, String> {
        let mut news = Vec::new();
        for promise in &mut self.kept {
            let there = promise.ledger.numbers()?;
            let gone: Vec<_> = promise.acknowledged.iter().filter(|number| !there.contains(number)).collect();
            if gone.len() > promise.lost {
                let (key, all) = (&promise.ledger.key, promise.acknowledged.len());
                news.push(format!("{} of {all} of {key} are gone, the first {:?}", gone.len(), gone.first()));
                self.lost += gone.len() - promise.lost;
                promise.lost = gone.len();
            }
        }
        Ok(news)
    }

    /// The ledgers of the latest round, to be compared between members.
    pub fn latest(&self) -> impl Iterator<Item = &Ledger> {
        self.kept.iter().rev().take(CLIENTS).map(|promise| &promise.ledger)
    }
}
