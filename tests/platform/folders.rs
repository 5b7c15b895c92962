//! Where a file is seen, and what it outlives: a shared folder, `~/data`, anywhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::docker::{Engine, Objects};
use crate::support::platform::{Platform, copy_of, sample, text};
use crate::support::wait_for;
use crate::turn;

const PLACES: [&str; 3] = ["shared", "data", "own"];
const HANDED_OVER: &str = "~/data is handed over: a short downtime";

/// The sample, running.
struct Uploads {
    platform: Platform,
    code: tempfile::TempDir,
    instances: usize,
}

#[test]
fn shared_files_are_everywhere_at_once_and_others_with_one_instance() {
    let _turn = turn();
    let uploads = Uploads::start(3);
    let writers = PLACES.map(|place| uploads.put(place, "first.txt"));

    for (instance, files) in uploads.lists("shared") {
        assert_eq!(files, [&*writers[0]], "{instance} sees the shared file");
    }
    for (place, writer) in [("data", &writers[1]), ("own", &writers[2])] {
        for (instance, files) in uploads.lists(place) {
            assert_eq!(files.contains(writer), instance == *writer, "{place}: {instance} sees {files:?}");
        }
    }
    let service = uploads.platform.service("uploads", "www");
    assert_eq!(service["shared_folders"][0]["path"], "/home/dotcloud/store");

    uploads.run(&["restart", &writers[1]]);
    assert_eq!(uploads.lists("data")[&writers[1]], [&*writers[1]], "a restart keeps ~/data");
    uploads.run(&["down"]);
    assert!(uploads.platform.objects().volumes >= 4, "one that is shared, one of each instance");
    uploads.up();
    assert!(uploads.lists("shared").values().all(|files| *files == [&*writers[0]]));
    assert_eq!(uploads.lists("data")[&writers[1]], [&*writers[1]]);
    assert!(uploads.lists("own").values().all(Vec::is_empty), "volatile");

    uploads.run(&["down", "--volumes"]);
    assert_eq!(uploads.platform.objects(), Objects::default());
    uploads.up();
    for place in PLACES {
        assert!(uploads.lists(place).values().all(Vec::is_empty), "{place}");
    }
    uploads.put("shared", "again.txt");
    uploads.put("data", "again.txt");
    uploads.run(&["destroy", "--assume-yes"]);
    assert_eq!(uploads.platform.objects(), Objects::default());
}

#[test]
fn data_is_handed_over_from_version_to_version() {
    let _turn = turn();
    let uploads = Uploads::start(2);
    assert!(!uploads.push("1").contains(HANDED_OVER), "nobody uses ~/data: no downtime");
    let writer = uploads.put("data", "kept.txt");
    let other = uploads.put_elsewhere("own", "lost.txt", &writer);

    only_the_instance_with_data_is_stopped(&uploads, &writer, &other);
    what_fails_after_the_hand_over_gives_it_back(&uploads, &writer);
    a_daemon_killed_within_a_hand_over_converges(&uploads, &writer);

    uploads.run(&["scale", "www=1"]);
    uploads.platform.settle("uploads");
    uploads.run(&["scale", "www=2"]);
    uploads.platform.settle("uploads");
    assert_eq!(uploads.lists("data")[&writer], [&*writer], "an instance that comes back has its files");
    uploads.run(&["destroy", "--assume-yes"]);
    assert_eq!(uploads.platform.objects(), Objects::default());
}

fn only_the_instance_with_data_is_stopped(uploads: &Uploads, writer: &str, other: &str) {
    let postinstall = "ls -A ~/data | wc -l > ~/seen; rm -rf ~/data/*; echo no > ~/data/intruder";
    uploads.describe(&format!("  postinstall: {postinstall}\n"));
    let old = uploads.container(writer);
    let (said, stopped_at) = ended_at_while(&old, || uploads.push("2"));
    assert!(said.contains(&format!("[{writer}] {HANDED_OVER}")), "{said}");
    assert!(!said.contains(&format!("[{other}] {HANDED_OVER}")), "{said}");
    let started_at = uploads.booted(writer);
    assert!(stopped_at < started_at, "never two at once: {stopped_at} {started_at}");

    assert_eq!(uploads.lists("data")[writer], [writer], "postinstall cannot change what is kept");
    assert!(uploads.lists("own").values().all(Vec::is_empty));
    assert_eq!(uploads.run(&["run", writer, "--", "cat", "seen"]).trim(), "0");
    assert_eq!(uploads.run(&["run", other, "--", "ls", "data/"]).trim(), "intruder", "the first one is kept");
    uploads.run(&["run", other, "--", "rm", "data/intruder"]);
    uploads.describe("");
}

fn what_fails_after_the_hand_over_gives_it_back(uploads: &Uploads, writer: &str) {
    // Read once ~/data is there, and only by the one that waited for it.
    let broken = "printf '[program:broken]\\n' > supervisord.conf";
    let number = writer.rsplit('.').next().unwrap();
    uploads.describe(&format!("  postinstall: test $DOTCLOUD_SERVICE_ID -ne {number} || {broken}\n"));
    let said = uploads.platform.refused(&["-A", "uploads", "push", uploads.code.path().to_str().unwrap()]);
    assert!(said.contains(HANDED_OVER), "{said}");
    uploads.describe("");
    uploads.platform.settle("uploads");
    assert_eq!(uploads.lists("data")[writer], [writer], "the old version is back");
}

fn a_daemon_killed_within_a_hand_over_converges(uploads: &Uploads, writer: &str) {
    let before = uploads.container(writer);
    fs::write(uploads.code.path().join("version"), "3").unwrap();
    let mut push = uploads.platform.start(&["-A", "uploads", "push", uploads.code.path().to_str().unwrap()]);
    wait_for("it is handed over", Duration::from_secs(60), || {
        let said = uploads.platform.try_run(&["-A", "uploads", "dlogs", "latest", "--no-follow"]).stdout;
        String::from_utf8_lossy(&said).contains(HANDED_OVER).then_some(())
    });
    uploads.platform.kill_daemon();
    push.wait().unwrap();
    wait_for("the new version serves", Duration::from_secs(60), || {
        let now = uploads.container(writer);
        (!now.is_empty() && now != before).then_some(())
    });
    uploads.platform.settle("uploads");
    assert_eq!(uploads.lists("data")[writer], [writer]);
}

/// When a container stopped that goes during the work. It is removed soon after.
fn ended_at_while<T>(container: &str, work: impl FnOnce() -> T) -> (T, jiff::Timestamp) {
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let engine = Engine::connect();
            wait_for("the old container stopped", Duration::from_secs(60), || engine.finished_at(container))
        });
        (work(), watching.join().unwrap().parse().unwrap())
    })
}

impl Uploads {
    fn start(instances: usize) -> Self {
        let uploads = Self { platform: Platform::new(), code: copy_of("samples/uploads"), instances };
        assert!(sample("samples/uploads").join("README.md").exists());
        uploads.platform.up(uploads.code.path(), "uploads");
        uploads.platform.scale("uploads", &[&format!("www={instances}")]);
        uploads
    }

    fn run(&self, arguments: &[&str]) -> String {
        self.platform.run(&[&["-A", "uploads"], arguments].concat())
    }

    fn up(&self) {
        self.run(&["up", "-d", "--wait", "--timeout", "120", self.code.path().to_str().unwrap()]);
    }

    /// Everything that a push of changed code says.
    fn push(&self, version: &str) -> String {
        fs::write(self.code.path().join("version"), version).unwrap();
        self.run(&["push", self.code.path().to_str().unwrap()]);
        self.platform.settle("uploads");
        self.run(&["dlogs", "latest", "--no-follow"])
    }

    /// Adds lines to the service.
    fn describe(&self, lines: &str) {
        let original = fs::read_to_string(sample("samples/uploads").join("dotcloud.yml")).unwrap();
        fs::write(self.code.path().join("dotcloud.yml"), original + lines).unwrap();
    }

    /// Uploads a file; who took it.
    fn put(&self, place: &str, name: &str) -> String {
        let said = self.curl(&["-T", "README.md"], &format!("/{place}/{name}"));
        said.split(' ').next().unwrap().to_owned()
    }

    /// Uploads until another instance than `not` took it.
    fn put_elsewhere(&self, place: &str, name: &str, not: &str) -> String {
        let taken = || Some(self.put(place, name)).filter(|writer| writer != not);
        wait_for("another instance takes the file", Duration::from_secs(10), taken)
    }

    /// What each instance sees of a place: who wrote each file.
    fn lists(&self, place: &str) -> BTreeMap<String, Vec<String>> {
        let mut lists = BTreeMap::new();
        wait_for("every instance answered", Duration::from_secs(20), || {
            let said: Value = serde_json::from_str(&self.curl(&[], &format!("/{place}"))).unwrap();
            let files = said["files"].as_array().unwrap().iter().map(|file| text(&file["written_by"]));
            lists.insert(text(&said["instance"]), files.collect());
            (lists.len() == self.instances).then_some(())
        });
        assert_eq!(lists.keys().collect::<BTreeSet<_>>().len(), self.instances);
        lists
    }

    fn curl(&self, arguments: &[&str], path: &str) -> String {
        let web = self.platform.web("uploads", "www");
        let mut command = Command::new("curl");
        command.args(["-sS", "--fail-with-body", "-H", &format!("Host: {}", web.host)]).args(arguments);
        let command = command.arg(format!("http://{}{path}", web.addr)).current_dir(self.code.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn instance(&self, name: &str) -> Value {
        let number: usize = name.rsplit('.').next().unwrap().parse().unwrap();
        self.platform.service("uploads", "www")["instances"][number].clone()
    }

    fn container(&self, name: &str) -> String {
        text(&self.instance(name)["container_id"])
    }

    fn booted(&self, name: &str) -> jiff::Timestamp {
        text(&self.instance(name)["booted"]).parse().unwrap()
    }
}

#[test]
fn wrong_folders_are_refused_before_anything_starts() {
    let _turn = turn();
    let platform = Platform::new();
    let code = copy_of("samples/uploads");
    let file: &Path = &code.path().join("dotcloud.yml");
    fs::write(file, "www:\n  type: python\n  config: {shared_folders: {uploads: ~/current/x}}\n").unwrap();
    let said = platform.refused(&["-A", "uploads", "up", "-d", code.path().to_str().unwrap()]);
    assert!(said.contains("3:") && said.contains("belongs to the platform"), "{said}");
}
