use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::time::{Duration, SystemTime};

use super::*;

fn tree() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Every entry's path with its content, its link's target or nothing.
fn packed(root: &Path) -> (PackReport, BTreeMap<String, String>) {
    let mut bytes = Vec::new();
    let report = pack(root, &mut bytes).unwrap();
    let mut entries = BTreeMap::new();
    for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let mut content = String::new();
        match entry.link_name().unwrap() {
            Some(target) => content = format!("-> {}", target.display()),
            None => drop(entry.read_to_string(&mut content).unwrap()),
        }
        entries.insert(path, content);
    }
    (report, entries)
}

fn names(entries: &BTreeMap<String, String>) -> Vec<&str> {
    entries.keys().map(|name| name.trim_end_matches('/')).collect()
}

#[test]
fn tree_is_packed_without_what_its_patterns_name() {
    let dir = tree();
    write(dir.path(), "app.py", "print()");
    write(dir.path(), "app.pyc", "x");
    write(dir.path(), ".git/config", "x");
    write(dir.path(), "node_modules/left/pad.js", "x");
    write(dir.path(), "web/a.log", "x");
    write(dir.path(), "web/keep.log", "kept");
    let patterns = "/node_modules/\n+ keep.log\n*.log\n";
    write(dir.path(), ".dotcloudignore", patterns);
    fs::create_dir(dir.path().join("empty")).unwrap();
    let (report, entries) = packed(dir.path());
    assert_eq!(names(&entries), [".dotcloudignore", "app.py", "empty", "web", "web/keep.log"]);
    assert_eq!((report.files, report.bytes), (3, 7 + 4 + patterns.len() as u64));
    assert!(report.skipped.is_empty());
}

#[test]
fn watch_passes_over_caches_and_what_connect_writes() {
    let rules = rules(b"log/\n");
    let passed =
        [("lib/__pycache__", true), (".dotcloud", true), (".dotcloud/config", false), ("log", true), ("a.pyc", false)];
    assert!(passed.iter().all(|(path, folder)| rules(Path::new(path), *folder)));
    let seen = [
        ("__pycache__", false),
        (".dotcloudignore", false),
        ("lib/.dotcloud", true),
        ("log", false),
        ("pycache", true),
    ];
    assert!(!seen.iter().any(|(path, folder)| rules(Path::new(path), *folder)));
}

#[test]
fn modes_and_times_survive() {
    let dir = tree();
    write(dir.path(), "run", "#!/bin/sh\n");
    let run = dir.path().join("run");
    fs::set_permissions(&run, fs::Permissions::from_mode(0o750)).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_339_191_773);
    File::open(&run).unwrap().set_modified(time).unwrap();
    let mut bytes = Vec::new();
    pack(dir.path(), &mut bytes).unwrap();
    let mut archive = tar::Archive::new(bytes.as_slice());
    let entry = archive.entries().unwrap().next().unwrap().unwrap();
    assert_eq!(entry.header().mode().unwrap(), 0o750);
    assert_eq!(entry.header().mtime().unwrap(), 1_339_191_773);
    assert_eq!(entry.header().uid().unwrap(), 0);
}

#[test]
fn links_inside_are_kept_and_links_out_are_skipped_with_a_reason() {
    let dir = tree();
    write(dir.path(), "a/file", "x");
    symlink("file", dir.path().join("a/near")).unwrap();
    symlink("../b", dir.path().join("a/dangling")).unwrap();
    symlink("/etc/passwd", dir.path().join("absolute")).unwrap();
    symlink("../../outside", dir.path().join("a/above")).unwrap();
    // Each step is inside by its text; the way through the first link is not.
    symlink("a/../..", dir.path().join("around")).unwrap();
    let (report, entries) = packed(dir.path());
    assert_eq!(names(&entries), ["a", "a/dangling", "a/file", "a/near"]);
    assert_eq!(entries["a/near"], "-> file");
    let skipped: Vec<String> = report.skipped.iter().map(|skipped| skipped.path.display().to_string()).collect();
    assert_eq!(skipped, ["a/above", "absolute", "around"]);
}

#[test]
fn link_through_a_linked_folder_is_judged_by_where_it_ends() {
    let dir = tree();
    write(dir.path(), "x/y/file", "x");
    fs::create_dir(dir.path().join("x/y/z")).unwrap();
    symlink("x/y/z", dir.path().join("deep")).unwrap();
    symlink("deep/../file", dir.path().join("in")).unwrap();
    symlink("../..", dir.path().join("x/y/top")).unwrap();
    symlink("x/y/top/..", dir.path().join("out")).unwrap();
    let (report, entries) = packed(dir.path());
    assert_eq!(names(&entries), ["deep", "in", "x", "x/y", "x/y/file", "x/y/top", "x/y/z"]);
    assert_eq!(report.skipped[0].path, Path::new("out"));
}

#[test]
fn sockets_and_pipes_are_skipped_with_a_reason() {
    let dir = tree();
    let _listener = UnixListener::bind(dir.path().join("socket")).unwrap();
    let fifo = dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let (report, entries) = packed(dir.path());
    assert!(entries.is_empty());
    let why: Vec<&str> = report.skipped.iter().map(|skipped| skipped.why).collect();
    assert_eq!(why, ["is a named pipe", "is a socket"]);
}

#[test]
fn file_that_shrinks_while_it_is_read_is_an_error_that_names_it() {
    let dir = tree();
    write(dir.path(), "file", "abc");
    let file = File::open(dir.path().join("file")).unwrap();
    let mut content = Content { file, left: 4, failed: None };
    assert!(content.read_to_end(&mut Vec::new()).is_err());
    assert_eq!(content.failed.unwrap().to_string(), "it became shorter while it was read");
}

#[test]
fn missing_tree_and_broken_output_are_told_apart() {
    struct Broken;
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let dir = tree();
    write(dir.path(), "file", "abc");
    assert!(matches!(pack(dir.path(), Broken), Err(PackError::Send { path, .. }) if path == Path::new("file")));
    assert!(matches!(pack(Path::new("/no/such/folder"), Broken), Err(PackError::OpenTree { .. })));
}

#[test]
fn long_names_and_names_that_are_not_utf8_survive() {
    use std::os::unix::ffi::OsStrExt as _;
    let dir = tree();
    let long = format!("{}/{}", "d".repeat(200), "f".repeat(200));
    write(dir.path(), &long, "deep");
    fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "latin").unwrap();
    let mut bytes = Vec::new();
    pack(dir.path(), &mut bytes).unwrap();
    let out = tree();
    tar::Archive::new(bytes.as_slice()).unpack(out.path()).unwrap();
    assert_eq!(fs::read_to_string(out.path().join(&long)).unwrap(), "deep");
    assert!(out.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9")).exists());
}

#[test]
fn equal_trees_give_equal_bytes() {
    let dir = tree();
    for name in ["b", "a", "c/d", "c/a"] {
        write(dir.path(), name, name);
    }
    let pack = || {
        let mut bytes = Vec::new();
        pack(dir.path(), &mut bytes).unwrap();
        bytes
    };
    assert_eq!(pack(), pack());
}
