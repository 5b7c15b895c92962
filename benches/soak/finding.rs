//! What broke, with everything that can be known about it.

use std::fs;
use std::path::PathBuf;

use crate::stage::Stage;

pub struct Finding {
    pub round: usize,
    pub hand: String,
    pub wrong: Vec<String>,
    pub evidence: PathBuf,
}

impl Finding {
    /// Keeps the daemon's log and what it says of the application.
    pub fn keep(stage: &Stage<'_>, round: usize, hand: String, wrong: Vec<String>) -> Self {
        let name = format!("{}-{}-{round}", stage.row.name, std::process::id());
        let evidence = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench/soak").join(name);
        fs::create_dir_all(&evidence).unwrap();
        let _ = fs::copy(stage.platform.home().join("daemon.log"), evidence.join("daemon.log"));
        for (file, words) in [
            ("info.json", &["info", "--json"][..]),
            ("activity.txt", &["activity"]),
            ("server.log", &["logs", "db", "--no-follow", "--lines", "400"]),
        ] {
            let output = stage.platform.try_run(&[&["-A", stage.row.name], words].concat());
            let _ = fs::write(evidence.join(file), [output.stdout, output.stderr].concat());
        }
        let _ = fs::write(evidence.join("finding.txt"), format!("{hand}\n{}\n", wrong.join("\n")));
        Self { round, hand, wrong, evidence }
    }
}
