//! Gathers file events until the tree rests.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::WatchError;
use super::lock::Lock;
use super::observer::Raw;

/// How long a tree has to rest. Editors write, rename and set modes within a few milliseconds.
const QUIET: Duration = Duration::from_millis(50);
/// Whoever writes for long (unzip, rsync) pauses for longer: after this part of the time since
/// the first event, up to a bound.
const PART: u32 = 4;
const LONGEST_QUIET: Duration = Duration::from_millis(500);
/// A tree that never rests is looked at this often nevertheless.
const CAP: Duration = Duration::from_secs(5);

/// What happened between two rests.
#[derive(Debug)]
pub struct Batch {
    /// When the first event arrived.
    pub first: Instant,
    /// Absolute.
    pub paths: BTreeSet<PathBuf>,
    /// Removed or moved away, for a moment at least. Absolute.
    pub gone: BTreeSet<PathBuf>,
    /// Events went missing: any path may have changed.
    pub overflow: bool,
}

/// Why no batch comes.
#[derive(Debug)]
pub enum Ended {
    Stop,
    Failed(WatchError),
}

impl From<WatchError> for Ended {
    fn from(error: WatchError) -> Self {
        Self::Failed(error)
    }
}

impl Batch {
    pub fn new(first: Instant) -> Self {
        Self { first, paths: BTreeSet::new(), gone: BTreeSet::new(), overflow: false }
    }

    /// Waits for an event that is of interest, then for rest.
    pub fn gather(events: &Receiver<Raw>, lock: &Lock, interesting: impl Fn(&PathBuf) -> bool) -> Result<Self, Ended> {
        loop {
            let mut batch = Self::new(Instant::now());
            // Without a sender there is nobody left to watch for.
            let raw = events.recv().map_err(|_| Ended::Stop)?;
            if let Some(first) = batch.add(raw, &interesting)? {
                batch.first = first;
                return batch.rest(events, lock, interesting);
            }
        }
    }

    /// Adds what follows until the tree rests.
    pub fn rest(
        mut self,
        events: &Receiver<Raw>,
        lock: &Lock,
        interesting: impl Fn(&PathBuf) -> bool,
    ) -> Result<Self, Ended> {
        let (started, mut last) = (Instant::now(), self.first);
        loop {
            let (now, busy) = (Instant::now(), lock.is_held());
            let end = started + CAP;
            let rest = if busy { now + QUIET } else { last + quiet(last.saturating_duration_since(self.first)) };
            match events.recv_timeout(rest.min(end).saturating_duration_since(now)) {
                Ok(raw) if now < end => last = self.add(raw, &interesting)?.map_or(last, |at| at.max(last)),
                Ok(raw) => {
                    self.add(raw, &interesting)?;
                    return Ok(self);
                }
                Err(RecvTimeoutError::Timeout) if busy && now < end => {}
                Err(RecvTimeoutError::Timeout) => return Ok(self),
                Err(RecvTimeoutError::Disconnected) => return Err(Ended::Stop),
            }
        }
    }

    /// When it happened, if it is of interest.
    fn add(&mut self, raw: Raw, interesting: impl Fn(&PathBuf) -> bool) -> Result<Option<Instant>, Ended> {
        match raw {
            Raw::Touched { paths, gone, at } => {
                let paths: Vec<PathBuf> = paths.into_iter().filter(|path| interesting(path)).collect();
                let any = !paths.is_empty();
                if gone {
                    self.gone.extend(paths.iter().cloned());
                }
                self.paths.extend(paths);
                Ok(any.then_some(at))
            }
            Raw::Overflow { at } => {
                self.overflow = true;
                Ok(Some(at))
            }
            Raw::Failed(error) => Err(error.into()),
            Raw::Stop => Err(Ended::Stop),
        }
    }
}

/// How long a tree has to rest that has been written for so long.
fn quiet(written: Duration) -> Duration {
    (written / PART).clamp(QUIET, LONGEST_QUIET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_burst_has_to_be_followed_by_a_longer_rest() {
        let quiet = |milliseconds| quiet(Duration::from_millis(milliseconds)).as_millis();
        assert_eq!([0, 100, 400, 1000, 60_000].map(quiet), [50, 50, 100, 250, 500]);
    }
}
