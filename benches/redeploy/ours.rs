//! `dotcloud watch` on one folder.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dotcloud_local::api::client::Client;
use dotcloud_local::api::home::Home;
use dotcloud_local::api::types::LiveReady;
use serde_json::Value;

use super::load::Addresses;
use super::support::platform::{Platform, text};

const PATIENCE: Duration = Duration::from_secs(60);

/// A watched application.
pub struct Ours<'p> {
    platform: &'p Platform,
    app: &'static str,
    child: Child,
    changes: Receiver<Value>,
    /// Where each instance answers; a live change keeps their addresses.
    pub instances: Vec<SocketAddr>,
}

impl<'p> Ours<'p> {
    /// Brings the folder up, on so many instances.
    pub fn start(platform: &'p Platform, app: &'static str, folder: &Path, instances: usize, port: u16) -> Self {
        platform.up(folder, app);
        platform.scale(app, &[&format!("www={instances}")]);
        let arguments = ["-A", app, "watch", "--json", folder.to_str().unwrap()];
        let mut child = platform.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (sender, changes) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        std::thread::spawn(move || {
            let documents = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
            documents.filter(|document| document["change"].is_string()).try_for_each(|change| sender.send(change))
        });
        let info = platform.service(app, "www");
        let addresses = info["instances"].as_array().unwrap().iter();
        let addresses = addresses.map(|instance| format!("{}:{port}", text(&instance["ip"])).parse().unwrap());
        let ours = Self { platform, app, child, changes, instances: addresses.collect() };
        ours.ready(instances);
        ours
    }

    /// The proxy, and the name it routes by.
    pub fn front(&self) -> (Addresses, String) {
        let web = self.platform.web(self.app, "www");
        (Arc::new(Mutex::new(vec![web.addr])), web.host)
    }

    /// What was told of the change, and everything ready for the next one.
    pub fn settled(&self) -> Value {
        let change = self.changes.recv_timeout(PATIENCE).expect("the change is told");
        assert_eq!(change["status"], "served", "{change}");
        self.ready(self.instances.len());
        change
    }

    fn ready(&self, instances: usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = Client::passive(Home::at(self.platform.home()));
        let all = async {
            let mut lines = client.live(self.app).await.unwrap();
            while let Some(ready) = lines.next::<LiveReady>().await.unwrap() {
                if ready.instances == ready.wanted && ready.wanted as usize == instances {
                    return;
                }
            }
            panic!("the stream ended");
        };
        let waited = runtime.block_on(async { tokio::time::timeout(PATIENCE, all).await });
        waited.unwrap_or_else(|_| panic!("not ready within {PATIENCE:?}"));
    }
}

impl Drop for Ours<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
