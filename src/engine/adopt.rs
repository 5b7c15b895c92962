//! A build file's services into the record: names, passwords, ports; and what old deployments
//! leave behind out of it again.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::Count;
use crate::model::{Memory, ServiceName, ServiceSpec, Stack};
use crate::store::{AppRecord, ServiceRecord};

use super::app::App;
use super::handle::EngineError;
use super::inner::Inner;
use super::ports::claim::Claim;

/// How many uploaded trees, and images of them, are kept beside those in use.
const KEPT_REVISIONS: usize = 5;

/// History that is kept of an application; its receipts are counted per data service.
const KEPT_DEPLOYMENTS: usize = 50;
const KEPT_ACTIVITY: usize = 1000;
const KEPT_RECEIPTS: usize = 200;

/// What a build file changed.
#[derive(Debug, Default)]
pub struct Adopted {
    pub new_data: Vec<ServiceName>,
    pub left_out: Vec<ServiceName>,
    /// Shared folders that no service names any more.
    pub left_folders: BTreeSet<String>,
    /// What of a new service's description is not followed, and why.
    pub remarks: Vec<(ServiceName, String)>,
}

/// Adds new services, updates those there are. Running it twice changes nothing more.
///
/// # Errors
/// `Invalid` when a service would change its type, or no port is free.
pub fn adopt(
    inner: &Inner,
    record: &mut AppRecord,
    stack: &Stack,
    taken: BTreeSet<u16>,
) -> Result<Adopted, EngineError> {
    let mut adopted = Adopted { left_folders: left_folders(record, stack), ..Adopted::default() };
    for service in &mut record.services {
        service.in_build_file = stack.service(&service.name).is_some();
        if !service.in_build_file && !service.doomed {
            adopted.left_out.push(service.name.clone());
        }
    }
    for spec in &stack.services {
        match record.service(&spec.name) {
            Some(known) if known.doomed => {
                let text = format!("service \"{}\" is being destroyed: push again when it is gone", spec.name);
                return Err(EngineError::Conflict(text));
            }
            Some(known) => check_type(known, spec)?,
            None => {
                let service = new_service(inner, spec).map_err(EngineError::Invalid)?;
                adopted.remarks.extend(remarks(inner, spec).into_iter().map(|text| (spec.name.clone(), text)));
                adopted.new_data.extend(service.is_data.then(|| service.name.clone()));
                record.services.push(service);
            }
        }
    }
    let name = record.name.clone();
    let mut claim = Claim { home_id: &inner.config.home_id, app: &name, taken };
    for spec in &stack.services {
        if let (Some(service), Some(kind)) = (record.service_mut(&spec.name), inner.catalog.get(&spec.type_name)) {
            claim.complete(service, spec, kind).map_err(EngineError::Invalid)?;
        }
    }
    Ok(adopted)
}

/// Those of the last deployment that neither the build file nor a service it leaves out has.
fn left_folders(record: &AppRecord, stack: &Stack) -> BTreeSet<String> {
    let folders = |spec: &ServiceSpec| spec.shared_folders.keys().cloned().collect::<Vec<_>>();
    let left_out = record.services.iter().filter(|service| stack.service(&service.name).is_none());
    let kept = stack.services.iter().chain(left_out.map(|service| &service.spec));
    let kept: BTreeSet<String> = kept.flat_map(folders).collect();
    let before = record.services.iter().filter_map(|service| service.serving.as_ref());
    before.flat_map(|version| folders(&version.spec)).filter(|name| !kept.contains(name)).collect()
}

fn check_type(known: &ServiceRecord, spec: &ServiceSpec) -> Result<(), EngineError> {
    if known.type_name == spec.type_name {
        return Ok(());
    }
    let (name, old, new) = (&spec.name, &known.type_name, &spec.type_name);
    let text = format!("service \"{name}\" is of type {old} and cannot become {new}: `dotcloud destroy {name}` first");
    Err(EngineError::Invalid(text))
}

fn new_service(inner: &Inner, spec: &ServiceSpec) -> Result<ServiceRecord, String> {
    let kind = inner.catalog.get(&spec.type_name).ok_or_else(|| format!("unknown type {}", spec.type_name))?;
    let is_data = kind.data.is_some();
    Ok(ServiceRecord {
        name: spec.name.clone(),
        type_name: spec.type_name.clone(),
        is_data,
        spec: spec.clone(),
        instances: kind.first_count(spec.instances),
        memory: kind.memory.unwrap_or(Memory::DEFAULT),
        in_build_file: true,
        password: is_data.then(password),
        front_port: None,
        custom_fronts: BTreeMap::new(),
        serving: None,
        candidate: None,
        doomed: false,
    })
}

fn remarks(inner: &Inner, spec: &ServiceSpec) -> Vec<String> {
    let Some(kind) = inner.catalog.get(&spec.type_name) else { return Vec::new() };
    let ignored = match kind.count(spec.instances) {
        Count::Ignored(why) => {
            let (wanted, first) = (spec.instances, kind.first_count(spec.instances));
            Some(format!("\"instances: {wanted}\" is ignored, it begins with {first}: {why}."))
        }
        Count::Fits | Count::Refused(_) => None,
    };
    ignored.into_iter().chain(kind.idle_settings(spec).map(|text| format!("{text}."))).collect()
}

/// 20 letters and digits from the system's random source.
fn password() -> String {
    const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes).expect("the system has a random source");
    bytes.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect()
}

/// Removes uploaded trees and images that are neither in use nor among the last few.
pub async fn prune(inner: &Inner, app: &App) {
    if let Err(error) = try_prune(inner, app).await {
        tracing::warn!(app = %app.name, "old revisions stay: {error}");
    }
}

async fn try_prune(inner: &Inner, app: &App) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let record = app.record();
    let versions = || record.services.iter().flat_map(ServiceRecord::versions);
    let used: BTreeSet<&str> = versions().map(|version| version.image.as_str()).collect();
    for image in inner.runtime.app_images(&app.name).await? {
        if !used.contains(image.as_str()) {
            inner.runtime.remove_image(&image).await?;
        }
    }
    inner.store.prune_history(&app.name, KEPT_DEPLOYMENTS, KEPT_ACTIVITY, KEPT_RECEIPTS).await?;
    let revisions = inner.store.revisions(&app.name).await?;
    let old = revisions.len().saturating_sub(KEPT_REVISIONS);
    for name in &revisions[..old] {
        if versions().any(|version| version.revision == *name) {
            continue;
        }
        if let Some(file) = inner.store.revision_file(&app.name, name).await? {
            tokio::fs::remove_file(file).await.or_else(ignore_missing)?;
        }
        inner.store.remove_revision(&app.name, name).await?;
    }
    Ok(())
}

fn ignore_missing(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Version;

    fn stack(text: &str) -> Stack {
        crate::buildfile::parse(text.as_bytes(), &[]).stack.unwrap()
    }

    /// A record in which everything of a build file serves.
    fn deployed(text: &str) -> AppRecord {
        let service = |spec: ServiceSpec| {
            let version = serde_json::json!({
                "generation": 1, "revision": "r", "image": "i", "spec": spec, "environment": {},
            });
            ServiceRecord {
                name: spec.name.clone(),
                type_name: spec.type_name.clone(),
                is_data: false,
                instances: 1,
                memory: Memory::DEFAULT,
                in_build_file: true,
                password: None,
                front_port: None,
                custom_fronts: BTreeMap::new(),
                serving: Some(serde_json::from_value::<Version>(version).unwrap()),
                candidate: None,
                doomed: false,
                spec,
            }
        };
        AppRecord {
            name: "ramen".parse().unwrap(),
            flavor: "live".to_owned(),
            created_at: String::new(),
            up: true,
            pauses: Default::default(),
            doomed: false,
            discard_data: false,
            subnet: None,
            services: stack(text).services.into_iter().map(service).collect(),
            environment: Default::default(),
            generation: 1,
        }
    }

    #[test]
    fn folders_that_nobody_names_any_more_are_noticed() {
        let www = "www: {type: python, config: {shared_folders: {a: ~/a, b: ~/b}}}\n";
        let jobs = "jobs: {type: python-worker, config: {shared_folders: {b: ~/x, c: ~/c}}}\n";
        let record = deployed(&format!("{www}{jobs}"));
        let left = |text: &str| left_folders(&record, &stack(text)).into_iter().collect::<Vec<_>>();
        assert!(left(&format!("{www}{jobs}")).is_empty());
        assert!(left(www).is_empty(), "a service that is left out keeps running with its folders");
        assert_eq!(left(&format!("www: {{type: python}}\n{jobs}")), ["a"]);
        assert_eq!(left("www: {type: python}\njobs: {type: python-worker}\n"), ["a", "b", "c"]);
    }
}
