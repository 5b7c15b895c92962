//! What a ledger's clients were promised, and when they were promised nothing.
//!
//! Times are lengths since the ledger began; whoever calls holds the clock.

use std::collections::BTreeMap;
use std::time::Duration;

use roaring::RoaringBitmap;

use crate::model::{CountedWrites, Epoch};

use super::report::{Outage, Tally};

/// Numbers are given out up to this one, so that neither the book nor the service grows without
/// bound: 1.25 MB of bits at most, here and in Redis.
const MOST: u32 = 10_000_000;
/// More outages are counted, not remembered.
const MOST_OUTAGES: usize = 1_000;

#[derive(Default)]
pub(super) struct Book {
    given: u32,
    /// Acknowledged numbers by the epoch of the connection that they came over.
    reigns: BTreeMap<u64, RoaringBitmap>,
    acknowledged: u64,
    refused: u64,
    /// How often a connection broke while none was broken already.
    breaks: u64,
    gap: Option<Gap>,
    last: Option<Duration>,
    /// The newest epoch that an acknowledgement came from.
    newest: u64,
    outages: Vec<Outage>,
    outages_in_all: u64,
}

/// Since a connection broke and until a later one is answered.
struct Gap {
    /// The last acknowledgement before; later ones of connections made before it count as before.
    since: Option<Duration>,
    number: u64,
}

/// One connection of a client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seat {
    /// Who was master when its login was answered. The front cuts every connection before
    /// another epoch is committed, so that no answer of a former master comes over it.
    epoch: Option<Epoch>,
    breaks: u64,
}

impl Book {
    /// A number that nobody had before; `None` when the ledger is full.
    pub fn next(&mut self) -> Option<u32> {
        let number = self.given;
        self.given = number.checked_add(1).filter(|given| *given <= MOST)?;
        Some(number)
    }

    /// All numbers given out are below.
    pub fn given(&self) -> u32 {
        self.given
    }

    pub fn is_full(&self) -> bool {
        self.given >= MOST
    }

    pub fn join(&self, epoch: Option<Epoch>) -> Seat {
        Seat { epoch, breaks: self.breaks }
    }

    /// The outage that ends with this acknowledgement, if one does.
    pub fn acknowledge(&mut self, seat: Seat, number: u32, now: Duration) -> Option<Outage> {
        let epoch = seat.epoch.map_or(0, |epoch| epoch.number);
        self.reigns.entry(epoch).or_default().insert(number);
        self.acknowledged += 1;
        self.last = Some(now);
        let another = epoch > self.newest && self.newest > 0;
        self.newest = self.newest.max(epoch);
        let gap = self.gap.as_mut()?;
        if seat.breaks < gap.number {
            gap.since = Some(now);
            return None;
        }
        let since = self.gap.take()?.since?;
        let lasted = Some(now.saturating_sub(since));
        let outage = Outage { began: since, lasted, to: seat.epoch.filter(|_| another) };
        self.remember(outage);
        Some(outage)
    }

    /// The server said no: the number is not there, and nobody was promised it.
    pub fn refuse(&mut self) {
        self.refused += 1;
    }

    /// A connection broke or could not be made. True when that begins an outage.
    pub fn interrupt(&mut self) -> bool {
        if self.gap.is_some() {
            return false;
        }
        self.breaks += 1;
        self.gap = Some(Gap { since: self.last, number: self.breaks });
        true
    }

    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Compares what was promised with what is there.
    pub fn close(mut self, present: &RoaringBitmap) -> Tally {
        if let Some(began) = self.gap.take().and_then(|gap| gap.since) {
            self.remember(Outage { began, lasted: None, to: None });
        }
        let mut lost = RoaringBitmap::new();
        let mut reigns = BTreeMap::new();
        for (epoch, acknowledged) in self.reigns {
            let missing = &acknowledged - present;
            reigns.insert(epoch, CountedWrites { acknowledged: acknowledged.len(), lost: missing.len() });
            lost |= missing;
        }
        let written = u64::from(self.given);
        Tally {
            written,
            acknowledged: self.acknowledged,
            refused: self.refused,
            unanswered: written.saturating_sub(self.acknowledged + self.refused),
            present: present.range_cardinality(..self.given),
            lost,
            reigns,
            outages: self.outages,
            outages_in_all: self.outages_in_all,
        }
    }

    fn remember(&mut self, outage: Outage) {
        self.outages_in_all += 1;
        if self.outages.len() < MOST_OUTAGES {
            self.outages.push(outage);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn epoch(number: u64) -> Option<Epoch> {
        Some(Epoch { number, master: u32::try_from(number).unwrap() })
    }

    /// Writes one number over this connection.
    fn write(book: &mut Book, seat: Seat, now: u64) -> Option<Outage> {
        let number = book.next().unwrap();
        book.acknowledge(seat, number, ms(now))
    }

    #[test]
    fn lost_writes_belong_to_the_reign_that_acknowledged_them() {
        let mut book = Book::default();
        for number in [3, 4] {
            let seat = book.join(epoch(number));
            for now in 0..10 {
                write(&mut book, seat, now);
            }
            book.interrupt();
        }
        book.next();
        book.next();
        book.refuse();
        // 3 of the first reign and 12 of the second are gone; 20 was never acknowledged, and is there.
        let present = (0..=20).filter(|number| ![3, 12].contains(number)).collect();
        let tally = book.close(&present);
        assert_eq!((tally.written, tally.acknowledged, tally.refused, tally.unanswered), (22, 20, 1, 1));
        assert_eq!((tally.present, tally.lost), (19, [3, 12].into_iter().collect()));
        let counted = CountedWrites { acknowledged: 10, lost: 1 };
        assert_eq!(tally.reigns, [(3, counted), (4, counted)].into());
    }

    #[test]
    fn an_outage_lasts_from_the_last_answer_before_to_the_first_over_a_new_connection() {
        let mut book = Book::default();
        let (a, b) = (book.join(epoch(1)), book.join(epoch(1)));
        assert_eq!(write(&mut book, a, 10), None);
        assert!(book.interrupt());
        assert_eq!(write(&mut book, b, 11), None, "the other connection is cut a little later");
        assert!(!book.interrupt(), "one outage, however many connections break");
        let c = book.join(epoch(2));
        let outage = write(&mut book, c, 72).unwrap();
        assert_eq!(outage, Outage { began: ms(11), lasted: Some(ms(61)), to: epoch(2) });
        assert!(book.interrupt());
        let d = book.join(epoch(2));
        assert_eq!(write(&mut book, d, 80).unwrap().to, None, "the same master: no failover");
        book.interrupt();
        let tally = book.close(&RoaringBitmap::new());
        assert_eq!((tally.outages_in_all, tally.outages[2].lasted), (3, None), "the last one is not over");
    }

    #[test]
    fn no_number_is_given_twice_and_a_full_ledger_gives_none() {
        let mut book = Book { given: MOST - 1, ..Book::default() };
        assert_eq!((book.next(), book.next(), book.next()), (Some(MOST - 1), None, None));
        assert!(book.is_full());
    }
}
