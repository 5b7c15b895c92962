//! The built binary with a `DOTCLOUD_HOME` of its own.

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::docker::{Engine, Objects};
use super::wait_for;

/// How long one command may take. The first one on a machine makes images.
const PATIENCE: &str = "1500";

/// A platform: its home, and after the drop nothing at all.
pub struct Platform {
    home: TempDir,
    /// Settings of the environment that every command gets.
    environment: Vec<(String, String)>,
    /// The home's name in labels, once an application has a container.
    label: OnceLock<String>,
}

/// Where a web service answers.
#[derive(Debug, Clone)]
pub struct Web {
    pub addr: SocketAddr,
    pub host: String,
}

/// One member of a replicated service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub number: u64,
    /// Of the server, not of the pod.
    pub container: String,
    pub ip: String,
}

impl Member {
    /// Where its server itself listens, past the front.
    pub fn addr(&self, port: u16) -> SocketAddr {
        format!("{}:{port}", self.ip).parse().unwrap()
    }
}

impl Platform {
    pub fn new() -> Self {
        // Short, because a Unix socket's path is limited to 107 bytes.
        // Private, because the daemon takes no other home.
        let private = Permissions::from_mode(0o700);
        let home = tempfile::Builder::new().prefix("dcl").permissions(private).tempdir_in("/tmp").unwrap();
        Self { home, environment: Vec::new(), label: OnceLock::new() }
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// For the commands that follow; a running daemon keeps the environment it was started in.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// `DOTCLOUD_BINARY=…` drives another build than this one.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let built = || env!("CARGO_BIN_EXE_dotcloud").into();
        let mut command = Command::new(std::env::var_os("DOTCLOUD_BINARY").unwrap_or_else(built));
        command.args(arguments).env("DOTCLOUD_HOME", self.home.path()).stdin(Stdio::null());
        command.env_remove("DOTCLOUD_APPLICATION").env("NO_COLOR", "1");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn try_run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must succeed; its standard output.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.try_run(arguments);
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let err = String::from_utf8_lossy(&output.stderr);
            panic!("dotcloud {arguments:?}: {}\n{out}\n{err}\n--- daemon.log\n{}", output.status, self.log_tail());
        }
        out
    }

    /// Runs a command that must fail; everything it printed.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.try_run(arguments);
        assert!(!output.status.success(), "dotcloud {arguments:?} succeeded");
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.push("--json");
        let text = self.run(&all);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("dotcloud {all:?}: {error}: {text}"))
    }

    /// Starts a command and leaves it running, silent.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Creates and starts a sample under the given name, and waits until it answers.
    pub fn up(&self, sample: &Path, app: &str) {
        self.run(&["-A", app, "up", "-d", "--wait", "--timeout", PATIENCE, sample.to_str().unwrap()]);
        self.label.get_or_init(|| Engine::connect().home_of(&self.containers(app)[0]));
    }

    /// The names of all applications.
    pub fn apps(&self) -> Vec<String> {
        let listed = self.try_run(&["list", "--json"]).stdout;
        let documents = serde_json::Deserializer::from_slice(&listed).into_iter::<Value>().filter_map(Result::ok);
        let apps = documents.flat_map(|document| document.as_array().cloned().unwrap_or_else(|| vec![document]));
        apps.map(|app| text(&app["name"])).filter(|name| !name.is_empty()).collect()
    }

    /// The ids of an application's containers.
    pub fn containers(&self, app: &str) -> Vec<String> {
        let services = self.json(&["-A", app, "info"])["services"].as_array().cloned().unwrap_or_default();
        let instances =
            services.iter().flat_map(|service| service["instances"].as_array().cloned().unwrap_or_default());
        instances.map(|instance| text(&instance["container_id"])).filter(|id| !id.is_empty()).collect()
    }

    /// The id and number of the container that holds a role: `master` or `slave`. On a busy machine
    /// a member may miss a question, and is in no role until it has answered the next.
    pub fn member(&self, app: &str, service: &str, role: &str) -> Member {
        wait_for(&format!("{service} has a {role}"), Duration::from_secs(10), || {
            let info = self.service(app, service);
            let member = info["group"]["members"].as_array()?.iter().find(|member| member["role"] == role)?;
            let number = member["instance_id"].as_u64()?;
            let mut instances = info["instances"].as_array()?.iter();
            let instance = instances.find(|instance| instance["instance_id"] == number)?;
            Some(Member { number, container: text(&instance["container_id"]), ip: text(&instance["ip"]) })
        })
    }

    /// What the engine holds for this home.
    pub fn objects(&self) -> Objects {
        self.label.get().map_or_else(Objects::default, |home| Engine::connect().objects(home))
    }

    pub fn service(&self, app: &str, service: &str) -> Value {
        self.json(&["-A", app, "info", service])
    }

    /// Scales and waits until everything asked for runs and answers.
    pub fn scale(&self, app: &str, wishes: &[&str]) {
        let mut arguments = vec!["-A", app, "scale"];
        arguments.extend(wishes);
        self.run(&arguments);
        self.settle(app);
    }

    /// Waits until everything asked for runs and answers and every data service has settled.
    pub fn settle(&self, app: &str) {
        wait_for("the application settles", Duration::from_secs(120), || {
            let info = self.json(&["-A", app, "info"]);
            let held = info["holds"].as_array().is_some_and(|holds| !holds.is_empty());
            let services = info["services"].as_array()?.clone();
            (!held && services.iter().all(is_settled)).then_some(())
        });
    }

    /// Where a web service answers, through 127.0.0.1.
    pub fn web(&self, app: &str, service: &str) -> Web {
        let info = self.service(app, service);
        let urls: Vec<http::Uri> = texts(&info["urls"]).iter().map(|url| url.parse().unwrap()).collect();
        let named = urls.iter().find(|url| url.host().is_some_and(|host| host.ends_with(".localhost")));
        let named = named.unwrap_or_else(|| panic!("no *.localhost among {urls:?}"));
        let port = named.port_u16().unwrap();
        Web { addr: ([127, 0, 0, 1], port).into(), host: format!("{}:{port}", named.host().unwrap()) }
    }

    /// The stable address of a data service with its password.
    pub fn data(&self, app: &str, service: &str) -> (SocketAddr, String) {
        let info = self.service(app, service);
        let address = info["address"].as_str().unwrap_or_else(|| panic!("no address in {info}"));
        let (credentials, addr) = address.split_once("://").unwrap().1.rsplit_once('@').unwrap();
        let password = credentials.split_once(':').unwrap().1.to_owned();
        (addr.trim_end_matches('/').parse().unwrap(), password)
    }

    /// The running daemon's process id: the process called `dotcloud daemon` of this home.
    pub fn daemon_pid(&self) -> u32 {
        let home = self.home.path().to_str().unwrap();
        let processes =
            std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let holds = |pid: u32, file: &str, text: &str| {
            let content = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&content).split('\0').any(|part| part == text)
        };
        let environment = format!("DOTCLOUD_HOME={home}");
        let mut daemons = processes.filter(|pid| {
            holds(*pid, "cmdline", "daemon") && (holds(*pid, "environ", &environment) || holds(*pid, "cmdline", home))
        });
        daemons.next().unwrap_or_else(|| panic!("no daemon runs for {home}"))
    }

    /// `kill -9` for the daemon; the next command starts another.
    pub fn kill_daemon(&self) {
        let pid = self.daemon_pid();
        let process = rustix::process::Pid::from_raw(pid as i32).unwrap();
        rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
        wait_for("the daemon is gone", Duration::from_secs(10), || {
            let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
            // A zombie is gone as well: nobody may have asked for its exit code yet. But its other
            // threads, which may hold the ports, can outlive the first by a moment.
            let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
            status.is_none_or(|text| text.contains(") Z ") && threads <= 1).then_some(())
        });
    }

    /// The end of the daemon's log.
    pub fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.home.path().join("daemon.log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- daemon.log\n{}", self.log_tail());
        }
        // First as a user would; what is left after a failure, by its label.
        for app in self.apps() {
            let _ = self.try_run(&["destroy", "-A", &app, "--assume-yes"]);
        }
        let _ = self.try_run(&["daemon", "stop"]);
        if let Some(home) = self.label.get() {
            Engine::connect().remove_all(home);
        }
    }
}

/// A folder of `samples/`.
pub fn sample(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A copy of a sample that a test may change.
pub fn copy_of(path: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    let source = sample(path);
    for entry in walkdir::WalkDir::new(&source).min_depth(1).into_iter().map(Result::unwrap) {
        let target = copy.path().join(entry.path().strip_prefix(&source).unwrap());
        match entry.file_type().is_dir() {
            true => std::fs::create_dir(target).unwrap(),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
    copy
}

/// A JSON string, empty when it is none.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The strings of a JSON list.
pub fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// All instances up and, for a data service, a master open and every slave synchronised.
pub fn is_settled(service: &Value) -> bool {
    let instances = service["instances"].as_array();
    let up = instances.into_iter().flatten().filter(|instance| instance["state"] == "up").count() as u64;
    let members = service["group"]["members"].as_array();
    let synchronized = members
        .into_iter()
        .flatten()
        .all(|member| member["role"] == "master" || (member["role"] == "slave" && member["state"] == "synchronized"));
    let open = service["group"].is_null() || service["group"]["settled"] == true;
    up == service["instance_count"].as_u64().unwrap_or(0) && synchronized && open
}
