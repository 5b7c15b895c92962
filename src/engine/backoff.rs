//! When a step that failed, or a container that keeps ending, is tried again.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::plan::Failure;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// For a server of a data service: everybody may be waiting for the data that it alone has.
const LONGEST_OF_A_SERVER: Duration = Duration::from_secs(2);
/// A container that ran this long after it was started again is well.
const WELL: Duration = Duration::from_secs(10);
/// What ends once is started again at once; only what keeps ending waits.
const FREE: u32 = 2;

/// What a step that succeeded has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// Something new, or nothing.
    Anew,
    /// An instance of a code service that had ended.
    Instance,
    /// A server of a data service that had ended.
    Server,
}

#[derive(Default)]
pub struct Backoff {
    targets: BTreeMap<String, Target>,
}

struct Target {
    tries: u32,
    last: Duration,
    failure: Option<Failure>,
}

impl Backoff {
    /// `now` is monotonic.
    pub fn failed(&mut self, target: &str, why: String, now: Duration) {
        let tries = self.tries(target, now);
        let failure = Failure { retry_at: now + delay(tries), why };
        self.targets.insert(target.to_owned(), Target { tries, last: now, failure: Some(failure) });
    }

    /// A start that succeeded says little: the container may end again at once.
    pub fn succeeded(&mut self, target: &str, started: Started, now: Duration) {
        let longest = match started {
            Started::Anew => return drop(self.targets.remove(target)),
            Started::Instance => LONGEST,
            Started::Server => LONGEST_OF_A_SERVER,
        };
        let tries = self.tries(target, now);
        let why = "it keeps ending soon after its start, and `dotcloud logs` says why".to_owned();
        let failure = (tries > FREE).then(|| Failure { retry_at: now + delay(tries - FREE).min(longest), why });
        self.targets.insert(target.to_owned(), Target { tries, last: now, failure });
    }

    pub fn failures(&self) -> BTreeMap<String, Failure> {
        let failure = |(target, state): (&String, &Target)| Some((target.clone(), state.failure.clone()?));
        self.targets.iter().filter_map(failure).collect()
    }

    /// Until the next retry is due.
    pub fn next(&self, now: Duration) -> Option<Duration> {
        let due = self.targets.values().filter_map(|target| Some(target.failure.as_ref()?.retry_at));
        due.filter(|at| *at > now).min().map(|at| at - now)
    }

    fn tries(&self, target: &str, now: Duration) -> u32 {
        match self.targets.get(target) {
            Some(known) if now < known.last + WELL + delay(known.tries) => known.tries + 1,
            _ => 1,
        }
    }
}

fn delay(tries: u32) -> Duration {
    FIRST.saturating_mul(1 << tries.saturating_sub(1).min(10)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_wait_longer_each_time_and_are_forgotten_on_success() {
        let mut backoff = Backoff::default();
        backoff.failed("www.0", "no".to_owned(), Duration::ZERO);
        assert_eq!(backoff.next(Duration::ZERO), Some(FIRST));
        backoff.failed("www.0", "no".to_owned(), FIRST);
        assert_eq!(backoff.next(FIRST), Some(FIRST * 2));
        backoff.succeeded("www.0", Started::Anew, FIRST * 3);
        assert!(backoff.failures().is_empty());
    }

    #[test]
    fn only_what_keeps_ending_waits_for_its_next_start() {
        let mut backoff = Backoff::default();
        for _ in 0..FREE {
            backoff.succeeded("www.0", Started::Instance, Duration::from_secs(1));
            assert!(backoff.failures().is_empty());
        }
        backoff.succeeded("www.0", Started::Instance, Duration::from_secs(1));
        assert_eq!(backoff.failures()["www.0"].retry_at, Duration::from_secs(1) + FIRST);
        backoff.succeeded("www.0", Started::Instance, Duration::from_secs(100));
        assert!(backoff.failures().is_empty(), "it ran long enough in between");
    }

    #[test]
    fn a_server_that_keeps_ending_is_started_again_within_seconds() {
        let mut backoff = Backoff::default();
        for _ in 0..20 {
            backoff.succeeded("db.0", Started::Server, Duration::ZERO);
        }
        assert_eq!(backoff.failures()["db.0"].retry_at, LONGEST_OF_A_SERVER);
    }
}
