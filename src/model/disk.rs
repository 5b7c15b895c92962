//! How full the disk is on which a member of a data service keeps its data.

use std::fmt;

/// Less than this is little: a writer in a hurry still needs some seconds for it, a person minutes.
const LOW: u64 = 1024 * MIB;
/// Of a small disk less than this part is little, however many bytes that are.
const LOW_PART: u64 = 10;
/// Less than this is nothing: servers take several megabytes at a time. PostgreSQL's next piece of log
/// is 4 MiB here, InnoDB's files grow by as much, and without room for all of it either refuses to go on.
const FULL: u64 = 8 * MIB;
/// What is written and thrown away around a limit is not told every time: to be better again a disk
/// needs this part of the limit more.
const MARGIN: u64 = 8;

const MIB: u64 = 1024 * 1024;

/// Bytes of a disk, as those see it who are not root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    pub size: u64,
    pub free: u64,
}

/// From good to bad.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskState {
    #[default]
    Ample,
    Low,
    Full,
}

/// A member's disk, as last looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberDisk {
    pub space: DiskSpace,
    pub state: DiskState,
}

// === impl DiskSpace ===

impl DiskSpace {
    /// Reads `stat -f -c '%S %b %a'`: bytes of a block, blocks, free blocks.
    pub fn parse(line: &str) -> Option<Self> {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        let (block, blocks, free) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
        let bytes = |count: u64| count.checked_mul(block);
        Some(Self { size: bytes(blocks)?, free: bytes(free)? })
    }

    /// How bad it is; `before`: how bad it was.
    pub fn state(self, before: DiskState) -> DiskState {
        let below = |limit: u64, state| {
            let margin = if before >= state { limit / MARGIN } else { 0 };
            self.free < limit + margin
        };
        match () {
            () if below(FULL, DiskState::Full) => DiskState::Full,
            () if below(LOW.min(self.size / LOW_PART), DiskState::Low) => DiskState::Low,
            () => DiskState::Ample,
        }
    }
}

/// `0 of 64M free`.
impl fmt::Display for DiskSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |bytes: u64| match bytes / MIB {
            0 => "0".to_owned(),
            mib if mib < 10 * 1024 => format!("{mib}M"),
            mib => format!("{}G", mib / 1024),
        };
        write!(f, "{} of {} free", whole(self.free), whole(self.size))
    }
}

// === impl DiskState ===

impl DiskState {
    /// `ample`, `low` or `full`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ample => "ample",
            Self::Low => "low",
            Self::Full => "full",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1024 * MIB;

    fn state(size: u64, free: u64) -> DiskState {
        DiskSpace { size, free }.state(DiskState::Ample)
    }

    #[test]
    fn a_large_disk_is_low_below_a_gibibyte_and_a_small_one_below_a_tenth() {
        assert_eq!(
            [2 * GIB, GIB, GIB - 1].map(|free| state(252 * GIB, free)),
            [DiskState::Ample, DiskState::Ample, DiskState::Low]
        );
        assert_eq!([60 * MIB, 50 * MIB].map(|free| state(512 * MIB, free)), [DiskState::Ample, DiskState::Low]);
    }

    #[test]
    fn a_disk_is_full_when_no_piece_of_log_fits() {
        assert_eq!(
            [8, 7, 0].map(|mib| state(252 * GIB, mib * MIB)),
            [DiskState::Low, DiskState::Full, DiskState::Full]
        );
        assert_eq!(state(64 * MIB, 0), DiskState::Full);
    }

    #[test]
    fn a_disk_around_a_limit_stays_what_it_was() {
        let around = DiskSpace { size: 252 * GIB, free: GIB + 1 };
        assert_eq!(around.state(DiskState::Ample), DiskState::Ample);
        assert_eq!(around.state(DiskState::Low), DiskState::Low);
        assert_eq!(DiskSpace { free: 2 * GIB, ..around }.state(DiskState::Full), DiskState::Ample);
    }

    #[test]
    fn what_stat_says_is_read_and_anything_else_is_not() {
        let space = DiskSpace::parse("4096 16384 128\n").unwrap();
        assert_eq!((space.size, space.free), (64 * MIB, 512 * 1024));
        assert_eq!(space.to_string(), "0 of 64M free");
        assert_eq!(DiskSpace { size: 252 * GIB, free: 9 * GIB }.to_string(), "9216M of 252G free");
        for wrong in ["", "4096 1", "4096 x 1", "4096 -1 1", "99999999999 99999999999 1"] {
            assert_eq!(DiskSpace::parse(wrong), None, "{wrong:?}");
        }
    }
}
