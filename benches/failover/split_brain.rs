//! Two masters at once: the master is paused, the slave promoted, the old master woken up, and
//! writes are offered to it past the front, as an application that held on to it would.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::rows::Row;
use crate::stage::{Fault, STRAY, Stage};
use crate::support::pause;
use crate::support::platform::Platform;
use crate::support::statistics::{rounds, save};
use crate::support::wait_for;
use crate::verdict;

/// How long writes are offered, over the held connection and over new ones.
const OFFERED: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Offers {
    offered: usize,
    accepted: usize,
    /// Rounds in which the old master's processes could go on at all.
    woken: usize,
}

/// True when no old master accepted anything.
pub fn measure(platform: &Platform, words: &[String]) -> bool {
    println!("{:<28}{:>7}{:>9}{:>10}{:>7}", "split brain", "rounds", "offered", "accepted", "woken");
    let results: Vec<Value> = Row::wanted(words).into_iter().map(|row| of_row(platform, row)).collect();
    let what = "writes offered to the old master, past the front, after another member was promoted";
    save("split-brain", &json!({ "what": what, "rows": results }));
    results.iter().all(|result| result["verdict"] != "missed")
}

fn of_row(platform: &Platform, row: &Row) -> Value {
    let stage = match Stage::set(platform, row) {
        Ok(stage) => stage,
        Err(why) => return verdict::skipped(&row.name(), &why),
    };
    let (rounds, mut sum) = (rounds(20), Offers::default());
    for round in 0..rounds {
        let Offers { offered, accepted, woken } = one(&stage, round);
        sum = Offers { offered: sum.offered + offered, accepted: sum.accepted + accepted, woken: sum.woken + woken };
    }
    let Offers { offered, accepted, woken } = sum;
    let verdict = verdict::of(accepted == 0 && offered > 0);
    println!("{:<28}{rounds:>7}{offered:>9}{accepted:>10}{woken:>7}  {verdict}", row.name());
    stage.leave();
    json!({
        "fault": row.name(), "rounds": rounds, "offered": offered, "accepted": accepted, "woken": woken,
        "verdict": verdict,
    })
}

fn one(stage: &Stage<'_>, round: usize) -> Offers {
    let ledger = stage.new_ledger(format!("ledger_split_{round}"));
    let old = stage.master();
    let own = stage.past_the_front(&ledger, &old);
    let mut held = own.session().unwrap();
    assert!(held.write(0), "it is the master, and takes writes past the front");
    stage.hit(Fault::Hang, &old);
    let mut number = 0;
    wait_for("another master takes writes", PATIENCE, || {
        number += 1;
        ledger.session().ok()?.write(number).then_some(())
    });
    let mut offers = Offers { woken: usize::from(stage.engine.unpause(&old.container)), ..Offers::default() };
    let mut offer = |accepted: bool| {
        offers.offered += 1;
        offers.accepted += usize::from(accepted);
    };
    let (mut stray, until) = (STRAY, Instant::now() + OFFERED);
    while Instant::now() < until {
        stray += 2;
        offer(held.write(stray));
        // It may come back as a slave meanwhile, and listen again.
        offer(own.session().is_ok_and(|mut fresh| fresh.write(stray + 1)));
        pause(Duration::from_millis(20));
    }
    stage.platform.settle(&stage.app);
    assert_ne!(stage.master().number, old.number, "another member is the master");
    let kept: Vec<usize> = (STRAY..=stray + 1).collect();
    assert_eq!(ledger.lost(&kept), kept.len(), "nothing that the old master was offered is there");
    offers
}
