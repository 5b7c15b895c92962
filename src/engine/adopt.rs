//! A build file's services into the record: names, passwords, ports; and what old deployments
//! leave behind out of it again.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};

use crate::model::{Memory, ServiceName, ServiceSpec, Stack};
use crate::store::{AppRecord, ServiceRecord};

use super::app::App;
use super::handle::EngineError;
use super::inner::Inner;
use super::live;

/// Ports of the front: below the range that the kernel hands out by itself.
const PORTS: std::ops::Range<u16> = 20000..30000;
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
}

/// Adds new services, updates those there are. Running it twice changes nothing more.
///
/// # Errors
/// `Invalid` when a service would change its type, or no port is free.
pub fn adopt(
    inner: &Inner,
    record: &mut AppRecord,
    stack: &Stack,
    mut taken: BTreeSet<u16>,
) -> Result<Adopted, EngineError> {
    let mut adopted = Adopted::default();
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
                let service = new_service(inner, spec, &mut taken, &record.name).map_err(EngineError::Invalid)?;
                adopted.new_data.extend(service.is_data.then(|| service.name.clone()));
                record.services.push(service);
            }
        }
    }
    Ok(adopted)
}

fn check_type(known: &ServiceRecord, spec: &ServiceSpec) -> Result<(), EngineError> {
    if known.type_name == spec.type_name {
        return Ok(());
    }
    let (name, old, new) = (&spec.name, &known.type_name, &spec.type_name);
    let text = format!("service \"{name}\" is of type {old} and cannot become {new}: `dotcloud destroy {name}` first");
    Err(EngineError::Invalid(text))
}

fn new_service(
    inner: &Inner,
    spec: &ServiceSpec,
    taken: &mut BTreeSet<u16>,
    app: &crate::model::AppName,
) -> Result<ServiceRecord, String> {
    let kind = inner.catalog.get(&spec.type_name).ok_or_else(|| format!("unknown type {}", spec.type_name))?;
    let is_data = kind.data.is_some();
    let front_port = if is_data || kind.http_port.is_some() {
        let start = first_choice(&inner.config.home_id, app.as_str(), spec.name.as_str());
        let port = free_port(start, taken).ok_or("no port between 20000 and 29999 is free on 127.0.0.1")?;
        taken.insert(port);
        Some(port)
    } else {
        None
    };
    Ok(ServiceRecord {
        name: spec.name.clone(),
        type_name: spec.type_name.clone(),
        is_data,
        spec: spec.clone(),
        instances: spec.instances,
        memory: Memory::DEFAULT,
        in_build_file: true,
        password: is_data.then(password),
        front_port,
        serving: None,
        candidate: None,
        doomed: false,
    })
}

/// The same application gets the same ports on every machine, as long as they are free.
fn first_choice(home: &str, app: &str, service: &str) -> u16 {
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(16_777_619);
    let hash = [home, "/", app, "/", service].concat().bytes().fold(2_166_136_261, mix);
    PORTS.start + u16::try_from(hash % u32::from(PORTS.end - PORTS.start)).unwrap_or_default()
}

fn free_port(start: u16, taken: &BTreeSet<u16>) -> Option<u16> {
    let is_free = |port: &u16| !taken.contains(port) && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    (start..PORTS.end).chain(PORTS.start..start).find(is_free)
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
    live::prune(inner, app).await;
    if let Err(error) = try_prune(inner, app).await {
        tracing::warn!(app = %app.name, "old revisions stay: {error}");
    }
}

async fn try_prune(inner: &Inner, app: &App) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let record = app.record();
    let versions = || record.services.iter().flat_map(|service| [&service.serving, &service.candidate]).flatten();
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
