//! What a series has done so far: a line for each stroke, and the sum.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::cli::Context;
use crate::faults::Stroke;

pub struct Tally {
    seed: u64,
    began: Instant,
    /// Instance -> how often it was hit.
    hit: BTreeMap<String, u32>,
    missed: u32,
}

impl Tally {
    pub fn new(seed: u64) -> Self {
        Self { seed, began: Instant::now(), hit: BTreeMap::new(), missed: 0 }
    }

    /// Counts and prints a stroke: the instance that was hit, or why nobody was.
    pub fn add(&mut self, stroke: &Stroke, outcome: Result<String, String>, ctx: &Context) {
        let now = jiff::Timestamp::now();
        if ctx.json {
            ctx.ui.json(&document(stroke, &outcome, now));
        } else {
            let time = now.strftime("%H:%M:%S%.3f");
            ctx.ui.print(format!("{time}  {:>3}  {}", stroke.number, line(stroke, &outcome)));
        }
        match outcome {
            Ok(instance) => *self.hit.entry(instance).or_default() += 1,
            Err(_) => self.missed += 1,
        }
    }

    pub fn print(&self, ctx: &Context) {
        let took = self.began.elapsed();
        if ctx.json {
            ctx.ui.json(&json!({
                "strokes": self.strokes(), "missed": self.missed, "instances": self.hit, "seed": self.seed,
                "seconds": took.as_secs_f64(),
            }));
        } else {
            ctx.ui.success(self.sum(took));
        }
    }

    fn strokes(&self) -> u32 {
        self.hit.values().sum::<u32>() + self.missed
    }

    fn sum(&self, took: Duration) -> String {
        let hit: Vec<String> = self.hit.iter().map(|(instance, count)| format!("{instance} {count}x")).collect();
        let hit = if hit.is_empty() { "nobody".to_owned() } else { hit.join(", ") };
        let (strokes, missed, seed) = (self.strokes(), self.missed, self.seed);
        let seconds = took.as_secs_f64();
        format!("{strokes} strokes in {seconds:.1} s hit {hit}; {missed} hit nobody; --seed {seed} repeats them")
    }
}

fn line(stroke: &Stroke, outcome: &Result<String, String>) -> String {
    match outcome {
        Ok(instance) if *instance == stroke.aim.to_string() => instance.clone(),
        Ok(instance) => format!("{} -> {instance}", stroke.aim),
        Err(why) => format!("{} -> nobody: {why}", stroke.aim),
    }
}

fn document(stroke: &Stroke, outcome: &Result<String, String>, now: jiff::Timestamp) -> serde_json::Value {
    let mut document = json!({ "at": format!("{now:.6}"), "stroke": stroke.number, "role": stroke.aim.to_string() });
    match outcome {
        Ok(instance) => document["instance"] = instance.as_str().into(),
        Err(why) => document["missed"] = why.as_str().into(),
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stroke(number: u64, aim: &str) -> Stroke {
        Stroke { number, at: Duration::ZERO, aim: aim.parse().unwrap(), draw: 0 }
    }

    #[test]
    fn strokes_say_whom_they_meant_and_whom_they_hit() {
        let hit = |instance: &str| Ok(instance.to_owned());
        assert_eq!(line(&stroke(1, "www.1"), &hit("www.1")), "www.1");
        assert_eq!(line(&stroke(2, "db.master"), &hit("db.0")), "db.master -> db.0");
        let missed = Err("db has no master yet.".to_owned());
        assert_eq!(line(&stroke(3, "db.master"), &missed), "db.master -> nobody: db has no master yet.");
        let at = "2026-11-22T01:02:03Z".parse().unwrap();
        assert_eq!(
            document(&stroke(3, "db.master"), &missed, at).to_string(),
            r#"{"at":"2026-11-22T01:02:03.000000Z","stroke":3,"role":"db.master","missed":"db has no master yet."}"#
        );
    }

    #[test]
    fn the_sum_names_everybody_and_the_seed() {
        let mut tally = Tally::new(7);
        assert_eq!(tally.sum(Duration::ZERO), "0 strokes in 0.0 s hit nobody; 0 hit nobody; --seed 7 repeats them");
        tally.hit = [("db.0", 2), ("www.1", 1)].map(|(name, count)| (name.to_owned(), count)).into();
        tally.missed = 1;
        assert_eq!(
            tally.sum(Duration::from_millis(9040)),
            "4 strokes in 9.0 s hit db.0 2x, www.1 1x; 1 hit nobody; --seed 7 repeats them"
        );
    }
}
