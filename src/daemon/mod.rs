//! The composition root: wires the rooms, in order, and takes them down again. It decides
//! nothing about applications.

mod front;
mod leftovers;
mod log_file;
mod templates;
mod traffic;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::api::home::Home;
use crate::api::server::{self, ApiKey, Auth};
use crate::docker::{DockerConfig, DockerRuntime};
use crate::engine::runtime::RuntimeError;
use crate::engine::{Engine, EngineConfig, EngineError};
use crate::proxy::{Proxy, ProxyConfig, ProxyError};
use crate::store::{Store, StoreError};

use templates::TemplatesError;
use traffic::ProxyTraffic;

/// Why the daemon did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error("cannot {attempt} in {home}")]
    Home {
        attempt: &'static str,
        home: String,
        #[source]
        source: std::io::Error,
    },
    #[error("another daemon runs for {home}")]
    Locked { home: String },
    #[error("cannot open the store")]
    Store(#[from] StoreError),
    #[error("cannot read the service types")]
    Templates(#[from] TemplatesError),
    #[error("cannot set up the Docker client")]
    Docker(#[from] RuntimeError),
    #[error("cannot start the proxy")]
    Proxy(#[from] ProxyError),
    #[error("cannot start the engine")]
    Engine(#[from] EngineError),
    #[error("port {port} of this home is in use: end what uses it, or choose another with DOTCLOUD_HTTP_PORT")]
    PortInUse { port: u16 },
    #[error("no port from {first} on is free on 127.0.0.1")]
    NoPort { first: u16 },
}

/// Serves until SIGTERM, SIGINT or a shutdown request. The containers stay; the addresses of
/// applications live and die with this process.
///
/// # Errors
/// When another daemon runs for this home, or any part cannot be started.
pub async fn run(home: Home) -> Result<(), DaemonError> {
    home.make_private().map_err(at(&home, "keep files"))?;
    let _lock = lock(&home)?;
    leftovers::clear_uploads(home.dir());
    tokio::spawn(log_file::keep_short(home.log()));
    let shutdown = CancellationToken::new();
    let socket = server::bind_unix(&home).map_err(at(&home, "open the socket"))?;
    let store = Store::open(&home.dir().join("store.db"))?;
    let proxy = Proxy::start(ProxyConfig::default())?;
    let http_port = front::open(&proxy, &store).await?;
    let engine = start_engine(&home, &store, &proxy, http_port).await?;
    let public = serve_with_key(&home, &store, &engine, &shutdown).await?;
    let trusted = server::router(engine, Auth::Trusted, shutdown.clone());
    let private = tokio::spawn(server::serve(trusted, socket, shutdown.clone()));
    tracing::info!(home = %home.dir().display(), http_port, "the daemon is ready");
    wait_for_the_end(&shutdown).await;
    shutdown.cancel();
    // Streams have their grace inside; how they ended is nobody's business any more.
    let _ = tokio::join!(private, public);
    let _ = std::fs::remove_file(home.socket());
    proxy.shutdown().await;
    Ok(())
}

async fn start_engine(home: &Home, store: &Store, proxy: &Proxy, http_port: u16) -> Result<Engine, DaemonError> {
    let home_id = home_id(home.dir());
    let config = DockerConfig { home_id: home_id.clone(), state_dir: home.dir().to_owned() };
    let catalog = templates::load(&home.templates())?;
    let runtime = DockerRuntime::connect_with(config, catalog.clone()).await?;
    let config = EngineConfig { home: home.dir().to_owned(), home_id, http_port };
    let traffic = Arc::new(ProxyTraffic::new(proxy.clone()));
    Ok(Engine::start(config, store.clone(), runtime, traffic, catalog).await?)
}

/// The interface for programs that know the key: the original client, scripts.
async fn serve_with_key(
    home: &Home,
    store: &Store,
    engine: &Engine,
    shutdown: &CancellationToken,
) -> Result<tokio::task::JoinHandle<std::io::Result<()>>, DaemonError> {
    let key = ApiKey::load_or_create(&home.api_key()).map_err(at(home, "read the API key"))?;
    let listener: TcpListener = front::open_api(store).await?;
    let router = server::router(engine.clone(), Auth::Key(key), shutdown.clone());
    Ok(tokio::spawn(server::serve(router, listener, shutdown.clone())))
}

/// One daemon per home, for as long as the file is held.
fn lock(home: &Home) -> Result<File, DaemonError> {
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(home.lock())
        .map_err(at(home, "open the lock file"))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| DaemonError::Locked { home: home.dir().display().to_string() })?;
    // For people: who holds it.
    let noted = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    noted.map_err(at(home, "write the lock file"))?;
    Ok(file)
}

/// Six hexadecimal digits of the folder's true path.
fn home_id(dir: &Path) -> String {
    let path = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let hash = Sha256::digest(path.as_os_str().as_encoded_bytes());
    hash.iter().take(3).map(|byte| format!("{byte:02x}")).collect()
}

async fn wait_for_the_end(shutdown: &CancellationToken) {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = terminated => {}
        interrupted = tokio::signal::ctrl_c() => drop(interrupted),
    }
}

fn at(home: &Home, attempt: &'static str) -> impl FnOnce(std::io::Error) -> DaemonError {
    let home = home.dir().display().to_string();
    move |source| DaemonError::Home { attempt, home, source }
}
