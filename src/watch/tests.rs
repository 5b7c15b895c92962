//! Real files in folders of their own. Nothing here waits for a time to pass: a test waits for
//! what is seen, and a change that must not be seen is followed by one that must.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A tree that is watched, with the rule that each line of `rules` names a path to pass over.
struct Stage {
    above: TempDir,
    watch: Watch,
    runtime: tokio::runtime::Runtime,
}

fn rules(file: &[u8]) -> Rules {
    let lines: Vec<String> = String::from_utf8_lossy(file).lines().map(str::to_owned).collect();
    Box::new(move |path, _| lines.iter().any(|line| Path::new(line) == path))
}

impl Stage {
    fn new(files: &[(&str, &str)]) -> Self {
        let above = tempfile::tempdir().unwrap();
        let root = above.path().join("tree");
        fs::create_dir(&root).unwrap();
        files.iter().for_each(|(path, content)| write(&root.join(path), content));
        let watch = Watch::start(Tree { root, rules_file: "rules", rules }).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { above, watch, runtime }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.above.path().join("tree").join(path)
    }

    /// In one step for whoever watches, however slow the machine is.
    fn write(&self, path: &str, content: &str) {
        let (draft, path) = (self.above.path().join("draft"), self.path(path));
        fs::write(&draft, content).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::rename(draft, path).unwrap();
    }

    fn seen(&mut self) -> Seen {
        let next = async { tokio::time::timeout(PATIENCE, self.watch.next()).await };
        self.runtime.block_on(next).expect("something is seen").expect("the tree is watched")
    }

    /// `+path` for what changed and `-path` for what was deleted.
    fn change(&mut self) -> Vec<String> {
        match self.seen() {
            Seen::Changed(change) => {
                let changed = change.changed.iter().map(|path| format!("+{}", path.display()));
                let deleted = change.deleted.iter().map(|path| format!("-{}", path.display()));
                changed.chain(deleted).collect()
            }
            other => panic!("no change: {other:?}"),
        }
    }

    /// All changes up to the one that ends with this path, as one: the machine may be slow
    /// enough for a pause within.
    fn changes_until(&mut self, last: &str) -> Vec<String> {
        let mut all = Vec::new();
        while !all.iter().any(|path| path == last) {
            all.extend(self.change());
        }
        all.sort();
        all.dedup();
        all
    }

    /// Nothing but this was seen since the last change.
    fn nothing_but(&mut self, marker: &str) {
        self.write(marker, marker);
        assert_eq!(self.change(), [format!("+{marker}")]);
    }
}

fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

#[test]
fn save_by_rename_is_one_change_of_the_file() {
    let mut stage = Stage::new(&[("wsgi.py", "old"), ("other.py", "x")]);
    write(&stage.path("wsgi.py.tmp~"), "new");
    fs::rename(stage.path("wsgi.py.tmp~"), stage.path("wsgi.py")).unwrap();
    assert_eq!(stage.change(), ["+wsgi.py"]);
    // As vim does it: the old file becomes the backup, the new one is written in its place.
    fs::rename(stage.path("wsgi.py"), stage.path("wsgi.py~")).unwrap();
    write(&stage.path("wsgi.py"), "newer");
    fs::remove_file(stage.path("wsgi.py~")).unwrap();
    assert_eq!(stage.changes_until("+wsgi.py").last().unwrap(), "+wsgi.py");
    stage.nothing_but("marker");
}

#[test]
fn touched_and_unchanged_files_are_no_change() {
    let mut stage = Stage::new(&[("a", "same"), ("b/c", "same")]);
    fs::OpenOptions::new().write(true).open(stage.path("a")).unwrap().write_all(b"same").unwrap();
    fs::File::open(stage.path("b/c")).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    fs::read(stage.path("a")).unwrap();
    stage.nothing_but("marker");
}

#[test]
fn swap_files_and_excluded_paths_are_no_change() {
    let mut stage = Stage::new(&[("rules", "build\nlog.txt"), ("a", "x"), ("build/out", "x"), ("log.txt", "x")]);
    for path in [".a.swp", "a~", "#a#", "build/out", "build/new/deep", "log.txt"] {
        stage.write(path, "y");
    }
    symlink("user@host.1:2", stage.path(".#a")).unwrap();
    stage.nothing_but("marker");
}

#[test]
fn changed_rules_are_read_again() {
    let mut stage = Stage::new(&[("rules", "build"), ("build/out", "x"), ("log", "x")]);
    stage.write("rules", "log");
    assert_eq!(stage.change(), ["+build", "+build/out", "+rules", "-log"]);
    stage.write("log", "y");
    stage.write("build/out", "y");
    assert_eq!(stage.change(), ["+build/out"]);
    stage.nothing_but("marker");
}

#[test]
fn renames_deletions_and_modes_are_seen() {
    let mut stage = Stage::new(&[("a", "a"), ("run", "#!"), ("old/x", "x"), ("old/deep/y", "y"), ("gone/z", "z")]);
    fs::rename(stage.path("a"), stage.path("b")).unwrap();
    assert_eq!(stage.change(), ["+b", "-a"]);
    fs::set_permissions(stage.path("run"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(stage.change(), ["+run"]);
    fs::rename(stage.path("old"), stage.path("new")).unwrap();
    let expected = ["+new", "+new/deep", "+new/deep/y", "+new/x", "-old", "-old/deep", "-old/deep/y", "-old/x"];
    assert_eq!(stage.change(), expected);
    stage.write("new/deep/y", "changed in the renamed folder");
    assert_eq!(stage.change(), ["+new/deep/y"]);
    fs::remove_dir_all(stage.path("gone")).unwrap();
    assert_eq!(stage.changes_until("-gone"), ["-gone", "-gone/z"]);
}

#[test]
fn new_folder_comes_with_its_content_and_is_watched() {
    let mut stage = Stage::new(&[("a", "a")]);
    stage.write("new/deep/er/file", "x");
    let expected = ["+new", "+new/deep", "+new/deep/er", "+new/deep/er/file"];
    assert_eq!(stage.changes_until("+new/deep/er/file"), expected);
    stage.write("new/deep/er/file", "y");
    assert_eq!(stage.change(), ["+new/deep/er/file"]);
    // Removed and made again, with other content, before anybody looks.
    fs::remove_dir_all(stage.path("new/deep")).unwrap();
    stage.write("new/deep/other", "x");
    let changes = stage.changes_until("+new/deep/other");
    assert!(changes.contains(&"-new/deep/er/file".to_owned()), "{changes:?}");
    stage.write("new/deep/other", "y");
    assert_eq!(stage.change(), ["+new/deep/other"]);
}

#[test]
fn replaced_kinds_are_deleted_first() {
    let mut stage = Stage::new(&[("a/x", "x"), ("b", "b")]);
    fs::remove_dir_all(stage.path("a")).unwrap();
    stage.write("a", "a file now");
    assert_eq!(stage.changes_until("+a"), ["+a", "-a", "-a/x"]);
    fs::remove_file(stage.path("b")).unwrap();
    symlink("a", stage.path("b")).unwrap();
    assert_eq!(stage.changes_until("+b"), ["+b", "-b"]);
}

#[test]
fn links_are_seen_and_not_followed() {
    let mut stage = Stage::new(&[("a", "a"), ("sub/x", "x")]);
    let outside = stage.above.path().join("outside");
    write(&outside.join("file"), "x");
    symlink(&outside, stage.path("out")).unwrap();
    symlink("sub", stage.path("in")).unwrap();
    assert_eq!(stage.changes_until("+out"), ["+in", "+out"]);
    write(&outside.join("file"), "y");
    stage.nothing_but("marker");
    fs::remove_file(stage.path("in")).unwrap();
    symlink("a", stage.path("in")).unwrap();
    assert_eq!(stage.changes_until("+in").last().unwrap(), "+in");
}

#[test]
fn checkout_of_many_files_is_one_change() {
    let above = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@localhost", "-C"];
        let output = Command::new("git").args(identity).arg(above.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let tree = above.path().join("tree");
    let write_all = |content: &str| (0..500).for_each(|n| write(&tree.join(format!("d{}/f{n}", n % 20)), content));
    git(&["init", "-q", "-b", "one"]);
    write_all("one");
    git(&["add", "."]);
    git(&["commit", "-qm", "one"]);
    git(&["checkout", "-qb", "two"]);
    write_all("two");
    git(&["commit", "-qam", "two"]);

    let watch = Watch::start(Tree { root: tree.clone(), rules_file: "rules", rules }).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut stage = Stage { above: tempfile::tempdir().unwrap(), watch, runtime };
    git(&["checkout", "-q", "one"]);
    assert_eq!(stage.change().len(), 500);
}

#[test]
fn tree_that_never_rests_is_looked_at_nevertheless() {
    let mut stage = Stage::new(&[("log", "before")]);
    let (path, stop) = (stage.path("log"), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let stopped = std::sync::Arc::clone(&stop);
    let writer = std::thread::spawn(move || {
        for number in 0_u64.. {
            if stopped.load(std::sync::atomic::Ordering::Relaxed) {
                return;
            }
            fs::write(&path, number.to_string()).unwrap();
            std::thread::yield_now();
        }
    });
    let seen = stage.change();
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    writer.join().unwrap();
    assert_eq!(seen, ["+log"]);
}

#[test]
fn lost_events_lead_to_a_look_at_everything() {
    let mut stage = Stage::new(&[("a", "a"), ("sub/b", "b")]);
    // Writing through a name outside of the tree makes no event in it.
    let outside = stage.above.path().join("outside");
    fs::hard_link(stage.path("sub/b"), &outside).unwrap();
    stage.nothing_but("marker");
    fs::write(&outside, "changed").unwrap();
    stage.watch.raw.send(Raw::Overflow { at: Instant::now() }).unwrap();
    assert_eq!(stage.change(), ["+sub/b"]);
}

#[test]
fn removed_tree_is_found_again_and_compared() {
    let mut stage = Stage::new(&[("a", "a"), ("b", "b")]);
    let tree = stage.path("");
    let aside = stage.above.path().join("aside");
    fs::rename(&tree, &aside).unwrap();
    assert!(matches!(stage.seen(), Seen::Gone));
    write(&aside.join("a"), "changed while it was away");
    fs::remove_file(aside.join("b")).unwrap();
    fs::rename(&aside, &tree).unwrap();
    assert!(matches!(stage.seen(), Seen::Back));
    assert_eq!(stage.change(), ["+a", "-b"]);
    stage.nothing_but("marker");

    // Removed and made again at once, perhaps with the same inode.
    fs::remove_dir_all(&tree).unwrap();
    stage.write("a", "third");
    while !matches!(stage.seen(), Seen::Changed(change) if change.changed.contains(Path::new("a"))) {}
    stage.nothing_but("marker2");
}

#[test]
fn tree_that_is_not_there_cannot_be_watched() {
    let error = Watch::start(Tree { root: "/nowhere/at/all".into(), rules_file: "rules", rules }).unwrap_err();
    assert!(matches!(error, WatchError::OpenTree { .. }));
}
