//! Figures of benchmarks: quantiles, a table for people, a file for comparisons.

use std::path::Path;

use serde_json::{Value, json};

/// Measured values, in order: durations in milliseconds where `json` is asked for.
#[derive(Debug, Clone, Default)]
pub struct Series(Vec<f64>);

impl Series {
    pub fn push(&mut self, milliseconds: f64) {
        self.0.push(milliseconds);
        self.0.sort_by(f64::total_cmp);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        match self.0.len() {
            0 => f64::NAN,
            even if even % 2 == 0 => f64::midpoint(self.0[middle - 1], self.0[middle]),
            _ => self.0[middle],
        }
    }

    /// Nearest rank.
    pub fn quantile(&self, q: f64) -> f64 {
        let rank = (q * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
    }

    pub fn max(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    pub fn json(&self) -> Value {
        json!({
            "count": self.0.len(), "median_ms": self.median(), "p95_ms": self.quantile(0.95),
            "max_ms": self.max(), "all_ms": self.0,
        })
    }
}

/// Writes `target/bench/<name>.json` and says so.
pub fn save(name: &str, result: &Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{name}.json"));
    std::fs::write(&file, serde_json::to_string_pretty(result).unwrap() + "\n").unwrap();
    println!("\nwritten to {}", file.display());
}

/// Rounds from the environment, for example `ROUNDS=5`.
pub fn rounds(default: usize) -> usize {
    std::env::var("ROUNDS").ok().map_or(default, |text| text.parse().expect("ROUNDS is a number"))
}
