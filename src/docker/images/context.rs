//! Build contexts as tar archives in memory.

use std::io;

use tar::{Builder, Header};

use crate::catalog::Files;
use crate::engine::runtime::{Result, RuntimeError};

/// A tar archive being written. The same files always give the same bytes.
pub(in crate::docker) struct Context {
    archive: Builder<Vec<u8>>,
}

impl Context {
    pub fn new() -> Self {
        Self { archive: Builder::new(Vec::new()) }
    }

    /// Adds a file; scripts (`#!`) become executable.
    pub fn add(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(if bytes.starts_with(b"#!") { 0o755 } else { 0o644 });
        header.set_mtime(0);
        self.archive.append_data(&mut header, path, bytes)
    }

    pub fn finish(self) -> io::Result<Vec<u8>> {
        self.archive.into_inner()
    }
}

/// The context of a folder, with the machine's authorities as `host/ca.crt`.
pub(super) fn of_folder(files: &Files, authorities: &[u8]) -> io::Result<Vec<u8>> {
    let mut context = Context::new();
    for (path, bytes) in files {
        context.add(path, bytes)?;
    }
    context.add("host/ca.crt", authorities)?;
    context.finish()
}

/// A Dockerfile that adds apt packages.
///
/// # Errors
/// When a name is not one of a package.
pub(super) fn packages(packages: &[String]) -> Result<String> {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || b"+-.:=~/".contains(&c);
    let is_name = |name: &str| name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.bytes().all(allowed);
    if let Some(wrong) = packages.iter().find(|name| !is_name(name)) {
        return Err(RuntimeError::Missing { what: format!("apt package {wrong:?}") });
    }
    let mut sorted = packages.to_vec();
    sorted.sort();
    sorted.dedup();
    Ok(format!(
        "ARG PARENT\nFROM ${{PARENT}}\nUSER root\nRUN apt-get update \
         && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends {} \
         && apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin\nUSER dotcloud\n",
        sorted.join(" ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_names_cannot_carry_commands() {
        let one = |name: &str| packages(&[name.to_owned()]);
        assert!(one("libfuse2").unwrap().contains(" libfuse2 "));
        assert!(one("g++-12=12.2.0-1~deb12u1").is_ok());
        for wrong in ["a; reboot", "-o=x", "$(x)", "", "a b"] {
            assert!(one(wrong).is_err(), "{wrong}");
        }
    }
}
