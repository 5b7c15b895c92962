//! `daemon.log` does not grow for ever: its beginning goes to `daemon.log.1`.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Above this the file is moved aside; one older file is kept.
const LIMIT: u64 = 16 * 1024 * 1024;
/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(60);

/// Looks at the file from time to time, for as long as the daemon lives.
pub async fn keep_short(log: PathBuf) {
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        let log = log.clone();
        let cut = tokio::task::spawn_blocking(move || shorten(&log, LIMIT)).await;
        if let Ok(Err(error)) = cut {
            tracing::warn!(%error, "the log file could not be shortened");
        }
    }
}

/// Copies and empties instead of renaming: whoever started the daemon opened the file for
/// appending, and the daemon goes on writing to the same one.
fn shorten(log: &Path, limit: u64) -> io::Result<()> {
    let length = match log.metadata() {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if length <= limit {
        return Ok(());
    }
    let mut old = log.as_os_str().to_owned();
    old.push(".1");
    io::copy(&mut File::open(log)?, &mut File::create(old)?)?;
    OpenOptions::new().write(true).open(log)?.set_len(0)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_long_file_is_moved_aside_and_written_on() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("daemon.log");
        shorten(&log, 4).unwrap();
        let mut daemon = OpenOptions::new().create(true).append(true).open(&log).unwrap();
        daemon.write_all(b"1234").unwrap();
        shorten(&log, 4).unwrap();
        assert_eq!(std::fs::read(&log).unwrap(), b"1234");
        daemon.write_all(b"5").unwrap();
        shorten(&log, 4).unwrap();
        daemon.write_all(b"6").unwrap();
        assert_eq!(std::fs::read(&log).unwrap(), b"6");
        assert_eq!(std::fs::read(folder.path().join("daemon.log.1")).unwrap(), b"12345");
    }
}
