//! The keys of a service that the platform understands, and words that are mistaken for them.

use super::suggest;

/// Every key with a meaning (platform.md, §2). Other keys are exported to the build script only.
pub const KNOWN_KEYS: &[&str] = &[
    "type",
    "approot",
    "instances",
    "prebuild",
    "postbuild",
    "postinstall",
    "buildscript",
    "systempackages",
    "requirements",
    "config",
    "environment",
    "ports",
    "process",
    "processes",
    "exclude_bundler_groups",
];

/// Words of other tools for the same things.
const FOREIGN: &[(&str, &str)] = &[
    ("env", "environment"),
    ("variables", "environment"),
    ("command", "process"),
    ("cmd", "process"),
    ("run", "process"),
    ("packages", "systempackages"),
    ("apt", "systempackages"),
    ("root", "approot"),
    ("builder", "buildscript"),
    ("scale", "instances"),
];

/// The known key that an unknown one was probably meant to be.
pub(super) fn meant(unknown: &str) -> Option<&'static str> {
    let plain: String = unknown.to_lowercase().chars().filter(|c| !matches!(c, '-' | '_' | ' ')).collect();
    let foreign = FOREIGN.iter().find(|(word, _)| *word == plain).map(|&(_, key)| key);
    foreign.or_else(|| KNOWN_KEYS.iter().find(|key| key.replace('_', "") == plain).copied()).or_else(|| {
        // A beginning alone is not enough here: "node_version" and "process_count" are keys of
        // the user's own.
        let near = suggest::nearest(unknown, KNOWN_KEYS.iter().copied())?;
        (strsim::damerau_levenshtein(&unknown.to_lowercase(), near) <= 2).then_some(near)
    })
}

#[cfg(test)]
mod tests {
    use super::meant;

    #[test]
    fn slips_and_words_of_other_tools_are_recognised_and_own_keys_are_not() {
        assert_eq!(meant("enviroment"), Some("environment"));
        assert_eq!(meant("post-install"), Some("postinstall"));
        assert_eq!(meant("Type"), Some("type"));
        assert_eq!(meant("env"), Some("environment"));
        assert_eq!(meant("system_packages"), Some("systempackages"));
        for own in ["node_version", "app_url", "haproxy_mode", "ntb_api_url", "name", "process_count", "portal"] {
            assert_eq!(meant(own), None, "{own}");
        }
    }
}
