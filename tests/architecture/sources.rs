//! The files of this repository, and Rust files without their comments and tests.

use std::fs;
use std::path::{Path, PathBuf};

/// One Rust file.
pub struct Source {
    pub path: PathBuf,
    /// `engine::runtime` for `src/engine/runtime.rs`, `engine` for `src/engine/mod.rs`.
    pub module: String,
    pub text: String,
    /// The text without comments and without what only tests see.
    pub code: String,
    pub lines: usize,
}

impl Source {
    /// All Rust files below a folder of the repository.
    pub fn all(folder: &str) -> Vec<Self> {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let files = walkdir::WalkDir::new(&base).sort_by_file_name().into_iter().filter_map(Result::ok);
        let rust = files.map(walkdir::DirEntry::into_path).filter(|path| path.extension().is_some_and(|e| e == "rs"));
        rust.map(|path| Self::read(&base, path)).collect()
    }

    fn read(base: &Path, path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap();
        let code = if is_test_file(&path) { String::new() } else { without_tests_and_comments(&text) };
        Self { module: module_of(base, &path), code, lines: text.lines().count(), text, path }
    }

    /// How many `super::` lead from this module to the crate's root.
    pub fn depth(&self) -> usize {
        self.module.split("::").count()
    }
}

/// Everything that git knows or would add, without build products.
pub fn repository_files() -> Vec<PathBuf> {
    let root = env!("CARGO_MANIFEST_DIR");
    let listing = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let output = std::process::Command::new("git").arg("-C").arg(root).args(listing).output().unwrap();
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let names = output.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names.map(|name| Path::new(root).join(String::from_utf8_lossy(name).as_ref())).collect()
}

/// The plain files directly in a folder; none when it does not exist.
pub fn files_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect()
}

fn module_of(base: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(base).unwrap().with_extension("");
    let names: Vec<_> = relative.iter().map(|name| name.to_str().unwrap()).filter(|name| *name != "mod").collect();
    names.join("::")
}

fn is_test_file(path: &Path) -> bool {
    let name = path.file_stem().unwrap().to_str().unwrap();
    let in_test_folder = path.iter().any(|part| part == "tests");
    in_test_folder || name == "tests" || name == "test" || name.ends_with("_test") || name.ends_with("_tests")
}

/// A test module in braces ends the code, as it stands last in a file; one in a file of its own
/// (`mod tests;`) is left out.
fn without_tests_and_comments(text: &str) -> String {
    let mut code = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim_end() == "#[cfg(test)]" {
            let item = lines.by_ref().find(|line| !line.starts_with("#["));
            if item.is_none_or(|item| !item.ends_with(';')) {
                break;
            }
        } else if !line.trim_start().starts_with("//") {
            code.push(line.split(" // ").next().unwrap_or(line));
        }
    }
    code.join("\n")
}

#[test]
fn only_tests_and_comments_are_left_out() {
    let text = "//! crate::a\n#[cfg(test)]\nmod fake;\nlet x = 1; // why\n#[cfg(test)]\nmod tests {\nlet y;\n}";
    assert_eq!(without_tests_and_comments(text), "let x = 1;");
}
