//! Every permitted change of phase, in one table. The diagram of `docs/failover.md` is drawn
//! from it, and the machine refuses to take an edge that is not here.

use std::fmt::Write as _;

/// Where a group is. The order that is safe: gate, fence, drain, elect, commit, promote, open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// No master is open; looking for the one to open.
    Gathering,
    /// A master is open and answers.
    Steady,
    /// The master missed an answer.
    Suspect,
    /// The front resets its sessions and parks new ones.
    Gating,
    /// The old master is being ended or demoted.
    Fencing,
    /// The replicas read what was sent to them.
    Draining,
    /// The new master is chosen, its epoch on the way to the disk.
    Electing,
    /// The chosen one is told to be master.
    Promoting,
    /// The front is open; the others are told whom to follow.
    Repointing,
    /// Nothing can be done without a word or the store; the reason is given.
    Stalled,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Edge {
    pub from: Phase,
    pub to: Phase,
    /// When it is taken.
    pub when: &'static str,
}

const fn edge(from: Phase, to: Phase, when: &'static str) -> Edge {
    Edge { from, to, when }
}

use Phase::*;

/// All edges, grouped by where they start.
pub const EDGES: &[Edge] = &[
    // Start of the daemon, and whenever no master can be open.
    edge(Gathering, Electing, "a first or another master is determined without a vote"),
    edge(Gathering, Promoting, "the recorded master answers"),
    edge(Gathering, Draining, "the recorded master is dead, a replica is in step"),
    edge(Gathering, Gating, "the recorded master hangs, a replica is in step"),
    edge(Gathering, Stalled, "it would be a guess, or the store cannot be read"),
    edge(Stalled, Gathering, "the reason is gone"),
    edge(Stalled, Electing, "somebody named the master"),
    // Watching.
    edge(Steady, Suspect, "the master missed an answer"),
    edge(Suspect, Steady, "the master answered"),
    edge(Suspect, Gating, "it missed again, or died"),
    edge(Steady, Gating, "the master died, or a switchover was asked for"),
    edge(Steady, Gathering, "the master restarts as planned, or is not writable"),
    edge(Suspect, Gathering, "the master restarts as planned"),
    // A failure: the old master must be dead before anything else.
    edge(Gating, Fencing, "failure: the front is gated"),
    edge(Fencing, Draining, "failure: the old master is dead"),
    edge(Draining, Electing, "failure: every link is down, or 250 ms passed"),
    // A planned switchover: the replica catches up, then the old master is demoted.
    edge(Gating, Draining, "planned: the front is gated"),
    edge(Draining, Fencing, "planned: the replica has caught up"),
    edge(Fencing, Electing, "planned: the old master is a slave"),
    edge(Draining, Repointing, "planned: it did not catch up, the old master is opened again"),
    // Common end.
    edge(Electing, Promoting, "the epoch is on disk"),
    edge(Electing, Gathering, "no replica is fit to be master"),
    edge(Electing, Stalled, "the store refused the epoch"),
    edge(Promoting, Repointing, "the new master is writable"),
    edge(Promoting, Draining, "the new master died before it was opened"),
    edge(Promoting, Fencing, "the new master hangs"),
    edge(Promoting, Gathering, "the recorded master died again"),
    edge(Repointing, Steady, "the others follow, or 2 s passed"),
    edge(Repointing, Suspect, "the new master missed an answer"),
    edge(Repointing, Gating, "the new master died"),
    edge(Repointing, Gathering, "the new master restarts as planned, or is not writable"),
];

/// The edge between two phases, if there is one.
pub fn between(from: Phase, to: Phase) -> Option<&'static Edge> {
    EDGES.iter().find(|edge| edge.from == from && edge.to == to)
}

/// The table as a Mermaid state diagram.
pub fn diagram() -> String {
    let mut text = "stateDiagram-v2\n    [*] --> Gathering\n".to_owned();
    for edge in EDGES {
        let _ = writeln!(text, "    {:?} --> {:?}: {}", edge.from, edge.to, edge.when.replace(':', ","));
    }
    text
}

impl Phase {
    /// As `info` prints it.
    pub fn name(self) -> &'static str {
        match self {
            Gathering => "gathering",
            Steady => "steady",
            Suspect => "suspect",
            Gating => "gating",
            Fencing => "fencing",
            Draining => "draining",
            Electing => "electing",
            Promoting => "promoting",
            Repointing => "repointing",
            Stalled => "stalled",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_edge_is_written_twice() {
        for (n, edge) in EDGES.iter().enumerate() {
            assert!(!EDGES[..n].iter().any(|other| (other.from, other.to) == (edge.from, edge.to)), "{edge:?}");
        }
    }

    #[test]
    fn promotion_is_reached_only_through_a_recorded_epoch() {
        let into: Vec<Phase> = EDGES.iter().filter(|edge| edge.to == Promoting).map(|edge| edge.from).collect();
        assert_eq!(into, [Gathering, Electing], "Gathering promotes only whom the store already names");
    }

    #[test]
    fn the_documentation_shows_this_table() {
        let page = include_str!("../../docs/failover.md");
        assert!(page.contains(&diagram()), "docs/failover.md is to contain:\n{}", diagram());
    }
}
