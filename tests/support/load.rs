//! Many connections that mix reads and writes, quick and slow ones, and remember everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dotcloud_local::cli::race::connection::{Connection, Target};
use http::Method;

use super::platform::Web;

/// Longer than the proxy's own patience with an instance.
const PATIENCE: Duration = Duration::from_secs(70);

/// The mix of the acceptance test: half POST, one request in ten slow.
#[derive(Debug, Clone, Copy)]
pub struct Mix {
    pub connections: usize,
    /// One in this many requests is slow.
    pub slow_every: u64,
    pub slow_seconds: u32,
}

/// One request that was sent.
#[derive(Debug, Clone)]
pub struct Sample {
    pub id: String,
    pub write: bool,
    pub slow: bool,
    pub started: Instant,
    pub ended: Instant,
    /// Who answered; `Err` says why it failed.
    pub result: Result<String, String>,
}

/// A load that runs until it is stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    thread: JoinHandle<Vec<Sample>>,
}

impl Load {
    pub fn start(web: &Web, mix: Mix) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let target = Target { addr: web.addr, host: web.host.clone() };
        let client = Client { target, mix, stop: Arc::clone(&stop), done: Arc::clone(&done) };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(client.run_all())
        });
        Self { stop, done, thread }
    }

    /// Requests that are over, well or badly.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Lets every connection finish its request; everything that was sent.
    pub fn stop(self) -> Vec<Sample> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

#[derive(Clone)]
struct Client {
    target: Target,
    mix: Mix,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

impl Client {
    async fn run_all(self) -> Vec<Sample> {
        let clients = (0..self.mix.connections).map(|number| tokio::spawn(self.clone().run(number as u64)));
        let clients: Vec<_> = clients.collect();
        let mut samples = Vec::new();
        for client in clients {
            samples.extend(client.await.unwrap());
        }
        samples
    }

    async fn run(self, number: u64) -> Vec<Sample> {
        let mut connection = Connection::new(&self.target);
        let mut samples = Vec::new();
        // The offset spreads the slow requests over the connections.
        let mut turn = number;
        while !self.stop.load(Ordering::Relaxed) {
            samples.push(self.one(&mut connection, number, turn).await);
            self.done.fetch_add(1, Ordering::Relaxed);
            turn += 1;
        }
        samples
    }

    async fn one(&self, connection: &mut Connection, number: u64, turn: u64) -> Sample {
        let slow = turn.is_multiple_of(self.mix.slow_every);
        // Alternates within quick and slow requests alike.
        let write = (turn + turn / self.mix.slow_every).is_multiple_of(2);
        let id = format!("c{number}-{turn}");
        let path = match (slow, write) {
            (true, _) => format!("/slow?s={}&log=1", self.mix.slow_seconds),
            (false, true) => "/atomic?log=1".to_owned(),
            (false, false) => "/value".to_owned(),
        };
        let method = if write { Method::POST } else { Method::GET };
        let sent_id = if write { id.as_str() } else { "" };
        let started = Instant::now();
        let result = match tokio::time::timeout(PATIENCE, connection.send(method, &path, sent_id)).await {
            Ok(Ok(answer)) if answer.status.is_success() => {
                Ok(answer.answered_by().map_or_else(String::new, |who| who.instance))
            }
            Ok(Ok(answer)) => Err(format!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body))),
            Ok(Err(failure)) => Err(format!("{failure:?}")),
            Err(_) => Err(format!("no answer within {PATIENCE:?}")),
        };
        if result.is_err() {
            connection.close();
        }
        Sample { id, write, slow, started, ended: Instant::now(), result }
    }
}

/// The failed ones, for messages.
pub fn failures(samples: &[Sample]) -> Vec<String> {
    let failed = samples.iter().filter_map(|sample| sample.result.as_ref().err().map(|why| (sample, why)));
    failed
        .map(|(sample, why)| format!("{} ({}): {why}", sample.id, if sample.write { "POST" } else { "GET" }))
        .collect()
}
