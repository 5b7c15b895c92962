//! What the deployer reads of an uploaded tree: the build file, and whether hooks are there.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::buildfile;
use crate::model::{ServiceSpec, Stack};

/// Names under which the build file is looked for, in this order.
const BUILD_FILES: [&str; 2] = ["dotcloud.yml", "dotcloud.yaml"];
/// Build files are small; a larger one is refused before it is read.
const LIMIT: u64 = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    #[error("cannot read the uploaded tree")]
    Read(#[source] std::io::Error),
    #[error("there is no dotcloud.yml at the top of the uploaded tree")]
    NoBuildFile,
    #[error("dotcloud.yml is larger than 1 MiB")]
    TooLarge,
    /// Rendered diagnostics, ready to print.
    #[error("{0}")]
    Invalid(String),
}

/// An uploaded tree, as far as the deployer looks into it.
pub struct Tree {
    pub stack: Stack,
    /// Warnings of the build file, rendered.
    pub warnings: Option<String>,
    executables: BTreeSet<String>,
}

impl Tree {
    /// Reads an uploaded tar file. Blocking. `more_types`: those beside the platform's own.
    pub fn read(file: &Path, more_types: &[&str]) -> Result<Self, TreeError> {
        let mut archive = tar::Archive::new(File::open(file).map_err(TreeError::Read)?);
        let mut build_file = None;
        let mut executables = BTreeSet::new();
        for entry in archive.entries().map_err(TreeError::Read)? {
            let mut entry = entry.map_err(TreeError::Read)?;
            let path = entry.path().map_err(TreeError::Read)?;
            let path = path.strip_prefix("./").unwrap_or(&path).to_string_lossy().into_owned();
            if entry.header().entry_type().is_file() && entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0) {
                executables.insert(path.clone());
            }
            if BUILD_FILES.contains(&path.as_str()) && (build_file.is_none() || path == BUILD_FILES[0]) {
                build_file = Some((path, read_small(&mut entry)?));
            }
        }
        let (name, text) = build_file.ok_or(TreeError::NoBuildFile)?;
        let parsed = buildfile::parse(&text, more_types);
        let render = |diagnostic| buildfile::render(diagnostic, &name, &text, false);
        let rendered = parsed.diagnostics.iter().map(render).collect::<Vec<_>>().join("\n");
        let stack = parsed.stack.ok_or_else(|| TreeError::Invalid(rendered.clone()))?;
        let warnings = (!parsed.diagnostics.is_empty()).then_some(rendered);
        Ok(Self { stack, warnings, executables })
    }

    /// Whether new instances run a `postinstall` before they start.
    pub fn has_postinstall(&self, spec: &ServiceSpec) -> bool {
        let path = Path::new(&spec.approot).join("postinstall");
        let path = path.strip_prefix(".").unwrap_or(&path).to_string_lossy().into_owned();
        spec.postinstall.is_some() || self.executables.contains(&path)
    }
}

fn read_small(entry: &mut impl Read) -> Result<Vec<u8>, TreeError> {
    let mut text = Vec::new();
    entry.take(LIMIT + 1).read_to_end(&mut text).map_err(TreeError::Read)?;
    if text.len() as u64 > LIMIT { Err(TreeError::TooLarge) } else { Ok(text) }
}
