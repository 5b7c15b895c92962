//! Whether a server that does not answer is at work: what its processes are seen doing.
//!
//! Looked at are the container's first process and all that descend from it, with all their
//! threads: the server need not be the first, and rarely works in its main thread. Other processes
//! that somebody starts in the container (a shell, a backup) descend from elsewhere, and say
//! nothing about the server.

use std::fs;
use std::path::{Path, PathBuf};

/// Whether some thread of these processes is on a processor, waits for one, or waits for a disk.
/// A server that was stopped or frozen never is, whatever its other processes do.
pub(super) fn busy(pid: u32) -> bool {
    let states = states(pid);
    // The freezer is asked last: threads that are frozen look as if they waited for a disk, and
    // who froze in the meantime is not at work any more.
    let works = |thaws: bool| states.iter().any(|state| *state == 'R' || (*state == 'D' && thaws));
    match (states.contains(&'T'), frozen(pid)) {
        (true, _) | (_, Some(true)) => false,
        (false, known) => works(known.is_some()),
    }
}

/// The state of each thread, as the kernel's letters. What ends while it is looked at is left out.
fn states(first: u32) -> Vec<char> {
    let (mut pids, mut states) = (vec![first], Vec::new());
    while let Some(pid) = pids.pop() {
        let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for thread in threads.flatten() {
            states.extend(state(&thread.path()));
            // Kernels without this list show the first process' threads alone.
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            pids.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
    }
    states
}

fn state(thread: &Path) -> Option<char> {
    let stat = fs::read_to_string(thread.join("stat")).ok()?;
    // The name in parentheses may itself hold parentheses and spaces.
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Whether the process' control group is frozen (`docker pause`), or about to be; `None` where
/// that cannot be seen.
fn frozen(pid: u32) -> Option<bool> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let (file, thawed) = freezer(&groups)?;
    Some(!fs::read_to_string(file).ok()?.lines().any(|line| line == thawed))
}

/// The file that tells about a group's freezer, and its line that says "not frozen".
fn freezer(groups: &str) -> Option<(PathBuf, &'static str)> {
    let of = |wanted: &str| {
        let mut lines = groups.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
        lines.find(|(controllers, _)| *controllers == wanted).map(|(_, path)| path.trim_start_matches('/'))
    };
    let root = Path::new("/sys/fs/cgroup");
    match (of("freezer"), of("")) {
        (Some(path), _) => Some((root.join("freezer").join(path).join("freezer.state"), "THAWED")),
        (None, Some(path)) => Some((root.join(path).join("cgroup.events"), "frozen 0")),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use rustix::process::{Pid, Signal, kill_process};

    /// A shell that waits for its child, which computes; it has said that it runs.
    struct Server(Child, u32);

    impl Server {
        fn start() -> Self {
            let script = "sh -c 'echo $$; while :; do :; done' & wait";
            let mut shell = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
            let (mut line, mut byte) = (String::new(), [0]);
            while shell.stdout.as_mut().unwrap().read_exact(&mut byte).is_ok() && byte[0] != b'\n' {
                line.push(char::from(byte[0]));
            }
            Self(shell, line.parse().unwrap())
        }

        fn signal(pid: u32, signal: Signal) {
            kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            Self::signal(self.1, Signal::KILL);
            let _ = (self.0.kill(), self.0.wait());
        }
    }

    fn becomes(wanted: bool, pid: u32) {
        let until = Instant::now() + Duration::from_secs(10);
        while busy(pid) != wanted {
            assert!(Instant::now() < until, "{:?}", states(pid));
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_server_is_busy_whose_child_computes_while_its_main_thread_sleeps() {
        let server = Server::start();
        let main = || state(Path::new(&format!("/proc/{}", server.0.id())));
        let until = Instant::now() + Duration::from_secs(10);
        // It computes as well while it starts.
        while main() != Some('S') || !busy(server.0.id()) {
            assert!(Instant::now() < until, "{:?}, {:?}", main(), states(server.0.id()));
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_stopped_server_is_not_busy_though_its_child_computes() {
        let server = Server::start();
        Server::signal(server.0.id(), Signal::STOP);
        becomes(false, server.0.id());
        Server::signal(server.0.id(), Signal::CONT);
        becomes(true, server.0.id());
        Server::signal(server.1, Signal::STOP);
        becomes(false, server.0.id());
    }

    #[test]
    fn every_thread_of_a_process_is_seen_and_of_a_dead_one_none() {
        let together = std::sync::Barrier::new(9);
        std::thread::scope(|scope| {
            (0..8).for_each(|_| drop(scope.spawn(|| together.wait())));
            assert!(states(std::process::id()).len() > 8);
            together.wait();
        });
        assert!(states(u32::MAX).is_empty() && !busy(u32::MAX));
    }

    #[test]
    fn the_freezer_is_found_in_both_kinds_of_control_groups() {
        let found = |groups| freezer(groups).map(|(file, thawed)| (file.display().to_string(), thawed));
        let first = "12:cpu,cpuacct:/docker/ab\n7:freezer:/docker/ab\n0::/system.slice\n";
        assert_eq!(found(first), Some(("/sys/fs/cgroup/freezer/docker/ab/freezer.state".into(), "THAWED")));
        let second = "0::/system.slice/docker-ab.scope\n";
        let file = "/sys/fs/cgroup/system.slice/docker-ab.scope/cgroup.events";
        assert_eq!(found(second), Some((file.into(), "frozen 0")));
        assert_eq!(found(""), None);
    }
}
