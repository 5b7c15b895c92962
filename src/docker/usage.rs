//! Memory in use. Where the engine runs on this machine the kernel is asked (under a
//! millisecond); elsewhere the engine, which takes a second for its answer.

use std::path::{Path, PathBuf};

use bollard::models::ContainerStatsResponse;
use bollard::query_parameters::{InspectContainerOptions, StatsOptions};
use futures_util::StreamExt;

use crate::engine::runtime::Result;

use super::DockerRuntime;

impl DockerRuntime {
    pub(super) async fn used_memory(&self, container: &str) -> Result<u64> {
        let inspected = self.client.docker.inspect_container(container, None::<InspectContainerOptions>).await;
        let failed = self.client.failed_on(&format!("container {container}"), "read memory use");
        let inspected = inspected.map_err(failed)?;
        let pid = inspected.state.and_then(|state| state.pid).and_then(|pid| u32::try_from(pid).ok());
        let id = inspected.id.unwrap_or_else(|| container.to_owned());
        match pid.filter(|pid| *pid > 0).and_then(|pid| kernel_says(&id, pid)) {
            Some(bytes) => Ok(bytes),
            None => self.engine_says(container).await,
        }
    }

    async fn engine_says(&self, container: &str) -> Result<u64> {
        let options = StatsOptions { stream: false, one_shot: true };
        let failed = self.client.failed_on(&format!("container {container}"), "read memory use");
        let mut stats = std::pin::pin!(self.client.docker.stats(container, Some(options)));
        let first = stats.next().await.unwrap_or_else(|| Ok(ContainerStatsResponse::default()));
        first.map(|stats| without_cache(&stats)).map_err(failed)
    }
}

/// `None` when the process is not on this machine or its control group is not that of the
/// container: then the number would be somebody else's.
fn kernel_says(container: &str, pid: u32) -> Option<u64> {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let folder = groups.lines().find_map(|line| memory_group(line, container))?;
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).ok();
    let usage = read("memory.usage_in_bytes").or_else(|| read("memory.current"))?;
    let stat = read("memory.stat")?;
    let field = |names: [&str; 2]| names.iter().find_map(|name| value_of(&stat, name)).unwrap_or(0);
    let usage: u64 = usage.trim().parse().ok()?;
    Some(reclaimed(usage, field(["total_cache", "file"]), field(["total_shmem", "shmem"])))
}

/// `4:memory:/docker/<id>` (v1) or `0::/docker/<id>` (v2) -> the folder with the counters.
fn memory_group(line: &str, container: &str) -> Option<PathBuf> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, path) = (parts.next()?, parts.next()?);
    if !path.contains(container) {
        return None;
    }
    let path = path.trim_start_matches('/');
    match controllers {
        "memory" => Some(Path::new("/sys/fs/cgroup/memory").join(path)),
        "" => Some(Path::new("/sys/fs/cgroup").join(path)).filter(|folder| folder.join("memory.current").exists()),
        _ => None,
    }
}

fn value_of(stat: &str, name: &str) -> Option<u64> {
    let mut fields = stat.lines().filter_map(|line| line.split_once(' '));
    fields.find(|(field, _)| *field == name)?.1.trim().parse().ok()
}

/// The kernel gives file cache back when it is needed, except for shared memory, which it
/// counts as cache. cgroup v1 says `total_cache` and `total_shmem`, v2 `file` and `shmem`.
fn reclaimed(usage: u64, cache: u64, shared: u64) -> u64 {
    usage.saturating_sub(cache.saturating_sub(shared))
}

fn without_cache(stats: &ContainerStatsResponse) -> u64 {
    let Some(memory) = &stats.memory_stats else { return 0 };
    let field = |v1: &str, v2: &str| {
        let fields = memory.stats.as_ref()?;
        fields.get(v1).or_else(|| fields.get(v2)).copied()
    };
    let cache = field("total_cache", "file").unwrap_or(0);
    let shared = field("total_shmem", "shmem").unwrap_or(0);
    reclaimed(memory.usage.unwrap_or(0), cache, shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_containers_own_group_is_read() {
        let group = |line| memory_group(line, "abc123");
        assert_eq!(group("4:memory:/docker/abc123"), Some("/sys/fs/cgroup/memory/docker/abc123".into()));
        assert_eq!(group("4:memory:/docker/other"), None);
        assert_eq!(group("3:cpu:/docker/abc123"), None);
        assert_eq!(value_of("cache 1\ntotal_cache 77\n", "total_cache"), Some(77));
        assert_eq!(reclaimed(100, 60, 10), 50);
    }
}
