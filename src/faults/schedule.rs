//! A series of strokes that a seed determines.
//!
//! Time is cut into turns of `every`; each has one stroke, somewhere within its first tenth, so
//! that a series never beats in time with something else that repeats. Who is hit is dealt in
//! rounds: each round hits every target once, in an order of its own.

use std::time::Duration;

use fastrand::Rng;

use super::Aim;

/// What determines a series.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// At least one; one named twice is hit twice as often.
    pub aims: Vec<Aim>,
    pub every: Duration,
    /// Turns begin within this; `None` is for ever.
    pub lasts: Option<Duration>,
    pub seed: u64,
}

/// One fault of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stroke {
    /// From 1.
    pub number: u64,
    /// Since the series began.
    pub at: Duration,
    pub aim: Aim,
    /// Which of several candidates is meant: see [`Aim::choose`].
    pub draw: u32,
}

impl Schedule {
    /// All strokes, in order. The same schedule always yields the same ones.
    pub fn strokes(&self) -> impl Iterator<Item = Stroke> + use<> {
        let mut strokes =
            Strokes { schedule: self.clone(), rng: Rng::with_seed(self.seed), dealt: Vec::new(), turn: 0 };
        std::iter::from_fn(move || strokes.next())
    }
}

struct Strokes {
    schedule: Schedule,
    rng: Rng,
    /// Targets of this round that are still to be hit.
    dealt: Vec<Aim>,
    turn: u32,
}

impl Strokes {
    fn next(&mut self) -> Option<Stroke> {
        let every = self.schedule.every;
        let begins = every.checked_mul(self.turn)?;
        if self.schedule.lasts.is_some_and(|lasts| begins >= lasts) {
            return None;
        }
        self.turn = self.turn.checked_add(1)?;
        let at = begins + every.mul_f64(self.rng.f64() / 10.0);
        let aim = self.deal()?;
        Some(Stroke { number: u64::from(self.turn), at, aim, draw: self.rng.u32(..) })
    }

    fn deal(&mut self) -> Option<Aim> {
        if self.dealt.is_empty() {
            self.dealt.clone_from(&self.schedule.aims);
            self.rng.shuffle(&mut self.dealt);
        }
        self.dealt.pop()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn schedule(aims: &[&str], every_ms: u64, lasts_ms: u64, seed: u64) -> Schedule {
        let aims = aims.iter().map(|aim| aim.parse().unwrap()).collect();
        let (every, lasts) = (Duration::from_millis(every_ms), Some(Duration::from_millis(lasts_ms)));
        Schedule { aims, every, lasts, seed }
    }

    #[test]
    fn a_seed_means_the_same_strokes_in_every_version() {
        let strokes = schedule(&["www", "db.master"], 3000, 12_000, 7).strokes();
        let text: Vec<String> =
            strokes.map(|s| format!("{} {} ms {} {}", s.number, s.at.as_millis(), s.aim, s.draw)).collect();
        insta::assert_snapshot!(text.join("\n"), @r"
        1 232 ms www 1730240883
        2 3144 ms db.master 4190879020
        3 6049 ms db.master 2366019816
        4 9041 ms www 2581836144
        ");
    }

    #[test]
    fn another_seed_means_other_strokes_and_no_end_means_no_end() {
        let of = |seed| schedule(&["www", "db.master"], 1000, 60_000, seed).strokes().collect::<Vec<_>>();
        assert_ne!(of(7), of(8));
        let endless = Schedule { lasts: None, ..schedule(&["www"], 1000, 0, 1) };
        assert_eq!(endless.strokes().take(10_000).last().unwrap().number, 10_000);
    }

    proptest! {
        #[test]
        fn strokes_are_reproducible_ordered_and_fair(
            aims in proptest::collection::btree_set("[a-z]{1,8}", 1..6),
            every in 1_u64..10_000,
            turns in 1_u64..200,
            seed: u64,
        ) {
            let names: Vec<&str> = aims.iter().map(String::as_str).collect();
            let schedule = schedule(&names, every, every * turns, seed);
            let strokes: Vec<Stroke> = schedule.strokes().collect();
            prop_assert_eq!(&strokes, &schedule.strokes().collect::<Vec<_>>());
            prop_assert_eq!(strokes.len() as u64, turns);
            for (turn, stroke) in (0_u32..).zip(&strokes) {
                prop_assert_eq!(stroke.number, u64::from(turn) + 1);
                let begins = schedule.every * turn;
                prop_assert!(stroke.at >= begins && stroke.at <= begins + schedule.every / 10);
            }
            for round in strokes.chunks_exact(aims.len()) {
                let hit: std::collections::BTreeSet<String> = round.iter().map(|s| s.aim.to_string()).collect();
                prop_assert_eq!(&hit, &aims);
            }
        }
    }
}
