//! What a type's build script is told of its service.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Processes, ServiceSpec};

use super::ServiceType;

/// Written to `~/.dotcloud/recipe.json` before a build; read by `templates/_common/build` and
/// the type's own `build`. Absent hooks are null.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildRecipe {
    pub prebuild: Option<String>,
    pub postbuild: Option<String>,
    pub postinstall: Option<String>,
    /// Relative to the tree's root.
    #[serde(default)]
    pub buildscript: Option<String>,
    /// Without a web front: only the service's own programs are run.
    #[serde(default)]
    pub worker: bool,
    pub requirements: Vec<String>,
    /// As the build file has it; defaults are in `service.toml`.
    pub config: BTreeMap<String, serde_json::Value>,
    /// Supervisor program -> command. A single `process` is named after its service.
    pub processes: BTreeMap<String, String>,
    pub exclude_bundler_groups: Vec<String>,
}

/// The recipe of a service, for `BuildSpec::recipe`.
pub fn recipe(spec: &ServiceSpec, service_type: &ServiceType) -> serde_json::Value {
    let processes = match &spec.processes {
        Processes::Unset => BTreeMap::new(),
        Processes::Single(command) => BTreeMap::from([(spec.name.to_string(), command.clone())]),
        Processes::Named(named) => named.clone(),
    };
    let recipe = BuildRecipe {
        prebuild: spec.prebuild.clone(),
        postbuild: spec.postbuild.clone(),
        postinstall: spec.postinstall.clone(),
        buildscript: spec.buildscript.clone(),
        worker: service_type.http_port.is_none(),
        requirements: spec.requirements.clone(),
        config: spec.config.clone(),
        processes,
        exclude_bundler_groups: spec.exclude_bundler_groups.clone(),
    };
    // A struct of texts, lists and JSON values always has a JSON form.
    serde_json::to_value(recipe).unwrap_or_default()
}
