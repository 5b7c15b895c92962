//! `dotcloud watch` beside an editor: what a save leads to, and what is said of it.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::race::who_answers;
use crate::support::platform::{Platform, copy_of};
use crate::turn;

const PATIENCE: Duration = Duration::from_secs(90);
const APP: &str = "counter";
/// What names the instance in the sample, and what stands in its place after an edit.
const NAMED: &str = "INSTANCE = \"{}.{}\"";

/// A command that runs on, and all it prints.
struct Running {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Running {
    fn start(platform: &Platform, arguments: &[&str]) -> Self {
        let mut command = platform.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        forward(child.stdout.take().unwrap(), sender.clone());
        forward(child.stderr.take().unwrap(), sender);
        Self { child, lines, said: Vec::new() }
    }

    /// The next line that contains the text.
    fn line(&mut self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => self.said.push(line),
                Err(_) => panic!("no line with {text:?} within {PATIENCE:?}, but:\n{}", self.said.join("\n")),
            }
        }
    }

    fn end(mut self, signal: Signal) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn forward(output: impl Read + Send + 'static, lines: Sender<String>) {
    std::thread::spawn(move || {
        BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| lines.send(line))
    });
}

/// Saves the sample's application so that its instances call themselves `www-<name>`; `wrong` is
/// added at its end.
fn save(code: &Path, original: &str, name: &str, wrong: &str) {
    let text = original.replace(NAMED, &format!("INSTANCE = \"{{}}-{name}.{{}}\"")) + wrong;
    fs::write(code.join("wsgi.py~"), text).unwrap();
    fs::rename(code.join("wsgi.py~"), code.join("wsgi.py")).unwrap();
}

fn assert_all_are(platform: &Platform, name: &str) {
    let answers = who_answers(&platform.web(APP, "www"), 12);
    let names: Vec<&str> = answers.keys().map(String::as_str).collect();
    assert_eq!(names, [format!("www-{name}.0"), format!("www-{name}.1")]);
}

#[test]
fn saved_files_go_live_and_broken_ones_do_not() {
    let _turn = turn();
    let platform = Platform::new();
    let code = copy_of("samples/counter");
    let folder = code.path().to_str().unwrap();
    let original = fs::read_to_string(code.path().join("wsgi.py")).unwrap();
    assert!(original.contains(NAMED), "the sample says who answers");
    platform.up(code.path(), APP);
    platform.scale(APP, &["www=2"]);

    let mut watch = Running::start(&platform, &["-A", APP, "watch", folder]);
    watch.line("Watching");
    save(code.path(), &original, "edited", "");
    let line = watch.line("wsgi.py changed");
    assert!(line.contains("switched on 2 instances of www in ") && line.ends_with(" 0 failed requests"), "{line}");
    assert_all_are(&platform, "edited");

    save(code.path(), &original, "broken", "\ndef broken(:\n");
    watch.line("wsgi.py changed: failed on www.");
    watch.line("SyntaxError");
    watch.line("the previous code keeps serving");
    assert_all_are(&platform, "edited");
    save(code.path(), &original, "mended", "");
    watch.line("wsgi.py changed: switched on 2 instances");
    assert_all_are(&platform, "mended");

    let requirements = code.path().join("requirements.txt");
    fs::write(&requirements, fs::read_to_string(&requirements).unwrap() + "# nothing more\n").unwrap();
    watch.line("requirements.txt changed: building");
    let line = watch.line("requirements.txt changed: deployed on 2 instances in ");
    assert!(line.ends_with(" 0 failed requests"), "{line}");
    assert_all_are(&platform, "mended");

    // `connect` writes here; what no instance takes is pushed.
    fs::create_dir(code.path().join(".dotcloud")).unwrap();
    fs::write(code.path().join(".dotcloud/config"), "{}").unwrap();
    fs::write(code.path().join(OsStr::from_bytes(b"caf\xe9.txt")), "latin").unwrap();
    watch.line("changed: building (the change holds a name that is not UTF-8");
    watch.line("changed: deployed on 2 instances in ");

    platform.kill_daemon();
    save(code.path(), &original, "again", "");
    watch.line("wsgi.py changed: switched on 2 instances");
    assert_all_are(&platform, "again");
    assert_eq!(watch.end(Signal::INT).code(), Some(0));

    // The same while the logs are followed.
    let mut up = Running::start(&platform, &["-A", APP, "up", folder]);
    up.line("Watching");
    save(code.path(), &original, "followed", "");
    up.line("wsgi.py changed: switched on 2 instances");
    assert_all_are(&platform, "followed");
    assert_eq!(up.end(Signal::INT).code(), Some(0));
}
