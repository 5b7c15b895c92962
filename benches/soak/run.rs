//! Round after round, until the time is over.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::Wish;
use crate::check;
use crate::fault::Hand;
use crate::finding::Finding;
use crate::inflict;
use crate::rows::Row;
use crate::stage::Stage;
use crate::support::platform::Platform;
use crate::tally::Tally;
use crate::writers::{Promises, Writers};

/// The most a service may take until it is whole again.
const WHOLE: Duration = Duration::from_secs(60);

pub fn soak(platform: &Platform, row: &'static Row, wish: &Wish) -> Tally {
    let (mut rng, mut tally, until) = (Rng::with_seed(wish.seed), Tally::new(row), Instant::now() + wish.lasts);
    while Instant::now() < until {
        let (stage, mut promises) = (Stage::set(platform, row), Promises::default());
        println!("{}: on its stage", row.name);
        while Instant::now() < until && one(&stage, &mut promises, wish, &mut rng, &mut tally) {}
        let epochs = stage.info()["group"]["epoch"]["number"].as_u64().unwrap_or_default();
        tally.close(&promises, epochs as usize);
        stage.leave();
    }
    tally
}

/// One round; whether the stage can go on being used.
fn one(stage: &Stage<'_>, promises: &mut Promises, wish: &Wish, rng: &mut Rng, tally: &mut Tally) -> bool {
    let (hand, round) = (Hand::draw(rng, &wish.faults), tally.rounds);
    println!("{:>4} {} {hand}", round, jiff::Timestamp::now().strftime("%H:%M:%S"));
    let mut took = None;
    let mut play = || play(stage, promises, &hand, round, rng, &mut took);
    let wrong = catch_unwind(AssertUnwindSafe(&mut play)).unwrap_or_else(|panic| vec![words(panic.as_ref())]);
    let finding = (!wrong.is_empty()).then(|| Finding::keep(stage, round, hand.to_string(), wrong));
    finding.iter().for_each(|finding| println!("     FOUND {}", finding.wrong.join("\n     ")));
    let goes_on = finding.is_none();
    tally.count(&hand.faults(), took, finding);
    goes_on
}

fn play(
    stage: &Stage<'_>,
    promises: &mut Promises,
    hand: &Hand,
    round: usize,
    rng: &mut Rng,
    took: &mut Option<Duration>,
) -> Vec<String> {
    let writers = Writers::start(stage, round);
    let outcomes = inflict::deal(stage, hand, rng);
    let mut wrong: Vec<String> = Vec::new();
    match stage.whole_within(WHOLE) {
        Ok(time) => *took = Some(time),
        Err(info) => wrong.push(format!("not whole within {WHOLE:?}: {}", info["group"])),
    }
    println!("     {outcomes:?}, whole after {:?}", took.unwrap_or(WHOLE));
    if hand.then.is_none() {
        // Alone, nothing stands in the way of what was asked for.
        wrong.extend(outcomes.into_iter().filter_map(Result::err));
    }
    if wrong.is_empty() {
        writers.go_on("again");
    }
    promises.remember(writers.stop());
    wrong.extend(check::look(stage, promises, round));
    wrong
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
