//! A constant load: every client asks, waits a little, and asks again. What failed is counted.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::page::ask;
use super::support::pause;

const CLIENTS: usize = 4;
/// Of each client, between two requests.
const EVERY: Duration = Duration::from_millis(20);

/// Where requests go in turns; may change meanwhile.
pub type Addresses = Arc<Mutex<Vec<SocketAddr>>>;

/// A load that runs until it is stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Counted>>,
}

/// What was sent.
#[derive(Debug, Default)]
pub struct Counted {
    pub requests: u64,
    /// Why each failed one did.
    pub failed: Vec<String>,
}

impl Load {
    pub fn start(addresses: &Addresses, host: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |number| {
            let (stop, addresses, host) = (Arc::clone(&stop), Arc::clone(addresses), host.to_owned());
            std::thread::spawn(move || run(number, &stop, &addresses, &host))
        };
        Self { clients: (0..CLIENTS).map(client).collect(), stop }
    }

    pub fn stop(self) -> Counted {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Counted::default();
        for client in self.clients {
            let counted = client.join().unwrap();
            all.requests += counted.requests;
            all.failed.extend(counted.failed);
        }
        all
    }
}

fn run(number: usize, stop: &AtomicBool, addresses: &Addresses, host: &str) -> Counted {
    let mut counted = Counted::default();
    for turn in number.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let addr = {
            let addresses = addresses.lock().unwrap();
            addresses[turn % addresses.len()]
        };
        counted.requests += 1;
        counted.failed.extend(ask(addr, host).err().map(|error| error.to_string()));
        pause(EVERY);
    }
    counted
}
