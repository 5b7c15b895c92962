//! The containers of every application, on a Docker engine.
//!
//! This room implements [`Runtime`] and is the only user of bollard. It knows how a thing is
//! done in Docker (API 1.41 and later), never whether it should be done: it must not know of
//! plans, roles, routes or the store. Everything it makes carries labels of one home, and it
//! touches nothing else.

mod client;
mod containers;
mod endpoint;
mod events;
mod labels;
mod networks;
mod observe;
mod subnets;
mod talk;
mod volumes;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::sync::broadcast;
use tokio_util::task::AbortOnDropHandle;

use crate::engine::runtime::{Result, RuntimeEvent};

use client::Client;
use labels::Home;

/// What a runtime needs to know of its daemon.
#[derive(Debug, Clone)]
pub struct DockerConfig {
    /// A hash of `DOTCLOUD_HOME` in hex, at least 6 digits: label value and part of names.
    pub home_id: String,
    /// Where decisions about this machine are remembered.
    pub state_dir: PathBuf,
}

/// The Docker engine as seen by one `DOTCLOUD_HOME`.
pub struct DockerRuntime {
    client: Client,
    home: Home,
    events: broadcast::Sender<RuntimeEvent>,
    /// Containers known to be ours, so that a kill needs no look first.
    ours: Mutex<HashSet<String>>,
    /// One network is made at a time: two would choose the same subnet.
    making_network: tokio::sync::Mutex<()>,
    _listener: AbortOnDropHandle<()>,
}

impl DockerRuntime {
    /// Finds the engine (`DOCKER_HOST`, the active docker context, the default socket), agrees
    /// on an API version and starts to listen to its events.
    ///
    /// # Errors
    /// `Unreachable` with the endpoint that was tried.
    pub async fn connect(config: DockerConfig) -> Result<Arc<Self>> {
        let client = Client::connect(endpoint::active()?).await?;
        let home = Home::new(&config.home_id);
        let (events, _) = broadcast::channel(1024);
        let listener = tokio::spawn(events::listen(client.clone(), home.clone(), events.clone()));
        Ok(Arc::new(Self {
            client,
            home,
            events,
            ours: Mutex::default(),
            making_network: tokio::sync::Mutex::default(),
            _listener: AbortOnDropHandle::new(listener),
        }))
    }
}
