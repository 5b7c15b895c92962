//! What has to hold once a service is whole again.

use std::time::Duration;

use crate::place::Place;
use crate::stage::Stage;
use crate::support::ledger::Ledger;
use crate::support::wait_for;
use crate::writers::Promises;

/// No writer gets that far.
const STRAY: usize = 10_000_000;
/// A change of master may come between two looks; then it is looked again.
const ATTEMPTS: usize = 5;
/// What has been sent is read that soon.
const LEVEL: Duration = Duration::from_secs(10);

/// What is wrong, in words.
pub fn look(stage: &Stage<'_>, promises: &mut Promises, round: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    match promises.look() {
        Ok(gone) if stage.row.keeps_all => wrong.extend(gone),
        Ok(gone) => gone.iter().for_each(|gone| println!("    {gone}")),
        Err(why) => wrong.push(format!("the ledgers cannot be read: {why}")),
    }
    wrong.extend(one_master(stage, promises, round).err());
    wrong.extend(all_the_same(stage, promises).err());
    wrong
}

/// Offers a write to every member, past the front.
fn one_master(stage: &Stage<'_>, promises: &Promises, round: usize) -> Result<(), String> {
    let Some((ledger, _)) = promises.latest().next() else { return Ok(()) };
    let mut wrong = String::new();
    for attempt in 0..ATTEMPTS {
        let (before, places) = (stage.info()["group"]["epoch"].clone(), stage.places());
        let numbers = places.iter().map(|place| STRAY + (round * ATTEMPTS + attempt) * 100 + place.number as usize);
        let offers: Vec<_> =
            places.iter().zip(numbers).map(|(place, number)| (place, offer(stage, place, ledger, number))).collect();
        let fits = offers.iter().all(|(place, taken)| *taken == Ok(place.is_master()));
        let masters = places.iter().filter(|place| place.is_master()).count();
        if fits && masters == 1 {
            return Ok(());
        }
        wrong = format!("writes were offered to {places:?}: {:?}", offers.iter().map(|(_, took)| took).collect::<Vec<_>>());
        if before == stage.info()["group"]["epoch"] {
            break;
        }
    }
    Err(wrong)
}

/// Whether the member took it.
fn offer(stage: &Stage<'_>, place: &Place, ledger: &Ledger, number: usize) -> Result<bool, String> {
    Ok(stage.at(place, ledger).session()?.write(number))
}

/// Every member holds the same numbers, those that nobody was promised included.
fn all_the_same(stage: &Stage<'_>, promises: &Promises) -> Result<(), String> {
    for (ledger, _) in promises.latest() {
        let mut differ = String::new();
        let look = || {
            let told = ledger.numbers()?;
            for place in stage.places() {
                let there = stage.at(&place, ledger).numbers()?;
                let (more, less) = (there.difference(&told).count(), told.difference(&there).count());
                if more + less > 0 {
                    return Err(format!("db.{} has {more} more and {less} less than {}", place.number, ledger.key));
                }
            }
            Ok::<(), String>(())
        };
        let same = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for("all members hold the same", LEVEL, || look().map_err(|why| differ = why).ok());
        }));
        same.map_err(|_| differ)?;
    }
    Ok(())
}
