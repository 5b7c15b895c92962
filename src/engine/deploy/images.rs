//! The images of new data services that are made from somebody else's: had before anything else
//! is done, because a registry that cannot be reached fails the deployment, and needs no waiting.

use crate::engine::reconcile::in_full;
use crate::engine::runtime::RuntimeError;
use crate::model::ServiceSpec;

use super::build::speaker;
use super::perform::{Deployment, Failed};
use super::tree::Tree;

/// Has the images pulled and made unless they are there.
pub async fn ensure(deployment: &Deployment<'_>, tree: &Tree) -> Result<(), Failed> {
    let (inner, record) = (deployment.inner, deployment.app.record());
    let is_pulled = |spec: &&ServiceSpec| {
        let kind = inner.catalog.get(&spec.type_name).filter(|kind| kind.data.is_some());
        let recipe = kind.and_then(|kind| match &kind.images.same_as {
            Some(other) => inner.catalog.get(other),
            None => Some(kind),
        });
        recipe.is_some_and(|kind| kind.images.pull.is_some()) && record.service(&spec.name).is_none()
    };
    for spec in tree.stack.services.iter().filter(is_pulled) {
        let (progress, speaker) = speaker(deployment.log.clone(), spec.name.clone());
        let made = inner.runtime.ensure_type(&spec.type_name, progress).await;
        // All that was said of the work comes before what is said of its end.
        let _ = speaker.await;
        if let Err(error) = made {
            if let RuntimeError::Exited { output, .. } = &error {
                deployment.log.complain(&spec.name, output.trim_end()).await;
            }
            return Err(Failed(format!("service \"{}\": {}", spec.name, in_full(&error))));
        }
    }
    Ok(())
}
