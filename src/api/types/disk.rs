//! The disk on which a member of a data service keeps its data.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Bytes.
    pub size: u64,
    pub free: u64,
    /// `ample`, `low` or `full`.
    pub state: String,
    /// In words: `low, 800M of 252G free`.
    pub text: String,
}
