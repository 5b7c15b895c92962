//! Changed files go live: what is served afterwards, and that nobody notices.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use dotcloud_local::api::client::{Client, Lines};
use dotcloud_local::api::home::Home;
use dotcloud_local::api::types::{DELETED, LiveEvent, LiveReady, Reloaded};
use dotcloud_local::cli::race::connection::{Connection, Target};
use http::Method;
use tokio::runtime::Runtime;

use crate::support::platform::{Platform, Web, texts};
use crate::support::wait_for;
use crate::turn;

const APP: &str = "live";
const BUILD_FILE: &str = "\
www:
  type: python
  approot: www
  instances: 3
pages:
  type: static
  approot: pages
  instances: 3
api:
  type: opa
  approot: api
  ports:
    www: http
  processes:
    server: python3 -u server.py
    hopeless: exit 1
side:
  type: static
  approot: side
  process: python3 -u side.py
made:
  type: baked
  approot: made
";
/// A type whose programs are restarted, on the image of another.
const RESTARTED: &str = "\
kind = \"code\"
summary = \"programs behind ports of the build file\"
[images]
same_as = \"static\"
[live]
reload = \"restart\"
";
/// One whose instances have no tree.
const BUILT: &str = "\
kind = \"code\"
summary = \"what its build made\"
http_port = 80
[images]
same_as = \"static\"
[live]
reload = \"build\"
";

fn page(text: &str) -> String {
    format!("<p>{text}</p>")
}

fn wsgi(text: &str) -> String {
    format!("def application(environ, start):\n    start('200 OK', [])\n    return [b'{text}']\n")
}

fn server(text: &str) -> String {
    format!(
        "import os\nfrom http.server import BaseHTTPRequestHandler, ThreadingHTTPServer\n\
         class Handler(BaseHTTPRequestHandler):\n    \
             protocol_version = 'HTTP/1.1'\n    \
             def do_GET(self):\n        \
                 self.send_response(200)\n        \
                 self.send_header('Content-Length', '{}')\n        \
                 self.end_headers()\n        \
                 self.wfile.write(b'{text}')\n    \
             do_HEAD = do_GET\n    \
             log_message = lambda *_: None\n\
         ThreadingHTTPServer(('', int(os.environ['PORT_WWW'])), Handler).serve_forever()\n",
        text.len()
    )
}

/// A program that leaves word of its version.
fn says(text: &str) -> String {
    format!("import time\nopen('/home/dotcloud/said', 'w').write('{text}')\ntime.sleep(1000)\n")
}

fn write(folder: &Path) {
    for (path, text) in [
        ("dotcloud.yml", BUILD_FILE.to_owned()),
        ("pages/index.html", page("one")),
        ("pages/old.html", page("old")),
        ("www/wsgi.py", wsgi("one")),
        ("api/server.py", server("one")),
        ("side/side.py", says("one")),
        ("made/index.html", page("made")),
    ] {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[test]
fn changes_are_served_by_all_instances_and_by_those_that_come_later() {
    let _turn = turn();
    let platform = Platform::new();
    for (name, text) in [("opa", RESTARTED), ("baked", BUILT)] {
        let own = platform.home().join("templates").join(name);
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("service.toml"), text).unwrap();
    }
    let tree = tempfile::tempdir().unwrap();
    write(tree.path());
    platform.up(tree.path(), APP);
    let live = Live::watch(&platform, 8);

    live.nobody_notices_a_change_of_each_kind();
    live.code_that_does_not_start_leaves_the_old_one_serving();
    live.programs_beside_the_server_are_restarted();
    live.deleted_files_are_gone_and_builds_are_asked_for();
    live.instances_that_come_later_have_the_change();
    live.a_push_replaces_all_of_it(tree.path());
}

struct Live<'a> {
    platform: &'a Platform,
    runtime: Runtime,
    client: Client,
    /// Open for as long as somebody watches.
    _watch: Lines,
}

impl<'a> Live<'a> {
    /// Watches until that many instances take changes.
    fn watch(platform: &'a Platform, instances: u32) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        // Not `new`, which would start this program as a daemon.
        let client = Client::passive(Home::at(platform.home()));
        let watch = runtime.block_on(async {
            let mut watch = client.live(APP).await.unwrap();
            while let Some(ready) = watch.next::<LiveReady>().await.unwrap() {
                if ready == (LiveReady { instances, wanted: instances }) {
                    return watch;
                }
            }
            panic!("the stream ended");
        });
        Self { platform, runtime, client, _watch: watch }
    }

    fn apply(&self, files: &[(&str, String)], deleted: &[&str]) -> Vec<LiveEvent> {
        self.runtime.block_on(async {
            let mut lines = self.client.live_apply(APP, tar(files, deleted)).await.unwrap();
            let mut events = Vec::new();
            while let Some(event) = lines.next::<LiveEvent>().await.unwrap() {
                events.push(event);
            }
            events
        })
    }

    /// Applies one file; how many instances came to serve it, and how.
    fn served(&self, path: &str, text: String) -> (u32, BTreeSet<String>) {
        let events = self.apply(&[(path, text)], &[]);
        println!("{path}: {events:?}");
        let Some(LiveEvent::Served { instances, failed_requests: 0, .. }) = events.last() else {
            panic!("{path}: {events:?}")
        };
        let how = events.iter().filter_map(|event| match event {
            LiveEvent::Instance { how, .. } => Some(format!("{how:?}")),
            _ => None,
        });
        (*instances, how.collect())
    }

    /// What failed, where, and what it said.
    fn failed(&self, path: &str, text: &str) -> (String, String) {
        match self.apply(&[(path, text.to_owned())], &[]).pop() {
            Some(LiveEvent::Failed { service, instance_id, output, failed_requests: 0 }) => {
                (format!("{service}.{instance_id}"), output)
            }
            other => panic!("{path}: {other:?}"),
        }
    }

    fn web(&self, service: &str) -> Web {
        self.platform.web(APP, service)
    }

    /// What a service answers; all its instances have their turn.
    fn answers(&self, service: &str) -> BTreeSet<String> {
        let web = self.web(service);
        (0..8).map(|_| self.get(&web, "/").1).collect()
    }

    fn get(&self, web: &Web, path: &str) -> (u16, String) {
        let target = Target { addr: web.addr, host: web.host.clone() };
        let answer = self.runtime.block_on(async { Connection::new(&target).send(Method::GET, path, "").await });
        let answer = answer.unwrap_or_else(|failure| panic!("{path}: {failure:?}"));
        (answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned())
    }

    fn nobody_notices_a_change_of_each_kind(&self) {
        let loads: Vec<Load> = ["pages", "www", "api"].map(|service| Load::start(&self.web(service))).into();
        let restarted = (1, only(Reloaded::Restarted));
        // Twice within a second, with files of the same length: caches must not be fooled.
        for text in ["two", "six"] {
            assert_eq!(self.served("pages/index.html", page(text)), (3, only(Reloaded::Synced)));
            assert_eq!(self.answers("pages"), [page(text)].into());
            assert_eq!(self.served("www/wsgi.py", wsgi(text)), (3, only(Reloaded::Switched)));
            assert_eq!(self.answers("www"), [text.to_owned()].into());
            assert_eq!(self.served("api/server.py", server(text)), restarted);
            assert_eq!(self.answers("api"), [text.to_owned()].into());
        }
        for load in loads {
            assert_eq!(load.stop(), Vec::<String>::new());
        }
    }

    fn code_that_does_not_start_leaves_the_old_one_serving(&self) {
        let loads: Vec<Load> = ["www", "api"].map(|service| Load::start(&self.web(service))).into();
        let (instance, output) = self.failed("www/wsgi.py", "def broken(:\n");
        assert!(instance == "www.0" && output.contains("SyntaxError"), "{instance}: {output}");
        assert!(!output.contains("Starting uWSGI"), "only what the application says: {output}");
        let (instance, output) = self.failed("api/server.py", "raise RuntimeError('no server')\n");
        assert!(instance == "api.0" && output.contains("RuntimeError: no server"), "{instance}: {output}");
        for service in ["www", "api"] {
            assert_eq!(self.answers(service), ["six".to_owned()].into(), "{service}");
        }
        for load in loads {
            assert_eq!(load.stop(), Vec::<String>::new());
        }
        assert_eq!(self.served("www/wsgi.py", wsgi("mended")).0, 3);
        assert_eq!(self.answers("www"), ["mended".to_owned()].into());
    }

    fn programs_beside_the_server_are_restarted(&self) {
        let said = || self.platform.run(&["-A", APP, "run", "side", "--", "cat", "said"]);
        let events = self.apply(&[("side/side.py", says("two"))], &[]);
        let told = |event: &LiveEvent| matches!(event, LiveEvent::Instance { restarted, .. } if restarted.len() == 1);
        assert!(events.iter().any(told), "{events:?}");
        assert_eq!(said().trim_end(), "two");
        let (instance, output) = self.failed("side/side.py", "raise RuntimeError('no words')\n");
        assert!(instance == "side.0" && output.contains("RuntimeError: no words"), "{instance}: {output}");
        assert_eq!(said().trim_end(), "two");
        assert_eq!(self.served("side/side.py", says("three")).0, 1, "the program that was put back counts again");
    }

    fn deleted_files_are_gone_and_builds_are_asked_for(&self) {
        assert_eq!(self.get(&self.web("pages"), "/old.html").0, 200);
        assert!(matches!(self.apply(&[], &["pages/old.html"]).last(), Some(LiveEvent::Served { instances: 3, .. })));
        assert_eq!(self.get(&self.web("pages"), "/old.html").0, 404);
        for path in ["www/requirements.txt", "dotcloud.yml", "pages/my-nginx.conf", "made/index.html", "shared/all.txt"]
        {
            let events = self.apply(&[(path, "anything".to_owned())], &[]);
            assert!(matches!(&events[..], [LiveEvent::Build { reason }] if reason.contains(path)), "{events:?}");
        }
        let outside = self.runtime.block_on(self.client.live_apply(APP, tar(&[("../x", String::new())], &[])));
        assert!(outside.is_err_and(|error| error.to_string().contains("../x")));
    }

    fn instances_that_come_later_have_the_change(&self) {
        let has_all = |when: &str| {
            assert_eq!(self.answers("www"), ["mended".to_owned()].into(), "{when}");
            assert_eq!(self.get(&self.web("pages"), "/old.html").0, 404, "{when}");
        };
        self.platform.scale(APP, &["www=4", "made=2"]);
        has_all("after scaling up");
        assert_eq!(self.answers("made"), [page("made")].into());
        for instance in ["made.0", "made.1"] {
            let tree = ["-A", APP, "run", instance, "--", "sh", "-c", "ls .dotcloud/live || echo none"];
            assert_eq!(self.platform.run(&tree).trim_end(), "none", "{instance} has no use for a tree");
        }
        self.platform.kill_daemon();
        self.platform.run(&["-A", APP, "kill", "www.1"]);
        self.platform.settle(APP);
        has_all("after a crash of the daemon and of an instance");
        self.platform.run(&["-A", APP, "run", "www.0", "--", "touch", "data/kept"]);
        let said = self.platform.run(&["-A", APP, "env", "set", "COLOUR=red"]);
        assert!(said.contains("[www.0] ~/data is handed over"), "{said}");
        has_all("after a deployment of the same revision, with ~/data handed over");
        self.platform.run(&["-A", APP, "down"]);
        let down = self.runtime.block_on(self.client.live_apply(APP, tar(&[("www/x", String::new())], &[])));
        assert!(down.is_err_and(|error| error.is_conflict()));
        self.runtime.block_on(self.client.up(APP)).unwrap();
        wait_for("the application runs again", Duration::from_secs(60), || {
            (self.get(&self.web("pages"), "/").0 == 200 && self.get(&self.web("www"), "/").0 == 200).then_some(())
        });
        self.platform.settle(APP);
        has_all("after down and up");
        assert_eq!(self.served("www/wsgi.py", wsgi("later")).0, 4, "nobody watches, and it goes live");
        assert_eq!(self.answers("www"), ["later".to_owned()].into());
    }

    /// The tree on the disk was never changed: to the CLI it is the revision that was pushed.
    fn a_push_replaces_all_of_it(&self, tree: &Path) {
        assert!(self.platform.run(&["-A", APP, "info"]).contains("+live"));
        self.platform.up(tree, APP);
        assert_eq!(self.answers("www"), ["one".to_owned()].into());
        assert_eq!(self.get(&self.web("pages"), "/old.html").0, 200);
        assert!(!self.platform.run(&["-A", APP, "info"]).contains("+live"));
        let left = fs::read_dir(self.platform.home().join("apps").join(APP).join("live")).unwrap().count();
        assert_eq!(left, 0, "overlays that no version has");
        let activity = self.platform.run(&["-A", APP, "activity"]);
        assert!(activity.contains("services=www") && activity.contains("files=1"), "{activity}");
    }
}

fn only(how: Reloaded) -> BTreeSet<String> {
    texts(&serde_json::json!([format!("{how:?}")])).into_iter().collect()
}

fn tar(files: &[(&str, String)], deleted: &[&str]) -> Vec<u8> {
    let gone = deleted.join("\0");
    let mut archive = tar::Builder::new(Vec::new());
    let all = [(DELETED, &gone)].into_iter().chain(files.iter().map(|(path, text)| (*path, text)));
    for (path, text) in all {
        let mut header = tar::Header::new_gnu();
        // Not by `set_path`: it refuses what a stranger's program would send.
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive.append(&header, text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

/// Four connections that ask without a pause.
struct Load {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<String>>,
}

impl Load {
    fn start(web: &Web) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let target = Target { addr: web.addr, host: web.host.clone() };
        let (stopped, counted) = (stop.clone(), done.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let asking = (0..4).map(|_| ask_on(&target, &stopped, &counted));
            runtime.block_on(futures_util::future::join_all(asking)).concat()
        });
        wait_for("the load is answered", Duration::from_secs(30), || {
            (done.load(Ordering::Relaxed) >= 20).then_some(())
        });
        Self { stop, thread }
    }

    /// Why requests failed.
    fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

async fn ask_on(target: &Target, stop: &AtomicBool, done: &AtomicUsize) -> Vec<String> {
    let mut connection = Connection::new(target);
    let mut failures = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        match connection.send(Method::GET, "/", "").await {
            Ok(answer) if answer.status.is_success() => {}
            Ok(answer) => failures.push(format!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body))),
            Err(failure) => failures.push(format!("{failure:?}")),
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    failures
}
