//! Looking into instances: logs, commands, copies.

use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::support::platform::{Platform, copy_of, text};
use crate::support::wait_for;
use crate::turn;

const SOON: Duration = Duration::from_secs(20);

#[test]
fn instances_can_be_listened_to_entered_and_copied_from() {
    let _turn = turn();
    let platform = Platform::new();
    let code = copy_of("samples/counter");
    platform.up(code.path(), "counter");
    platform.scale("counter", &["www=2"]);
    commands_keep_their_bytes_and_their_exit_codes(&platform);
    a_terminal_has_its_size_and_its_keys(&platform);
    a_command_ends_with_whoever_ran_it(&platform);
    files_arrive_as_they_were(&platform);
    folders_arrive_as_they_were(&platform);
    what_cannot_be_copied_is_told(&platform);
    logs_name_the_program_and_choose_lines(&platform);
    followed_logs_lose_and_repeat_nothing(&platform, code.path());
}

// --- run

fn commands_keep_their_bytes_and_their_exit_codes(platform: &Platform) {
    let random = noise(1 << 20);
    let out = run(platform, &["www.0", "--", "cat"], &random);
    assert!(out.status.success() && out.stdout == random, "{} bytes came back", out.stdout.len());
    let code = |words: &[&str]| run(platform, words, b"").status.code().unwrap();
    assert_eq!(code(&["www.0", "--", "sh", "-c", "exit 7"]), 7);
    assert_eq!(code(&["www.0", "--", "sh", "-c", "kill -9 $$"]), 137);
    assert_eq!(code(&["www.0", "--", "sh", "-c", "kill -TERM $$"]), 143);
    assert_eq!(code(&["www.0", "/etc/passwd"]), 126);
    assert_eq!(code(&["www.9", "true"]), 1);
    let missing = run(platform, &["www.0", "no-such-command"], b"");
    assert_eq!((missing.status.code(), missing.stdout.len()), (Some(127), 0));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no-such-command"), "{missing:?}");
    let two = run(platform, &["www.0", "--", "sh", "-c", "echo out; echo err >&2"], b"");
    assert_eq!(two.stdout, b"out\n");
    let shell = run(platform, &["www"], b"echo $DOTCLOUD_SERVICE_ID; exit 4\n");
    assert_eq!((shell.status.code(), &shell.stdout[..]), (Some(4), &b"0\n"[..]));
    let client = run(platform, &["db"], b"redis-cli PING\n");
    assert_eq!(client.stdout, b"PONG\n", "the client is logged in");
}

fn a_terminal_has_its_size_and_its_keys(platform: &Platform) {
    let wait = "until [ \"$(stty size)\" = '31 97' ]; do sleep 0.1; done; echo sized; cat";
    let program = env!("CARGO_BIN_EXE_dotcloud");
    let line =
        format!("stty rows 31 cols 97; {program} -A counter run www.0 -- sh -c '{}'", wait.replace('\'', "'\\''"));
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).env("DOTCLOUD_HOME", platform.home());
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut keys, screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut screen = std::io::BufReader::new(screen);
    let mut seen = String::new();
    let mut until = |there: fn(&str) -> bool| {
        while !there(&seen) {
            assert!(std::io::BufRead::read_line(&mut screen, &mut seen).unwrap() > 0, "it ended: {seen}");
        }
    };
    until(|seen| seen.contains("sized"));
    keys.write_all(b"typed\n").unwrap();
    // By the terminal and by `cat`: before that runs, the shell that starts it may lose an interrupt.
    until(|seen| seen.matches("typed").count() == 2);
    keys.write_all(b"\x03").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "Ctrl-C reaches the command: {seen}");
}

fn a_command_ends_with_whoever_ran_it(platform: &Platform) {
    let mut sleeper = platform.command(&["-A", "counter", "run", "-T", "www.0", "--", "sleep", "4242"]);
    let mut sleeper = sleeper.stdin(Stdio::piped()).spawn().unwrap();
    let runs = || !run(platform, &["www.0", "pgrep", "-f", "sleep 424[2]"], b"").stdout.is_empty();
    wait_for("the command runs", SOON, || runs().then_some(()));
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    wait_for("the command is gone as well", SOON, || (!runs()).then_some(()));
}

fn run(platform: &Platform, words: &[&str], input: &[u8]) -> Output {
    let all = [&["-A", "counter", "-q", "run"], words].concat();
    feed(platform.command(&all), input)
}

fn feed(mut command: Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    // A command may end without reading everything.
    let writing = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    output
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(1);
    std::iter::repeat_with(|| random.u8(..)).take(bytes).collect()
}

// --- copy

fn copy(platform: &Platform, from: &str, to: &str) -> String {
    platform.run(&["-A", "counter", "copy", from, to])
}

fn files_arrive_as_they_were(platform: &Platform) {
    let here = tempfile::tempdir().unwrap();
    let (file, back) = (here.path().join("a file"), here.path().join("back"));
    fs::write(&file, noise(300_000)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o750)).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    copy(platform, path(&file), "www:");
    for instance in ["www.0", "www.1"] {
        let owner = run(platform, &[instance, "--", "stat", "-c", "%U %a %Y", "a file"], b"");
        assert_eq!(owner.stdout, b"dotcloud 750 1000000000\n", "a bare service means all instances");
        copy(platform, &format!("{instance}:a file"), path(&back));
        assert!(fs::read(&back).unwrap() == fs::read(&file).unwrap());
        let metadata = fs::metadata(&back).unwrap();
        assert_eq!((metadata.permissions().mode() & 0o777, metadata.modified().unwrap()), (0o750, time));
    }
    let unnamed = here.path().join(std::ffi::OsStr::from_bytes(b"no \xfftext"));
    fs::write(&unnamed, "anyhow").unwrap();
    let copied = platform.command(&["-A", "counter", "copy"]).arg(&unnamed).arg("www.0:data/text").status();
    assert!(copied.unwrap().success());
    assert_eq!(copy(platform, "www.0:data/text", "-"), "anyhow");
    let streamed = feed(platform.command(&["-A", "counter", "copy", "-", "www.0:data/x"]), b"from a pipe\0");
    assert!(streamed.status.success());
    assert_eq!(copy(platform, "www.0:data/x", "-"), "from a pipe\0");
}

fn folders_arrive_as_they_were(platform: &Platform) {
    let here = tempfile::tempdir().unwrap();
    let tree = here.path().join("tree");
    fs::create_dir_all(tree.join("sub/deep")).unwrap();
    fs::write(tree.join("sub/deep/file"), "text").unwrap();
    fs::write(tree.join(".hidden"), "").unwrap();
    std::os::unix::fs::symlink("sub/deep/file", tree.join("link")).unwrap();
    copy(platform, path(&tree), "www.0:");
    copy(platform, "www.0:tree", path(here.path().join("back").as_path()));
    let same = Command::new("diff").args(["-r", "--no-dereference"]).arg(&tree).arg(here.path().join("back")).output();
    assert!(same.as_ref().unwrap().status.success(), "{same:?}");
    // What is in it, into a folder that exists; then as a tar.
    copy(platform, &format!("{}/.", path(&tree)), "www.0:data");
    assert_eq!(run(platform, &["www.0", "cat", "data/link"], b"").stdout, b"text");
    let tar = platform.command(&["-A", "counter", "-q", "copy", "www.0:tree", "-"]).output().unwrap().stdout;
    assert!(feed(platform.command(&["-A", "counter", "copy", "-", "www.1:data/"]), &tar).status.success());
    assert_eq!(run(platform, &["www.1", "cat", "data/sub/deep/file"], b"").stdout, b"text");
}

fn what_cannot_be_copied_is_told(platform: &Platform) {
    let here = tempfile::tempdir().unwrap();
    let big = here.path().join("big");
    fs::File::create(&big).unwrap().set_len(80 << 20).unwrap();
    let refused = |from: &str, to: &str| platform.refused(&["-A", "counter", "copy", from, to]);
    assert!(refused("www.0:nothing", ".").contains("www.0: there is no nothing"));
    assert!(refused(path(&big), "www.0:nowhere/big").contains("there is no folder nowhere"));
    assert!(refused(path(&big), "www.0:/etc/").contains("ermission denied"));
    // /dev/shm of a container has 64 MiB.
    let full = refused(path(&big), "www.0:/dev/shm/");
    assert!(full.contains("No space left"), "{full}");
    assert_eq!(run(platform, &["www.0", "ls", "-A", "/dev/shm"], b"").stdout, b"", "nothing half-done is left");
    let code = |words: &[&str]| platform.try_run(&[&["-A", "counter", "copy"], words].concat()).status.code();
    assert_eq!([code(&["a", "b"]), code(&["www:a", "www:b"])], [Some(2), Some(2)]);
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

// --- logs

fn logs_name_the_program_and_choose_lines(platform: &Platform) {
    for instance in ["www.0", "www.1"] {
        say(platform, instance, "uwsgi", &format!("before {instance}"));
        say(platform, instance, "worker_error", "ignored: no program writes there");
    }
    let lines = |words: &[&str]| {
        let out = platform.run(&[&["-A", "counter", "logs", "--no-follow", "--json"], words].concat());
        out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    wait_for("both lines are there", SOON, || {
        let last = lines(&["www", "-n", "1"]);
        let said = |line: &&Value| line["process"] == "uwsgi" && text(&line["message"]).starts_with("before www.");
        (last.len() == 2 && last.iter().filter(said).count() == 2).then_some(())
    });
    assert!(lines(&["www.1"]).iter().all(|line| line["instance"] == 1), "the filter knows instances");
    assert!(lines(&["db", "-n", "3"]).iter().all(|line| line["service"] == "db"), "and services");
    let times: Vec<String> = lines(&[]).iter().map(|line| text(&line["created_at"])).collect();
    assert!(times.len() > 20 && times.is_sorted(), "{} lines in the order of their times", times.len());
    let plain = platform.run(&["-A", "counter", "logs", "-N", "-n", "1", "www.0"]);
    assert!(plain.contains(" www.0 uwsgi | before www.0"), "{plain}");
    platform.refused(&["-A", "counter", "logs", "-N", "nobody"]);
}

/// Every line once, in order, whatever becomes of the instance and of the daemon.
fn followed_logs_lose_and_repeat_nothing(platform: &Platform, code: &Path) {
    let out = tempfile::NamedTempFile::new().unwrap();
    let mut follower = platform.command(&["-A", "counter", "logs", "--lines", "0", "--json", "www.0"]);
    let mut follower = follower.stdout(out.reopen().unwrap()).spawn().unwrap();
    let heard = || {
        let text = fs::read_to_string(out.path()).unwrap();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.map(|line| self::text(&line["message"])).filter(|text| text.starts_with("turn ")).collect::<Vec<_>>()
    };
    let mut expected = Vec::new();
    let mut hear = |what: &str| {
        for number in 0..3 {
            let line = format!("turn {what} {number}");
            say(platform, "www.0", "uwsgi", &line);
            expected.push(line);
        }
        wait_for(&format!("lines after {what}"), SOON, || (heard().len() >= expected.len()).then_some(()));
        assert_eq!(heard(), expected);
    };
    hear("begin");
    platform.run(&["-A", "counter", "restart", "www.0"]);
    hear("restart");
    platform.run(&["-A", "counter", "kill", "www.0"]);
    platform.settle("counter");
    hear("kill");
    platform.kill_daemon();
    hear("daemon");
    fs::write(code.join("version"), "2").unwrap();
    platform.run(&["-A", "counter", "push", path(code)]);
    hear("push");
    let pid = rustix::process::Pid::from_child(&follower);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(follower.wait().unwrap().code(), Some(0), "Ctrl-C is how following ends");
}

/// Lets a program of an instance write a line.
fn say(platform: &Platform, instance: &str, program: &str, line: &str) {
    let command = format!("echo '{line}' >> /var/log/supervisor/{program}.log");
    let said = wait_for("the instance takes commands", SOON, || {
        let said = run(platform, &[instance, "--", "sh", "-c", &command], b"");
        said.status.success().then_some(said)
    });
    assert_eq!(said.stdout, b"");
}
