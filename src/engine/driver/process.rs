//! A server's process as the kernel shows it: whether it is gone.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A process of this machine that is watched through its pidfd, which never comes to mean
/// another process.
pub(super) struct Watch {
    fd: AsyncFd<OwnedFd>,
}

/// What can be known of a process id.
pub(super) enum Seen {
    Watched(Watch),
    /// It is gone already.
    Gone,
    /// Not of this machine, or not to be told apart: events and looks have to do.
    Hidden,
}

impl Watch {
    /// Returns when the process is dead. For the first process of a container the kernel has
    /// then ended all others of it.
    pub async fn died(&self) -> std::io::Result<()> {
        self.fd.readable().await.map(drop)
    }
}

/// Looks for the process `pid` of `container`. A machine in which an id does not exist may
/// still not be the container's machine, so that only a verified process can be `Gone`.
pub(super) fn see(pid: u32, container: &str, verify: bool) -> Seen {
    let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Seen::Hidden };
    let fd = match pidfd_open(raw, PidfdFlags::empty()) {
        Ok(fd) => fd,
        Err(Errno::SRCH) if !verify => return Seen::Gone,
        Err(_) => return Seen::Hidden,
    };
    // The order matters: the descriptor is held first, so that what is verified is what is held.
    if verify && !belongs(pid, container) {
        return Seen::Hidden;
    }
    // SAFETY: an `OwnedFd` returns the same descriptor for as long as it lives, and closes it
    // only when dropped, which `AsyncFd` does after it has deregistered it.
    match unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) } {
        Ok(fd) => Seen::Watched(Watch { fd }),
        Err(_) => Seen::Hidden,
    }
}

/// Whether the kernel counts the process to the container: runtimes name cgroups after it.
fn belongs(pid: u32, container: &str) -> bool {
    let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    !container.is_empty() && cgroups.contains(container)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[tokio::test]
    async fn a_death_is_seen_through_the_descriptor() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let Seen::Watched(watch) = see(child.id(), "any", false) else { panic!("not visible") };
        child.kill().unwrap();
        watch.died().await.unwrap();
        child.wait().unwrap();
        assert!(matches!(see(child.id(), "any", false), Seen::Gone));
    }

    #[tokio::test]
    async fn a_process_of_another_container_is_not_watched() {
        assert!(matches!(see(std::process::id(), "0123456789abcdef", true), Seen::Hidden));
    }
}
