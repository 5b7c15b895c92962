//! Images: the base, the types' and the applications'.
//!
//! Type images are shared by every home of the machine: they are named by their contents, so
//! that looking them up needs no network and nothing has to be invalidated.

mod base;
mod context;
mod diagnose;
mod host;
mod lock;
mod make;
mod pull;

use std::collections::HashMap;

use bollard::models::ImageSummary;
use bollard::query_parameters::{ListImagesOptions, RemoveImageOptions};
use sha2::{Digest, Sha256};

use crate::catalog::{Files, ServiceType};
use crate::engine::runtime::{Progress, Result, RuntimeError, TypeImages};
use crate::model::AppName;

use super::DockerRuntime;
use super::client::status;

pub(super) use context::Context;
pub(super) use host::HostSettings;

/// Labels of application images. They are others than the containers', because Docker copies
/// an image's labels to every container of it, also to one that a person starts by hand.
pub(super) const IMAGE_HOME: &str = "io.dotcloud-local.image.home";
pub(super) const IMAGE_APP: &str = "io.dotcloud-local.image.app";
/// Type images belong to no home.
const IMAGE_SHARED: &str = "io.dotcloud-local.image.shared";
/// With which build image an application's image was made.
pub(super) const IMAGE_TYPE: &str = "io.dotcloud-local.image.type";

/// An image to be made unless it is there.
pub(super) struct Wish<'a> {
    /// `python-build` in `dotcloud-local/python-build:<hash>`.
    pub name: String,
    pub parent: String,
    pub dockerfile: &'a str,
    pub files: &'a Files,
}

impl Wish<'_> {
    fn tag(&self, parent_identity: &str) -> String {
        let mut hash = Sha256::new();
        for part in [parent_identity, self.dockerfile] {
            add(&mut hash, part.as_bytes());
        }
        for (path, bytes) in self.files {
            add(&mut hash, path.as_bytes());
            add(&mut hash, bytes);
        }
        let digest = hash.finalize();
        let short: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        format!("dotcloud-local/{}:{short}", self.name)
    }
}

/// An image's tags. One without any goes by its id: a build that was repeated after a crash took
/// its tag away. Old engines list such a one as `<none>:<none>`.
fn names_of(image: ImageSummary) -> Vec<String> {
    let tags: Vec<String> = image.repo_tags.into_iter().filter(|tag| tag != "<none>:<none>").collect();
    if tags.is_empty() { vec![image.id] } else { tags }
}

/// Lengths first: `ab` + `c` is not `a` + `bc`.
fn add(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u64).to_be_bytes());
    hash.update(part);
}

impl DockerRuntime {
    pub(super) async fn type_images(&self, type_name: &str, progress: &Progress) -> Result<TypeImages> {
        let service_type = self.service_type(type_name)?;
        if let Some(other) = &service_type.images.same_as {
            return Box::pin(self.type_images(other, progress)).await;
        }
        let parent = self.parent_image(service_type, progress).await?;
        let files = self.files(type_name)?;
        let name = type_name.to_owned();
        let runtime = Wish { name, parent, dockerfile: &service_type.images.runtime, files };
        if let Some(image) = &service_type.images.pull
            && !self.has_image(&runtime.tag(image)).await?
        {
            self.ensure_pulled(image, type_name, progress).await?;
        }
        let runtime = self.ensure_image(runtime, progress).await?;
        let build = match &service_type.images.build {
            None => runtime.clone(),
            Some(dockerfile) => {
                let wish = Wish { name: format!("{type_name}-build"), parent: runtime.clone(), dockerfile, files };
                self.ensure_image(wish, progress).await?
            }
        };
        Ok(TypeImages { runtime, build })
    }

    async fn parent_image(&self, service_type: &ServiceType, progress: &Progress) -> Result<String> {
        // By its name, which is a version: what runs changes with the template, not with a pull.
        if let Some(image) = &service_type.images.pull {
            return Ok(image.clone());
        }
        let base = self.ensure_base(progress).await?;
        let folder = &service_type.images.from;
        if folder == "base" {
            return Ok(base);
        }
        let name = folder.trim_start_matches('_').to_owned();
        let wish = Wish { name, parent: base, dockerfile: "Dockerfile", files: self.files(folder)? };
        self.ensure_image(wish, progress).await
    }

    /// The images with apt packages added, one layer each; the same ones without packages.
    pub(super) async fn with_packages(
        &self,
        images: TypeImages,
        packages: &[String],
        progress: &Progress,
    ) -> Result<TypeImages> {
        if packages.is_empty() {
            return Ok(images);
        }
        let files: Files = [("Dockerfile".to_owned(), context::packages(packages)?.into_bytes().into())].into();
        let wish = |parent: &str| Wish {
            name: format!("{}-packages", parent.trim_start_matches("dotcloud-local/").replace(':', "-")),
            parent: parent.to_owned(),
            dockerfile: "Dockerfile",
            files: &files,
        };
        let runtime = self.ensure_image(wish(&images.runtime), progress);
        if images.build == images.runtime {
            let runtime = runtime.await?;
            return Ok(TypeImages { build: runtime.clone(), runtime });
        }
        let (runtime, build) = tokio::try_join!(runtime, self.ensure_image(wish(&images.build), progress))?;
        Ok(TypeImages { runtime, build })
    }

    async fn ensure_image(&self, wish: Wish<'_>, progress: &Progress) -> Result<String> {
        // The base keeps its name when it is made anew, the others never do.
        let identity = match wish.parent == base::TAG {
            true => self.image_id(base::TAG).await?.unwrap_or_default(),
            false => wish.parent.clone(),
        };
        let tag = wish.tag(&identity);
        if self.has_image(&tag).await? {
            return Ok(tag);
        }
        let _lock = lock::machine_wide(&tag).await;
        if !self.has_image(&tag).await? {
            self.make_image(&wish, &tag, progress).await?;
        }
        Ok(tag)
    }

    fn service_type(&self, type_name: &str) -> Result<&ServiceType> {
        let missing = || RuntimeError::Missing { what: format!("service type {type_name:?}") };
        self.catalog.get(type_name).ok_or_else(missing)
    }

    fn files(&self, folder: &str) -> Result<&Files> {
        let missing = || RuntimeError::Missing { what: format!("template folder {folder:?}") };
        self.catalog.files(folder).ok_or_else(missing)
    }

    pub(super) async fn has_image(&self, image: &str) -> Result<bool> {
        Ok(self.image_id(image).await?.is_some())
    }

    async fn image_id(&self, image: &str) -> Result<Option<String>> {
        Ok(self.image_labels(image).await?.map(|(id, _)| id))
    }

    /// Id and labels; `None` when there is no such image.
    pub(super) async fn image_labels(&self, image: &str) -> Result<Option<(String, HashMap<String, String>)>> {
        match self.client.docker.inspect_image(image).await {
            Ok(found) => {
                let labels = found.config.and_then(|config| config.labels).unwrap_or_default();
                Ok(Some((found.id.unwrap_or_default(), labels)))
            }
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(self.client.failed(format!("look at image {image}"))(error)),
        }
    }

    pub(super) async fn images_of(&self, app: &AppName) -> Result<Vec<String>> {
        let wanted = vec![format!("{IMAGE_HOME}={}", self.home.id()), format!("{IMAGE_APP}={app}")];
        let filters = HashMap::from([("label".to_owned(), wanted)]);
        let options = ListImagesOptions { filters: Some(filters), ..Default::default() };
        let listed = self.client.docker.list_images(Some(options)).await;
        let listed = listed.map_err(self.client.failed("list images"))?;
        Ok(listed.into_iter().flat_map(names_of).collect())
    }

    pub(super) async fn drop_image(&self, image: &str) -> Result<()> {
        let Some((_, labels)) = self.image_labels(image).await? else { return Ok(()) };
        if labels.get(IMAGE_HOME).is_none_or(|home| home != self.home.id()) {
            return Err(RuntimeError::Missing { what: format!("image {image} of this home") });
        }
        match self.client.docker.remove_image(image, None::<RemoveImageOptions>, None).await {
            // 409: a container still uses it.
            Err(error) if !matches!(status(&error), Some(404 | 409)) => {
                Err(self.client.failed(format!("remove image {image}"))(error))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_lost_its_tag_goes_by_its_id() {
        let image = |tags: &[&str]| ImageSummary {
            id: "sha256:aa".to_owned(),
            repo_tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..Default::default()
        };
        assert_eq!(names_of(image(&["dcl-1/a-www:r1-g1"])), ["dcl-1/a-www:r1-g1"]);
        assert_eq!(names_of(image(&["<none>:<none>"])), ["sha256:aa"]);
        assert_eq!(names_of(image(&[])), ["sha256:aa"]);
    }
}
