//! Named volumes: what outlives containers.

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::{ListVolumesOptions, RemoveVolumeOptions};

use crate::engine::runtime::{Result, RuntimeError};
use crate::model::AppName;

use super::DockerRuntime;
use super::client::{already, status};
use super::labels;

impl DockerRuntime {
    /// Names and applications of this home's volumes.
    pub(super) async fn volumes(&self, app: Option<&AppName>) -> Result<Vec<(String, Option<String>)>> {
        let options = ListVolumesOptions { filters: Some(self.home.filters(app)) };
        let list = self.client.docker.list_volumes(Some(options)).await.map_err(self.client.failed("list volumes"))?;
        let volumes = list.volumes.unwrap_or_default();
        Ok(volumes.into_iter().map(|volume| (volume.name, volume.labels.get(labels::APP).cloned())).collect())
    }

    pub(super) async fn make_volume(&self, app: &AppName, name: &str) -> Result<()> {
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(self.home.app_labels(app)),
            ..Default::default()
        };
        let made = self.client.docker.create_volume(request).await;
        let made = made.map_err(self.client.failed(format!("create volume {name}")))?;
        self.check_volume(name, self.home.owns(Some(&made.labels)))
    }

    pub(super) async fn drop_volume(&self, name: &str) -> Result<()> {
        match self.client.docker.inspect_volume(name).await {
            Ok(volume) => self.check_volume(name, self.home.owns(Some(&volume.labels)))?,
            Err(error) if status(&error) == Some(404) => return Ok(()),
            Err(error) => return Err(self.client.failed(format!("look at volume {name}"))(error)),
        }
        let gone = self.client.docker.remove_volume(name, None::<RemoveVolumeOptions>).await;
        already(gone, &[404]).map_err(self.client.failed(format!("remove volume {name}")))
    }

    fn check_volume(&self, name: &str, ours: bool) -> Result<()> {
        let strange = || RuntimeError::Missing { what: format!("volume {name} of this home (there is a foreign one)") };
        ours.then_some(()).ok_or_else(strange)
    }
}
