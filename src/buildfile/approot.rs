//! Paths of code inside the tree, judged by their text alone. Symbolic links are checked where
//! the tree is at hand.

/// Why a path is refused, as the end of a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeadsOut(&'static str);

impl std::fmt::Display for LeadsOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// The path without `.`, `..` and superfluous slashes; `.` for the tree itself.
pub(super) fn shortest(path: &str) -> Result<String, LeadsOut> {
    if path.starts_with('/') {
        return Err(LeadsOut("is an absolute path"));
    }
    if path == "~" || path.starts_with("~/") {
        return Err(LeadsOut("is in the home directory, not beside the build file"));
    }
    if path.contains(['\0', '\n', '\r']) {
        return Err(LeadsOut("is not a path"));
    }
    let mut parts = Vec::new();
    for part in path.trim().split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().ok_or(LeadsOut("leads out of the tree"))?),
            name => parts.push(name),
        }
    }
    Ok(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_inside_the_tree_are_shortened_and_others_refused() {
        for (path, short) in
            [(".", "."), ("./", "."), ("", "."), ("a//b/./c/", "a/b/c"), ("a/../b", "b"), ("...", "...")]
        {
            assert_eq!(shortest(path).unwrap(), short);
        }
        for path in ["..", "../../etc", "a/../../b", "/etc", "~", "~/code", "a\0b"] {
            assert!(shortest(path).is_err(), "{path}");
        }
    }
}
