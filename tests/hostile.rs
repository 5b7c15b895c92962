//! Build files made to hurt, each validated in a process of its own: 2 s of processor time and
//! 100 MB are the most that any may take, from the file on disk to the printed findings.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use dotcloud_local::cli::validate;

/// Names the file in the child process.
const FILE: &str = "HOSTILE_FILE";
const MIB: usize = 1024 * 1024;

#[test]
fn hostile_files_are_refused_within_two_seconds_and_100_megabytes() {
    if std::env::var_os(FILE).is_some() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut wrong = String::new();
    for (name, text) in cases() {
        let path = dir.path().join("dotcloud.yml");
        std::fs::write(&path, &text).unwrap();
        let cost = cost_of(&path);
        println!("{name:24} {:8} KiB  {:5} ms  {:5.1} MB", text.len() / 1024, cost.milliseconds, cost.megabytes);
        if cost.milliseconds > 2000 || cost.megabytes > 100.0 || !cost.refused {
            writeln!(wrong, "{name}: {cost:?}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The child process: this test does nothing unless it is asked to.
#[test]
fn child() {
    let Some(path) = std::env::var_os(FILE) else { return };
    let code = validate::run(&validate::Args { path: Some(path.into()), json: true }).unwrap();
    // The first number: nanoseconds this thread has spent on a processor.
    let time = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("\ncost {code} {} {}", time.split(' ').next().unwrap(), peak.trim_end_matches("kB").trim());
}

#[derive(Debug)]
struct Cost {
    refused: bool,
    milliseconds: u64,
    megabytes: f64,
}

fn cost_of(path: &Path) -> Cost {
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output = child.args(["child", "--exact", "--nocapture"]).env(FILE, path).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let cost = printed.lines().find_map(|line| line.strip_prefix("cost ")).unwrap_or_else(|| {
        panic!("{}: {}\n{}", path.display(), output.status, String::from_utf8_lossy(&output.stderr))
    });
    let numbers: Vec<u64> = cost.split(' ').map(|number| number.parse().unwrap()).collect();
    Cost { refused: numbers[0] == 1, milliseconds: numbers[1] / 1_000_000, megabytes: numbers[2] as f64 / 1000.0 }
}

fn cases() -> Vec<(&'static str, Vec<u8>)> {
    let full = |part: &str| part.repeat((MIB - 100) / part.len()).into_bytes();
    let numbered = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>().into_bytes();
    let mut cases = vec![
        ("50 MB", vec![b'a'; 50_000_000]),
        ("50 MB of nesting", b"[".repeat(50_000_000)),
        ("NULs", vec![0; MIB]),
        ("invalid UTF-8", vec![0xff; MIB]),
        ("control characters", vec![1; MIB]),
        ("nested lists", full("[")),
        ("nested mappings", full("{a: ")),
        ("nested dashes", full("- ")),
        ("stairs", numbered(1400, &|depth| format!("{}a:\n", " ".repeat(depth)))),
        ("a million keys", numbered(1_000_000, &|number| format!("k{number}: v\n"))),
        ("keys of 1 MiB", numbered(80_000, &|number| format!("k{number}: v\n"))),
        ("services of 1 MiB", numbered(60_000, &|number| format!("s{number}:\n type: x\n"))),
        ("duplicate keys", full("a: b\n")),
        ("huge plain scalar", full("www: x")),
        ("huge block scalar", [b"a: |\n".to_vec(), full("  x\n")].concat()),
        ("huge quoted scalar", [b"a: \"".to_vec(), full("b\n")].concat()),
        ("line breaks", full("\n")),
        ("tabs", full("a:\n\tb: c\n")),
        ("bad columns", full("a:\n   b: c\n  d: e\n")),
        ("bad columns, short", full("a:\n   b: c\n  d: e\n")[..64_000].to_vec()),
        ("open brackets", full("a: [\n")),
        ("open quotes, short", full("a: 'x\n")[..64_000].to_vec()),
        ("columns in brackets", [b"w:\n   a: [\n".to_vec(), full("b,\n"), b"]".to_vec()].concat()),
        ("anchors", full("- &a x\n")),
        ("directives", full("%\n")),
        ("documents", full("---\n")),
    ];
    cases.extend([("alias bomb", alias_bomb()), ("merge bomb", merge_bomb()), ("alias chain", alias_chain())]);
    cases
}

fn alias_bomb() -> Vec<u8> {
    let mut bomb = "a0: &a0 {x: y}\n".to_owned();
    for level in 1..12 {
        writeln!(bomb, "a{level}: &a{level} [{}]", vec![format!("*a{}", level - 1); 9].join(", ")).unwrap();
    }
    bomb.push_str("www: {type: python, config: {k: *a11}, environment: {E: *a11}}\n");
    bomb.into_bytes()
}

fn merge_bomb() -> Vec<u8> {
    let mut bomb = "a0: &a0 {x: y}\n".to_owned();
    for level in 1..30 {
        writeln!(bomb, "a{level}: &a{level}\n  <<: [*a{0}, *a{0}]", level - 1).unwrap();
    }
    bomb.push_str("www:\n  <<: *a29\n  type: python\n");
    bomb.into_bytes()
}

fn alias_chain() -> Vec<u8> {
    let mut chain = "a0: &a0 [x]\n".to_owned();
    for link in 1..20_000 {
        writeln!(chain, "a{link}: &a{link} [*a{}]", link - 1).unwrap();
    }
    chain.push_str("www: {type: python, config: {k: *a19999}}\n");
    chain.into_bytes()
}
