//! `docker compose watch` with the action `sync+restart`, on the image of our own instances.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard::models::ContainerConfig;
use serde_json::{Value, json};

use super::load::Addresses;
use super::support::docker::Engine;
use super::support::wait_for;

/// A project of its own, removed when it goes.
pub struct Compose {
    binary: PathBuf,
    folder: PathBuf,
    project: String,
    pub version: String,
    instances: usize,
    port: u16,
    watch: Option<Child>,
    engine: Mutex<Engine>,
    addresses: Addresses,
}

impl Compose {
    /// Starts so many replicas of a container of ours and watches the folder.
    pub fn start(scratch: &Path, ours: ContainerConfig, folder: &Path, instances: usize, port: u16) -> Self {
        let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/compose/docker-compose");
        assert!(binary.exists(), "run `make bench-redeploy`: it fetches Docker Compose first");
        std::fs::write(scratch.join("compose.json"), project(ours, folder, instances, port).to_string()).unwrap();
        let output = Command::new(&binary).args(["version", "--short"]).output().unwrap();
        let version = format!("docker compose {}", String::from_utf8_lossy(&output.stdout).trim());
        let project = format!("dcl-bench-{}", std::process::id());
        let engine = Mutex::new(Engine::connect());
        let addresses = Arc::new(Mutex::new(Vec::new()));
        let folder = scratch.to_owned();
        let mut compose = Self { binary, folder, project, version, instances, port, watch: None, engine, addresses };
        compose.run(&["up", "-d", "--wait", "--quiet-pull"]);
        let all = (0..instances).map(|instance| compose.inspect(instance)).collect();
        *compose.addresses.lock().unwrap() = all;
        compose.watch();
        compose
    }

    fn watch(&mut self) {
        let log = File::create(self.log()).unwrap();
        let mut command = self.command(&["watch", "--no-up"]);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.watch = Some(command.spawn().unwrap());
        wait_for("compose watches", Duration::from_secs(30), || self.said("Watch enabled", 1));
    }

    /// A restart may give a container another address.
    pub fn address(&self, instance: usize) -> SocketAddr {
        let address = self.inspect(instance);
        self.addresses.lock().unwrap()[instance] = address;
        address
    }

    pub fn addresses(&self) -> Addresses {
        Arc::clone(&self.addresses)
    }

    /// Waits until the restarts of so many changes are over.
    pub fn settled(&self, changes: usize) {
        let restarts = changes * self.instances;
        wait_for("compose is done", Duration::from_secs(60), || self.said("Started", restarts));
    }

    fn inspect(&self, instance: usize) -> SocketAddr {
        let name = format!("{}-www-{}", self.project, instance + 1);
        let networks = self.engine.lock().unwrap().inspect(&name).network_settings.and_then(|all| all.networks);
        let ip = networks.into_iter().flatten().find_map(|(_, network)| network.ip_address);
        // Between two starts it has none, and nothing answers there.
        let ip = ip.filter(|ip| !ip.is_empty()).unwrap_or_else(|| "127.0.0.1".to_owned());
        SocketAddr::new(ip.parse().unwrap(), self.port)
    }

    fn said(&self, word: &str, times: usize) -> Option<()> {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        (log.matches(word).count() >= times).then_some(())
    }

    fn log(&self) -> PathBuf {
        self.folder.join("compose.log")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("-p").arg(&self.project).arg("-f").arg(self.folder.join("compose.json"));
        command.args(arguments).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "compose {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        if let Some(mut watch) = self.watch.take() {
            let _ = watch.kill();
            let _ = watch.wait();
        }
        self.run(&["down", "--volumes", "--timeout", "0"]);
    }
}

/// A Compose file (JSON is YAML) of what our own instance is made of.
fn project(ours: ContainerConfig, folder: &Path, instances: usize, port: u16) -> Value {
    // Compose takes `$` in a value for a variable.
    let escaped = |values: Option<Vec<String>>| -> Vec<String> {
        values.unwrap_or_default().iter().map(|value| value.replace('$', "$$")).collect()
    };
    // Docker 20.10 copies files only into containers whose user the host knows as well, so they
    // run as root and hand over to our user first.
    let user = ours.user.clone().unwrap_or_default();
    let drop = ["setpriv", "--reuid", &user, "--regid", &user, "--init-groups"].map(str::to_owned);
    let entrypoint = [drop.to_vec(), escaped(ours.entrypoint)].concat();
    let mut environment = escaped(ours.env);
    environment.push(format!("HOME=/home/{user}"));
    let url = format!("http://127.0.0.1:{port}/");
    json!({ "services": { "www": {
        "image": ours.image, "user": "root", "environment": environment,
        "entrypoint": entrypoint, "command": escaped(ours.cmd),
        // Watching needs a build, which is never made: the image is there.
        "build": { "context": folder },
        "deploy": { "replicas": instances },
        "develop": { "watch": [{ "action": "sync+restart", "path": folder, "target": "/home/dotcloud/code" }] },
        "healthcheck": { "test": ["CMD", "curl", "-fs", url], "interval": "0.5s", "timeout": "5s", "retries": 60 },
    }}})
}
