//! Builds the code services of a deployment, in parallel, and says what the builders say.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::mpsc;

use crate::catalog;
use crate::engine::reconcile::in_full;
use crate::engine::runtime::{BuildSpec, Progress, RuntimeError};
use crate::model::{ServiceName, ServiceSpec};

use super::log::DeployLog;
use super::perform::{Deployment, Failed};

/// Builds every service, or fails with the first that fails. Returns each with its image.
pub async fn build_all(
    deployment: &Deployment<'_>,
    wanted: &[ServiceSpec],
) -> Result<Vec<(ServiceSpec, String)>, Failed> {
    deployment.log.say("Building the application...").await;
    // All are brought to their end: one that is dropped would leave its container behind.
    let built = join_all(wanted.iter().map(|spec| build(deployment, spec))).await;
    let built = built.into_iter().collect::<Result<Vec<_>, _>>()?;
    deployment.log.say(format!("Application ({}) build is done", deployment.app.name)).await;
    Ok(wanted.iter().cloned().zip(built).collect())
}

async fn build(deployment: &Deployment<'_>, spec: &ServiceSpec) -> Result<String, Failed> {
    let (inner, log, name) = (deployment.inner, &deployment.log, &spec.name);
    let build_spec = build_spec(deployment, spec).await?;
    let (progress, speaker) = speaker(log.clone(), name.clone());
    let permit = inner.builds.acquire().await;
    let previous = match &build_spec.previous {
        Some(_) => "incremental build",
        None => "clean build",
    };
    log.say_of(name, format!("Build started for revision {} ({previous})", deployment.record.revision)).await;
    let result = inner.runtime.build(&build_spec, progress).await;
    drop(permit);
    // All that the builder said comes before what is said of it.
    let _ = speaker.await;
    match result {
        Ok(image) => {
            let size = size_text(image.bytes);
            log.say_of(name, format!("Build completed successfully. Compiled image size is {size}")).await;
            Ok(image.image)
        }
        Err(error) => {
            log.complain(name, in_full(&error)).await;
            if let RuntimeError::Exited { output, .. } = &error {
                log.complain(name, output.trim_end()).await;
            }
            Err(Failed(format!("the build of service {name} failed; nothing that runs was touched")))
        }
    }
}

async fn build_spec(deployment: &Deployment<'_>, spec: &ServiceSpec) -> Result<BuildSpec, Failed> {
    let (inner, record) = (deployment.inner, &deployment.record);
    let kind = inner.catalog.get(&spec.type_name);
    let kind = kind.ok_or_else(|| Failed(format!("there is no service type {}", spec.type_name)))?;
    let tree =
        inner.store.revision_file(&record.app, &record.revision).await.map_err(|error| Failed(in_full(&error)))?;
    let tree = tree.ok_or_else(|| Failed(format!("revision {} is gone", record.revision)))?;
    let mut env = spec.environment.clone();
    env.extend(record.environment.clone());
    env.extend(spec.exported.iter().map(|(key, value)| (exported_name(key), value.clone())));
    Ok(BuildSpec {
        app: record.app.clone(),
        service: spec.name.clone(),
        type_name: spec.type_name.clone(),
        tree,
        revision: record.revision.clone(),
        previous: previous_image(deployment, spec).await,
        target: inner.naming.image(&record.app, &spec.name, &record.revision, record.generation),
        approot: spec.approot.clone(),
        systempackages: spec.systempackages.clone(),
        env,
        recipe: catalog::recipe(spec, kind),
    })
}

/// Where an incremental build starts; a clean one, and the first, start from nothing.
async fn previous_image(deployment: &Deployment<'_>, spec: &ServiceSpec) -> Option<String> {
    if deployment.record.clean {
        return None;
    }
    let record = deployment.app.record();
    let image = record.service(&spec.name)?.serving.as_ref()?.image.clone();
    deployment.inner.runtime.image_exists(&image).await.unwrap_or(false).then_some(image)
}

/// `node_version` -> `SERVICE_NODE_VERSION`.
fn exported_name(key: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("SERVICE_{}", key.chars().map(plain).collect::<String>())
}

/// Lines from the builder's callback into the log, in their order.
pub(super) fn speaker(log: Arc<DeployLog>, name: ServiceName) -> (Progress, tokio::task::JoinHandle<()>) {
    let (lines, mut queue) = mpsc::unbounded_channel::<String>();
    let progress: Progress = Arc::new(move |line: &str| {
        // The speaker lives until this callback is dropped.
        let _ = lines.send(line.trim_end().to_owned());
    });
    let speaking = tokio::spawn(async move {
        while let Some(line) = queue.recv().await {
            log.say_of(&name, line).await;
        }
    });
    (progress, speaking)
}

fn size_text(bytes: u64) -> String {
    let (kilo, mega) = (1024, 1024 * 1024);
    if bytes >= 10 * mega { format!("{}MB", bytes / mega) } else { format!("{}KB", bytes.div_ceil(kilo)) }
}
