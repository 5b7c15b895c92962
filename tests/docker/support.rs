//! A runtime with a home of its own, and specs of containers to start in it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dotcloud_local::docker::{DockerConfig, DockerRuntime};
use dotcloud_local::engine::runtime::{
    Attachment, ContainerSpec, ExecOutput, ExecSpec, Identity, Progress, Purpose, Runtime,
};
use dotcloud_local::model::{AppName, Memory};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub struct Home {
    pub runtime: Arc<DockerRuntime>,
    pub id: String,
    pub app: AppName,
    pub folder: tempfile::TempDir,
}

impl Home {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let id = uuid::Uuid::new_v4().simple().to_string();
        Self { runtime: connect(&id, folder.path()).await, id, app: "demo".parse().unwrap(), folder }
    }

    pub fn name(&self, rest: &str) -> String {
        format!("dcl-{}-{rest}", &self.id[..6])
    }

    /// Runs the claim, then removes everything of this home, also when the claim is wrong.
    pub async fn run<F: Future<Output = ()> + Send + 'static>(self, claim: impl FnOnce(Arc<Self>) -> F) {
        let home = Arc::new(self);
        let outcome = tokio::spawn(claim(home.clone())).await;
        home.clean().await;
        if let Err(error) = outcome {
            std::panic::resume_unwind(error.into_panic());
        }
    }

    async fn clean(&self) {
        for app in self.runtime.apps().await.unwrap() {
            let all = self.runtime.observe(&app).await.unwrap();
            for container in all.containers {
                self.runtime.remove(&container.id).await.unwrap();
            }
            for volume in all.volumes {
                self.runtime.remove_volume(&volume).await.unwrap();
            }
            self.runtime.remove_network(&app).await.unwrap();
        }
        for image in self.runtime.app_images(&self.app).await.unwrap() {
            self.runtime.remove_image(&image).await.unwrap();
        }
        assert!(self.runtime.apps().await.unwrap().is_empty());
    }

    pub async fn spec(&self, instance: &str, purpose: Purpose, image: &str) -> ContainerSpec {
        let network = self.runtime.ensure_network(&self.app, None).await.unwrap();
        let suffix = if purpose == Purpose::Pod { "-pod" } else { "" };
        ContainerSpec {
            identity: Identity { app: self.app.clone(), instance: instance.parse().unwrap(), purpose, generation: 0 },
            name: self.name(&format!("demo-{}{suffix}", instance.replace('.', "-"))),
            image: image.to_owned(),
            command: None,
            env: BTreeMap::new(),
            hostname: None,
            hosts: vec![("db.demo.dc.internal".to_owned(), IpAddr::V4(network.gateway))],
            attachment: Attachment::Network { name: network.name, ip: None },
            memory: Some(Memory::DEFAULT),
            volumes: Vec::new(),
            shared: Vec::new(),
            overlay: None,
        }
    }

    /// A container that does nothing.
    pub async fn idle(&self, instance: &str) -> ContainerSpec {
        let image = self.runtime.ensure_type("redis", quiet()).await.unwrap().runtime;
        let command = Some(vec!["/usr/lib/dotcloud/pod".to_owned()]);
        ContainerSpec { command, ..self.spec(instance, Purpose::Pod, &image).await }
    }

    /// Exit code and standard output of a command.
    pub async fn exec(&self, container: &str, command: &[&str]) -> (i64, String) {
        let spec = ExecSpec { command: command.iter().map(|part| (*part).to_owned()).collect(), ..Default::default() };
        let mut session = self.runtime.exec(container, &spec).await.unwrap();
        let mut text = Vec::new();
        while let Some(output) = session.output.recv().await {
            match output.unwrap() {
                ExecOutput::Stdout(bytes) => text.extend(bytes),
                ExecOutput::Stderr(bytes) => text.extend(bytes),
                ExecOutput::Exit(code) => return (code, String::from_utf8_lossy(&text).into_owned()),
            }
        }
        panic!("no exit code");
    }
}

pub async fn connect(id: &str, folder: &Path) -> Arc<DockerRuntime> {
    let config = DockerConfig { home_id: id.to_owned(), state_dir: folder.to_owned() };
    DockerRuntime::connect(config).await.unwrap()
}

pub fn quiet() -> Progress {
    Arc::new(|_: &str| {})
}

/// Asks until the answer is right, at most for 20 s.
pub async fn until<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < end, "gave up waiting");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Status and body of a GET; `None` when nobody answers.
pub async fn get(addr: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(addr).await.ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: www.demo.localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1)?.parse().ok()?;
    Some((status, text.split_once("\r\n\r\n")?.1.to_owned()))
}
