//! Failovers of each replicated database while clients write through the stable address.
//!
//! Every acknowledged write has a number that is asked for afterwards, so that lost ones are
//! counted exactly. Four modes, each with a file of its own in `target/bench/`:
//! without a word, how long kill, hang and switchover take; `lost`, the writes lost over kills
//! under load; `split-brain`, the writes that an old master accepts; `replication`, what waiting
//! for a slave costs. Further words choose rows: `-- lost mysql`. `ROUNDS=n` sets how many of
//! each; 20 by default, 50 kills for `lost`, 5 windows for `replication`.
//!
//! The clients are threads of this program, not `dotcloud ledger`: that one's clients would share
//! the daemon's threads with the failover that is timed. A test holds the two against each other.

#[path = "failover/lost.rs"]
mod lost;
#[path = "failover/replication.rs"]
mod replication;
#[path = "failover/rows.rs"]
mod rows;
#[path = "failover/split_brain.rs"]
mod split_brain;
#[path = "failover/stage.rs"]
mod stage;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "failover/times.rs"]
mod times;
#[path = "failover/verdict.rs"]
mod verdict;

use support::choice::words;
use support::platform::Platform;

const MODES: [&str; 3] = ["lost", "split-brain", "replication"];

fn main() {
    let mut words = words();
    let mode = words.first().filter(|word| MODES.contains(&word.as_str())).cloned();
    words.drain(..usize::from(mode.is_some()));
    let platform = Platform::new();
    let met = match mode.as_deref() {
        Some("lost") => lost::measure(&platform, &words),
        Some("replication") => replication::measure(&platform, &words),
        Some(_) => split_brain::measure(&platform, &words),
        None => times::measure(&platform, &words),
    };
    drop(platform);
    assert!(met, "a target was missed");
}
