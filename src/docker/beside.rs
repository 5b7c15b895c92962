//! Commands beside a volume: in a container that has it and nothing else, and goes with them.

use bollard::container::AttachContainerResults;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{AttachContainerOptions, CreateContainerOptions, StartContainerOptions};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use crate::engine::runtime::{ExecOutput, ExecSession, ExecSpec, Result};
use crate::model::AppName;

use super::DockerRuntime;

/// Where the volume is.
const PLACE: &str = "/volume";

impl DockerRuntime {
    pub(super) async fn open_beside(
        &self,
        app: &AppName,
        image: &str,
        volume: &str,
        spec: &ExecSpec,
    ) -> Result<ExecSession> {
        let container = self.make_beside(app, image, volume).await?;
        let attempt = || format!("start a container beside volume {volume}");
        let options = AttachContainerOptions { stdin: true, stream: true, ..Default::default() };
        let attached = self.client.docker.attach_container(&container, Some(options)).await;
        let attached = attached.map_err(self.client.failed(attempt()))?;
        let started = self.client.docker.start_container(&container, None::<StartContainerOptions>).await;
        started.map_err(self.client.failed(attempt()))?;
        let session = self.open_exec(&container, spec).await?;
        Ok(held(session, attached))
    }

    /// It lives for as long as its input is open, and is removed then: also when the daemon is
    /// killed. Without an identity it is none of the application's containers.
    async fn make_beside(&self, app: &AppName, image: &str, volume: &str) -> Result<String> {
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            entrypoint: Some(vec!["cat".to_owned()]),
            cmd: Some(Vec::new()),
            user: Some("0:0".to_owned()),
            labels: Some(self.home.app_labels(app)),
            open_stdin: Some(true),
            stdin_once: Some(true),
            attach_stdin: Some(true),
            host_config: Some(HostConfig {
                network_mode: Some("none".to_owned()),
                auto_remove: Some(true),
                binds: Some(vec![format!("{volume}:{PLACE}:nocopy")]),
                ..Default::default()
            }),
            ..Default::default()
        };
        let made = self.client.docker.create_container(None::<CreateContainerOptions>, body).await;
        let made = made.map_err(self.client.failed(format!("create a container beside volume {volume}")))?;
        self.remember([made.id.clone()]);
        Ok(made.id)
    }
}

/// The session, whose end or whose owner's end is the container's.
fn held(session: ExecSession, mut container: AttachContainerResults) -> ExecSession {
    let ExecSession { stdin, resize, output: mut parts } = session;
    let (sender, output) = mpsc::channel(16);
    tokio::spawn(async move {
        loop {
            let part = tokio::select! {
                part = parts.recv() => part,
                () = sender.closed() => None,
            };
            let Some(part) = part else { break };
            let last = !matches!(part, Ok(ExecOutput::Stdout(_) | ExecOutput::Stderr(_)));
            if sender.send(part).await.is_err() || last {
                break;
            }
        }
        // Its input ends, and so does it.
        let _ = container.input.shutdown().await;
    });
    ExecSession { stdin, resize, output }
}
