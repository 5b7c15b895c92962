//! Groups that elect by themselves, in seeded scenarios: the machine, and servers that keep
//! MongoDB's promises as far as they matter here.
//!
//! A change of configuration that the servers' protocol would not survive, a discarded voter, a
//! second group beside the first, a front that leads to an older primary while a newer one is
//! known: each ends the run. Afterwards everything is healed, and one primary with all members
//! in step is what has to come of it.

mod daemon;
mod world;

use daemon::Daemon;
use world::World;

/// How long misfortunes last, and how long the group may take to recover from all of them (ms).
const TROUBLE: u64 = 30_000;
const RECOVERY: u64 = 45_000;

struct Run {
    world: World,
    daemon: Daemon,
    random: fastrand::Rng,
    switches: usize,
    careless: bool,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let wanted = [1, 3, 3, 5][random.usize(..4)];
        Self {
            world: World::new(wanted),
            daemon: Daemon::new(random.fork(), None),
            random,
            switches: 0,
            careless: false,
        }
    }

    fn steps(&mut self, duration: u64, trouble: bool) {
        let end = self.world.now + duration;
        while self.world.now < end && self.world.broken.is_none() {
            if trouble && self.random.u32(..100) < 2 {
                self.misfortune();
            }
            self.world.step(&mut self.random);
            self.daemon.step(&mut self.world);
        }
    }

    fn misfortune(&mut self) {
        let now = self.world.now;
        let until = now + self.random.u64(500..6_000);
        let indices: Vec<u32> = self.world.nodes.keys().copied().collect();
        let Some(index) = self.random.choice(indices) else { return };
        match self.random.u32(..10) {
            0..=2 => self.daemon.kill(&mut self.world, index),
            3..=4 => self.world.pause(index, until),
            5 => self.world.cut(index, until),
            6 => self.world.wanted = [1, 3, 5][self.random.usize(..3)],
            7 => {
                // What is on disk outlives the daemon, and only that.
                let (switches, epoch) = (self.daemon.switches, self.daemon.epoch);
                self.switches += switches;
                self.daemon = Daemon::new(self.random.fork(), epoch);
                self.daemon.careless = self.careless;
            }
            8 => self.daemon.restart(index),
            _ => self.daemon.switch(self.random.bool().then_some(index)),
        }
    }
}

/// Changes of primary and of configuration; or what was broken, and the story of it.
fn run(seed: u64, careless: bool) -> Result<(usize, usize), String> {
    let mut run = Run::new(seed);
    run.careless = careless;
    run.daemon.careless = careless;
    run.steps(TROUBLE, true);
    run.world.heal();
    run.steps(RECOVERY, false);
    let story = || run.world.story.join("\n");
    if let Some(broken) = &run.world.broken {
        return Err(format!("seed {seed}: {broken}\n{}", story()));
    }
    if let Err(why) = run.daemon.is_well(&run.world) {
        return Err(format!("seed {seed}: after recovery {why}\n{}", story()));
    }
    Ok((run.switches + run.daemon.switches, run.world.changes))
}

#[test]
fn every_seed_ends_with_one_primary_and_loses_nothing_that_a_majority_had() {
    let number = |variable: &str, otherwise| {
        std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let (first, count) = (number("FAILOVER_SEED", 0), number("FAILOVER_SEEDS", 200));
    let (mut switches, mut changes) = (0, 0);
    for seed in first..first + count {
        let (switched, changed) = run(seed, false).unwrap_or_else(|broken| panic!("{broken}"));
        switches += switched;
        changes += changed;
    }
    println!("{switches} changes of primary, {changes} of configuration");
    assert!(switches > 0 && changes > 0 || count < 10, "nothing ever happened");
}

#[test]
fn discarding_members_that_still_vote_is_noticed() {
    let noticed = (0..40).filter(|seed| run(*seed, true).is_err()).count();
    println!("noticed by {noticed} of 40 seeds");
    assert!(noticed > 0);
}
