//! Doing it: one function for what Docker does, one for what the platform does.

use std::time::Duration;

use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process};

use crate::fault::{Aim, Fault, Hand};
use crate::place::Place;
use crate::stage::Stage;
use crate::support::pause;

/// What came of a fault: nothing, where nobody was left to be hit.
pub type Outcome = Result<bool, String>;

/// Everything of one round, each at its time; returns when it is over.
pub fn deal(stage: &Stage<'_>, hand: &Hand, rng: &mut Rng) -> Vec<Outcome> {
    let (mut first, mut second) = (rng.fork(), rng.fork());
    std::thread::scope(|scope| {
        let one = scope.spawn(move || inflict(stage, hand.first, &mut first));
        let other = hand.then.map(|(after, fault)| {
            scope.spawn(move || {
                pause(after);
                inflict(stage, fault, &mut second)
            })
        });
        let threads = [Some(one), other].into_iter().flatten();
        threads.map(|thread| thread.join().unwrap_or_else(|_| Err("a command panicked".to_owned()))).collect()
    })
}

fn inflict(stage: &Stage<'_>, fault: Fault, rng: &mut Rng) -> Outcome {
    match fault {
        Fault::Switchover => told(stage, &["switchover", "db"]),
        Fault::Scale(by) => scale(stage, by),
        Fault::Memory(limit) => told(stage, &["scale", &format!("db:memory={limit}M")]),
        Fault::KillDaemon => {
            stage.platform.kill_daemon();
            Ok(true)
        }
        Fault::DownUp => {
            stage.tell(&["down"])?;
            stage.up()?;
            Ok(true)
        }
        Fault::Kill(aim) => Ok(each(stage, aim, rng, |name| stage.engine.strike(name))),
        Fault::Remove(aim) => Ok(each(stage, aim, rng, |name| stage.engine.remove(name))),
        Fault::Pause(aim, _)
        | Fault::PauseAndKill(aim, _)
        | Fault::Cut(aim, _)
        | Fault::Freeze(aim, _)
        | Fault::KillProcess(aim)
        | Fault::Restart(aim) => {
            let places = stage.places();
            Place::with(&places, aim, rng).map_or(Ok(false), |place| to_one(stage, fault, place))
        }
    }
}

fn to_one(stage: &Stage<'_>, fault: Fault, place: &Place) -> Outcome {
    let engine = &stage.engine;
    match fault {
        Fault::Restart(_) => told(stage, &["restart", &format!("db.{}", place.number)]),
        Fault::Pause(_, time) => Ok(engine.try_pause(&place.server) && {
            pause(time);
            engine.unpause(&place.server);
            true
        }),
        Fault::PauseAndKill(_, after) => Ok(engine.try_pause(&place.server) && {
            pause(after);
            engine.strike(&place.server);
            true
        }),
        Fault::Cut(_, time) => Ok(cut(stage, place, time)),
        Fault::Freeze(_, time) => Ok(signal(stage, place, Signal::STOP) && {
            pause(time);
            signal(stage, place, Signal::CONT);
            true
        }),
        _ => Ok(signal(stage, place, Signal::KILL)),
    }
}

fn told(stage: &Stage<'_>, words: &[&str]) -> Outcome {
    stage.tell(words).map(|()| true)
}

/// For a moment; the round ends with as many as the service has at home.
fn scale(stage: &Stage<'_>, by: i32) -> Outcome {
    let home = stage.row.members;
    for count in [home.saturating_add_signed(by), home] {
        stage.tell(&["scale", &format!("db={count}")])?;
    }
    Ok(true)
}

/// Whether anybody was hit.
fn each(stage: &Stage<'_>, aim: Aim, rng: &mut Rng, strike: impl Fn(&str) -> bool) -> bool {
    let places = stage.places();
    let one = Place::with(&places, aim, rng);
    let servers = || places.iter().map(|place| &place.server);
    let victims: Vec<&String> = match aim {
        Aim::Servers => servers().collect(),
        Aim::Everything => places.iter().map(|place| &place.pod).chain(servers()).collect(),
        Aim::Master | Aim::Slave => one.map(|place| &place.server).into_iter().collect(),
        Aim::MastersPod | Aim::SlavesPod => one.map(|place| &place.pod).into_iter().collect(),
    };
    // All of them, even after the first was hit.
    victims.into_iter().fold(false, |hit, name| strike(name) | hit)
}

fn cut(stage: &Stage<'_>, place: &Place, time: Duration) -> bool {
    let Some((network, address)) = stage.engine.disconnect(&place.pod) else { return false };
    pause(time);
    stage.engine.reconnect(&place.pod, &network, address);
    true
}

/// Whether the server's own process was there: of several, the one that began first.
fn signal(stage: &Stage<'_>, place: &Place, signal: Signal) -> bool {
    let comm = |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let pids = stage
        .engine
        .try_processes(&place.server)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|pid| pid.parse::<i32>().ok());
    let server = pids.filter(|pid| comm(pid).trim() == stage.row.process()).min();
    let pid = server.and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}
