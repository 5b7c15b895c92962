//! Docker Compose as `scripts/fetch-compose.sh` unpacked it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A project of its own, removed when it goes.
pub struct Compose {
    binary: PathBuf,
    file: PathBuf,
    pub version: String,
}

impl Compose {
    pub fn new(folder: &Path, project: &serde_json::Value) -> Self {
        let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/compose/docker-compose");
        assert!(binary.exists(), "run `make bench-up`: it fetches Docker Compose first");
        let file = folder.join("compose.json");
        std::fs::write(&file, project.to_string()).unwrap();
        let output = Command::new(&binary).args(["version", "--short"]).output().unwrap();
        let version = format!("docker compose {}", String::from_utf8_lossy(&output.stdout).trim());
        Self { binary, file, version }
    }

    pub fn up(&self) {
        self.run(&["up", "-d", "--wait", "--scale", "www=4", "--quiet-pull"]);
    }

    pub fn down(&self) {
        self.run(&["down", "--volumes", "--timeout", "1"]);
    }

    fn run(&self, arguments: &[&str]) {
        let project = format!("dcl-bench-{}", std::process::id());
        let mut command = Command::new(&self.binary);
        command.arg("-p").arg(project).arg("-f").arg(&self.file).args(arguments).stdin(Stdio::null());
        let output = command.output().unwrap();
        assert!(output.status.success(), "compose {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        self.run(&["down", "--volumes", "--timeout", "0"]);
    }
}
