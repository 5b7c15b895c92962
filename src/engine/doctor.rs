//! `doctor`: what the machine lacks, and how to mend it.

use std::net::Ipv4Addr;

use super::handle::Engine;
use super::reconcile::in_full;
use super::runtime::EngineInfo;
use super::view::{Finding, FindingLevel};

/// Type images, revisions and logs together need about this.
const LEAST_DISK: u64 = 5 * 1024 * 1024 * 1024;

impl Engine {
    pub async fn doctor(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        match self.inner().runtime.info().await {
            Ok(info) => {
                findings.push(ok(
                    "engine",
                    format!("Docker {} (API {}) at {}", info.version, info.api_version, info.endpoint),
                ));
                findings.push(disk(&info));
                findings.extend(self.inner().runtime.diagnose().await);
            }
            Err(error) => {
                let mend = "start it (`dockerd`, `systemctl start docker` or Docker Desktop) or set DOCKER_HOST";
                findings.push(wrong("engine", in_full(&error), mend));
            }
        }
        findings.push(self.ports());
        findings.extend(self.blocked());
        findings
    }

    fn ports(&self) -> Finding {
        let port = self.inner().config.http_port;
        ok("ports", format!("applications are served on {}:{port}", Ipv4Addr::LOCALHOST))
    }

    /// What applications wait for.
    fn blocked(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for app in self.inner().all_apps() {
            for hold in app.status.borrow().holds.iter() {
                let mend = format!("`dotcloud logs -A {}` and `dotcloud info -A {}` tell more", app.name, app.name);
                findings.push(Finding {
                    subject: app.name.to_string(),
                    level: FindingLevel::Warning,
                    text: hold.clone(),
                    mend: Some(mend),
                });
            }
        }
        findings
    }
}

fn disk(info: &EngineInfo) -> Finding {
    match info.free_disk {
        Some(free) if free < LEAST_DISK => {
            let text = format!("{} MB are free for Docker's data", free / 1_000_000);
            wrong("disk", text, "free some: `docker system df` shows what takes it")
        }
        Some(free) => ok("disk", format!("{:.1} GB are free for Docker's data", free as f64 / 1e9)),
        None => ok("disk", "Docker's data is on another machine".to_owned()),
    }
}

fn ok(subject: &str, text: String) -> Finding {
    Finding { subject: subject.to_owned(), level: FindingLevel::Ok, text, mend: None }
}

fn wrong(subject: &str, text: String, mend: &str) -> Finding {
    Finding { subject: subject.to_owned(), level: FindingLevel::Error, text, mend: Some(mend.to_owned()) }
}
