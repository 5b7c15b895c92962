//! Memory sizes as dotCloud wrote them: `512M`, `1G`, in steps of 32 MiB.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const MIB: u64 = 1024 * 1024;

/// A memory limit of one instance, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Memory(u64);

/// Why a text or a size is not a memory limit (platform.md, §9).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    #[error("{0:?} is not a memory size: write for example 512M or 2G")]
    Malformed(String),
    #[error("{0} is below the smallest limit of 32M")]
    TooSmall(Memory),
    #[error("{0} is above the largest limit of 64G")]
    TooLarge(Memory),
    #[error("{0} is above 4G, which this daemon does not permit")]
    NotPermitted(Memory),
}

impl Memory {
    /// What an instance gets when nobody scaled it.
    pub const DEFAULT: Self = Self(256 * MIB);
    const SMALLEST: Self = Self(32 * MIB);
    const LARGEST: Self = Self(64 * 1024 * MIB);
    const FREE: Self = Self(4 * 1024 * MIB);
    const STEP: u64 = 32 * MIB;

    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The limit that is applied for this request: rounded to the nearest step of 32 MiB.
    ///
    /// # Errors
    /// Below 32M, above 64G, or above 4G unless `large_permitted`.
    pub fn checked(self, large_permitted: bool) -> Result<Self, MemoryError> {
        if self < Self::SMALLEST {
            return Err(MemoryError::TooSmall(self));
        }
        if self > Self::LARGEST {
            return Err(MemoryError::TooLarge(self));
        }
        let rounded = Self((self.0 + Self::STEP / 2) / Self::STEP * Self::STEP);
        if rounded > Self::FREE && !large_permitted {
            return Err(MemoryError::NotPermitted(self));
        }
        Ok(rounded)
    }
}

impl FromStr for Memory {
    type Err = MemoryError;

    fn from_str(text: &str) -> Result<Self, MemoryError> {
        let wrong = || MemoryError::Malformed(text.to_owned());
        let trimmed = text.trim().trim_end_matches(['b', 'B']).trim_end_matches(['i', 'I']);
        let split = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(split);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let scale = match unit.to_ascii_uppercase().as_str() {
            "" => 1,
            "K" => 1024,
            "M" => MIB,
            "G" => 1024 * MIB,
            "T" => 1024 * 1024 * MIB,
            _ => return Err(wrong()),
        };
        number.checked_mul(scale).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            b if b >= 1024 * MIB && b.is_multiple_of(1024 * MIB) => write!(f, "{}G", b / (1024 * MIB)),
            b if b.is_multiple_of(MIB) => write!(f, "{}M", b / MIB),
            b => write!(f, "{:.1}M", b as f64 / MIB as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_and_bounded() {
        let checked = |text: &str, large| text.parse::<Memory>().unwrap().checked(large);
        assert_eq!(checked("100M", false).unwrap().to_string(), "96M");
        assert_eq!(checked("512M", false).unwrap().to_string(), "512M");
        assert!(matches!(checked("16M", false), Err(MemoryError::TooSmall(_))));
        assert!(matches!(checked("65G", true), Err(MemoryError::TooLarge(_))));
        assert!(matches!(checked("5G", false), Err(MemoryError::NotPermitted(_))));
        assert_eq!(checked("5G", true).unwrap().to_string(), "5G");
        assert!("12X".parse::<Memory>().is_err());
        assert!("99999999999999999999G".parse::<Memory>().is_err());
    }
}
