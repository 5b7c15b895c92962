//! Which instances answer. A running instance is probed until it answers for the first time; from then on the proxy notices failures and Docker's events notice deaths.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::app::App;
use super::runtime::{ExecOutput, ExecSpec, Runtime, RuntimeError};

/// Between two probes of an instance that does not answer yet.
const INTERVAL: Duration = Duration::from_millis(20);
/// An instance that takes a probe and keeps silent is asked again after this.
const PATIENCE: Duration = Duration::from_secs(3);

/// An instance to be probed: a container, as it was started (a restart is a new incarnation).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incarnation {
    pub container: String,
    pub pid: Option<u32>,
}

/// What an instance must have answered to be ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Whether its programs were started: it is through its `postinstall` and has its `~/data`.
    Started { container: String },
    /// A request, with any status but 502 and 504.
    Http(SocketAddr),
    /// A connection.
    Tcp(SocketAddr),
}

#[derive(Default)]
pub struct Health {
    probes: Mutex<BTreeMap<Incarnation, Probe>>,
}

enum Probe {
    Running(AbortHandle),
    Answered,
}

impl Health {
    /// Probes what is new, forgets what is gone; returns the containers that answered.
    pub fn track(
        &self,
        app: &Arc<App>,
        runtime: &Arc<dyn Runtime>,
        wanted: BTreeMap<Incarnation, Vec<Question>>,
    ) -> BTreeSet<String> {
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        probes.retain(|incarnation, probe| {
            let keep = wanted.contains_key(incarnation);
            if let (false, Probe::Running(task)) = (keep, &*probe) {
                task.abort();
            }
            keep
        });
        for (incarnation, questions) in wanted {
            let probe = || Probe::Running(spawn(app.clone(), runtime.clone(), incarnation.clone(), questions));
            probes.entry(incarnation.clone()).or_insert_with(probe);
        }
        let answered = |(incarnation, probe): (&Incarnation, &Probe)| {
            matches!(probe, Probe::Answered).then(|| incarnation.container.clone())
        };
        probes.iter().filter_map(answered).collect()
    }

    fn answered(&self, incarnation: &Incarnation) {
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(probe) = probes.get_mut(incarnation) {
            *probe = Probe::Answered;
        }
    }
}

fn spawn(app: Arc<App>, runtime: Arc<dyn Runtime>, incarnation: Incarnation, questions: Vec<Question>) -> AbortHandle {
    let probing = async move {
        for question in questions {
            while !question.is_answered(&*runtime).await {
                tokio::time::sleep(INTERVAL).await;
            }
        }
        app.health.answered(&incarnation);
        app.wake();
    };
    tokio::spawn(probing).abort_handle()
}

impl Question {
    async fn is_answered(&self, runtime: &dyn Runtime) -> bool {
        match self {
            Self::Started { container } => has_started(runtime, container).await.unwrap_or(false),
            Self::Http(addr) => is_responsive(*addr).await,
            Self::Tcp(addr) => matches!(tokio::time::timeout(PATIENCE, TcpStream::connect(addr)).await, Ok(Ok(_))),
        }
    }
}

/// Waits within the container, as long as it takes: to ask again and again would cost more.
async fn has_started(runtime: &dyn Runtime, container: &str) -> Result<bool, RuntimeError> {
    const WAIT: &str = "until [ -e /var/dotcloud/started ]; do sleep 0.05; done";
    let spec = ExecSpec { command: ["sh", "-c", WAIT].map(str::to_owned).into(), ..ExecSpec::default() };
    let mut session = runtime.exec(container, &spec).await?;
    while let Some(output) = session.output.recv().await {
        if let ExecOutput::Exit(code) = output? {
            return Ok(code == 0);
        }
    }
    Ok(false)
}

/// True for any answer but those of a front whose application does not answer (502, 504).
async fn is_responsive(addr: SocketAddr) -> bool {
    matches!(tokio::time::timeout(PATIENCE, status_of(addr)).await, Ok(Ok(status)) if !matches!(status, 502 | 504))
}

/// The status of `HEAD /CloudHealthCheck`, the path the original router probed.
async fn status_of(addr: SocketAddr) -> std::io::Result<u16> {
    const REQUEST: &[u8] =
        b"HEAD /CloudHealthCheck HTTP/1.1\r\nHost: localhost\r\nUser-Agent: dotcloud-local\r\nConnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(REQUEST).await?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await?;
    let status = head.strip_prefix(b"HTTP/1.").and_then(|rest| std::str::from_utf8(rest.get(2..5)?).ok()?.parse().ok());
    status.ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}
