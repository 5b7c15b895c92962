//! What can happen, and how it is dealt.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;

/// One thing that happens to a service.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// `docker kill`.
    Kill(Aim),
    /// `docker pause`, and the end of it after this time.
    Pause(Aim, Duration),
    /// Killed while it is paused.
    PauseAndKill(Aim, Duration),
    /// Taken off the application's network for this time.
    Cut(Aim, Duration),
    /// `docker rm --force`.
    Remove(Aim),
    /// SIGSTOP to the server's process alone, and SIGCONT after this time.
    Freeze(Aim, Duration),
    /// SIGKILL to the server's process alone.
    KillProcess(Aim),
    Switchover,
    /// `dotcloud restart db.N`.
    Restart(Aim),
    /// A member more for a moment, or a member less.
    Scale(i32),
    /// This many MiB for each member.
    Memory(u32),
    /// `kill -9` of the daemon.
    KillDaemon,
    /// `dotcloud down` and `dotcloud up`.
    DownUp,
}

/// Whom a fault is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    Master,
    Slave,
    MastersPod,
    SlavesPod,
    /// Every server.
    Servers,
    /// Every server and every pod.
    Everything,
}

/// Makes one fault of its kind.
type Deal = fn(&mut Rng) -> Fault;

/// How often a kind is dealt, relative to the others.
const DECK: &[(u32, Deal)] = &[
    (4, |rng| Fault::Kill(aim(rng, &Aim::ALL))),
    (4, |rng| Fault::Pause(member(rng), short(rng))),
    (2, |rng| Fault::PauseAndKill(member(rng), Duration::from_millis(rng.u64(50..600)))),
    (2, |rng| Fault::Cut(member(rng), short(rng))),
    (2, |rng| Fault::Remove(aim(rng, &Aim::ALL))),
    (2, |rng| Fault::Freeze(member(rng), short(rng))),
    (2, |rng| Fault::KillProcess(member(rng))),
    (2, |_| Fault::Switchover),
    (2, |rng| Fault::Restart(member(rng))),
    (1, |rng| Fault::Scale(if rng.bool() { 1 } else { -1 })),
    (1, |rng| Fault::Memory(if rng.bool() { 256 } else { 320 })),
    (2, |_| Fault::KillDaemon),
    (1, |_| Fault::DownUp),
];

/// What happens in one round: one fault, or another one some time after it.
pub struct Hand {
    pub first: Fault,
    pub then: Option<(Duration, Fault)>,
}

// === impl Fault ===

impl Fault {
    fn draw(rng: &mut Rng, kinds: &[String]) -> Self {
        loop {
            let tickets: u32 = DECK.iter().map(|(weight, _)| weight).sum();
            let mut ticket = rng.u32(..tickets);
            let dealt = DECK.iter().find(|(weight, _)| {
                let hit = ticket < *weight;
                ticket = ticket.saturating_sub(*weight);
                hit
            });
            let fault = dealt.expect("a ticket is below the sum of the weights").1(rng);
            if kinds.is_empty() || kinds.iter().any(|kind| fault.kind().contains(kind.as_str())) {
                return fault;
            }
        }
    }

    /// Without figures, for counting.
    pub fn kind(&self) -> String {
        match self {
            Self::Kill(aim) => format!("kill {aim}"),
            Self::Pause(aim, _) => format!("pause {aim}"),
            Self::PauseAndKill(aim, _) => format!("pause and kill {aim}"),
            Self::Cut(aim, _) => format!("cut {aim}"),
            Self::Remove(aim) => format!("remove {aim}"),
            Self::Freeze(aim, _) => format!("freeze {aim}"),
            Self::KillProcess(aim) => format!("process of {aim}"),
            Self::Switchover => "switchover".to_owned(),
            Self::Restart(aim) => format!("restart {aim}"),
            Self::Scale(by) => format!("scale {by:+}"),
            Self::Memory(_) => "memory".to_owned(),
            Self::KillDaemon => "daemon".to_owned(),
            Self::DownUp => "down and up".to_owned(),
        }
    }

    fn figure(&self) -> String {
        match self {
            Self::Pause(_, time) | Self::PauseAndKill(_, time) | Self::Cut(_, time) | Self::Freeze(_, time) => {
                format!(" {} ms", time.as_millis())
            }
            Self::Memory(limit) => format!(" {limit}M"),
            _ => String::new(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind(), self.figure())
    }
}

// === impl Aim ===

impl Aim {
    const ALL: [Self; 6] =
        [Self::Master, Self::Slave, Self::MastersPod, Self::SlavesPod, Self::Servers, Self::Everything];
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Master => "master",
            Self::Slave => "slave",
            Self::MastersPod => "master's pod",
            Self::SlavesPod => "slave's pod",
            Self::Servers => "all servers",
            Self::Everything => "everything",
        })
    }
}

// === impl Hand ===

impl Hand {
    pub fn draw(rng: &mut Rng, kinds: &[String]) -> Self {
        let first = Fault::draw(rng, kinds);
        let then = (rng.u32(..3) == 0).then(|| (Duration::from_millis(rng.u64(..800)), Fault::draw(rng, kinds)));
        Self { first, then }
    }

    pub fn faults(&self) -> Vec<Fault> {
        [Some(self.first), self.then.map(|(_, fault)| fault)].into_iter().flatten().collect()
    }
}

impl fmt::Display for Hand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        let Some((after, fault)) = &self.then else { return Ok(()) };
        write!(f, ", after {} ms {fault}", after.as_millis())
    }
}

fn aim(rng: &mut Rng, among: &[Aim]) -> Aim {
    among[rng.usize(..among.len())]
}

fn member(rng: &mut Rng) -> Aim {
    aim(rng, &[Aim::Master, Aim::Master, Aim::Slave])
}

/// Shorter than, about as long as, and longer than what makes a hang.
fn short(rng: &mut Rng) -> Duration {
    Duration::from_millis(rng.u64(200..5000))
}
