//! What has to hold once a service is whole again.
//!
//! On a busy machine a master may be taken for hung between two looks. Whoever cannot be asked is
//! asked again; a write that the wrong member takes is wrong at once.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::place::Place;
use crate::stage::Stage;
use crate::support::ledger::Ledger;
use crate::support::pause;
use crate::writers::Promises;

/// No writer gets that far.
const STRAY: usize = 10_000_000;
/// How long one goes on asking.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why something does not hold.
enum Wrong {
    /// It may yet.
    Now(String),
    Forever(String),
}

/// What is wrong, in words.
pub fn look(stage: &Stage<'_>, promises: &mut Promises, round: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    match until_it_holds(|_| promises.look().map_err(Wrong::Now)) {
        Ok(gone) if stage.row.keeps_all => wrong.extend(gone),
        Ok(gone) => gone.iter().for_each(|gone| println!("     {gone}")),
        Err(why) => wrong.push(format!("the ledgers cannot be read: {why}")),
    }
    wrong.extend(until_it_holds(|attempt| one_master(stage, promises, 1000 * round + attempt)).err());
    wrong.extend(until_it_holds(|_| all_the_same(stage, promises).map_err(Wrong::Now)).err());
    wrong
}

fn until_it_holds<T>(mut look: impl FnMut(usize) -> Result<T, Wrong>) -> Result<T, String> {
    let began = Instant::now();
    for attempt in 0.. {
        match look(attempt) {
            Ok(found) => return Ok(found),
            Err(Wrong::Forever(why)) => return Err(why),
            Err(Wrong::Now(why)) if began.elapsed() > PATIENCE => return Err(why),
            Err(Wrong::Now(_)) => pause(Duration::from_millis(200)),
        }
    }
    unreachable!("there is always another attempt")
}

/// Offers a write to every member, past the front.
fn one_master(stage: &Stage<'_>, promises: &Promises, offer_number: usize) -> Result<(), Wrong> {
    let Some(ledger) = promises.latest().next() else { return Ok(()) };
    let (before, places) = (stage.info(), stage.places());
    let number = |place: &Place| STRAY + offer_number * 10 + place.number as usize;
    let offers: Vec<_> = places.iter().map(|place| offer(stage, place, ledger, number(place))).collect();
    let after = stage.info();
    let said = format!("writes were offered to {places:?}: {offers:?}");
    let mut pairs = places.iter().zip(&offers);
    match pairs.any(|(place, taken)| *taken == Ok(true) && !place.is_master()) {
        true if epoch(&before) == epoch(&after) => Err(Wrong::Forever(said)),
        _ if places.iter().zip(&offers).all(|(place, taken)| *taken == Ok(place.is_master())) => Ok(()),
        _ => Err(Wrong::Now(said)),
    }
}

fn epoch(info: &Value) -> &Value {
    &info["group"]["epoch"]
}

/// Whether the member took it.
fn offer(stage: &Stage<'_>, place: &Place, ledger: &Ledger, number: usize) -> Result<bool, String> {
    Ok(stage.at(place, ledger).session()?.write(number))
}

/// Every member holds the same numbers, those that nobody was promised included.
fn all_the_same(stage: &Stage<'_>, promises: &Promises) -> Result<(), String> {
    for ledger in promises.latest() {
        let told = ledger.numbers()?;
        for place in stage.places() {
            let there = stage.at(&place, ledger).numbers()?;
            let (more, less) = (there.difference(&told).count(), told.difference(&there).count());
            if more + less > 0 {
                return Err(format!("db.{} has {more} more and {less} less than {}", place.number, ledger.key));
            }
        }
    }
    Ok(())
}
