//! One client in a reconnect loop that remembers what it was promised.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::redis::{Redis, Reply};

/// A parked connection waits this long before the next is tried.
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Writer {
    state: Arc<State>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    stop: AtomicBool,
    ledger: Mutex<Ledger>,
}

#[derive(Default)]
struct Ledger {
    acknowledged: Vec<usize>,
    /// For each connection that had a write acknowledged: when it was asked for, when the first
    /// acknowledgement came.
    connections: Vec<(Instant, Instant)>,
}

impl Writer {
    pub fn start(address: SocketAddr, password: String, key: String) -> Self {
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || write(&shared, address, &password, &key));
        Self { state, thread }
    }

    pub fn acknowledged(&self) -> usize {
        self.state.ledger.lock().unwrap().acknowledged.len()
    }

    /// When the first write was acknowledged on a connection that was asked for after `moment`.
    pub fn first_on_connection_after(&self, moment: Instant) -> Option<Instant> {
        let ledger = self.state.ledger.lock().unwrap();
        let later = ledger.connections.iter().find(|(asked, _)| *asked >= moment);
        later.map(|(_, first)| *first)
    }

    /// Ends the loop; the numbers of all acknowledged writes.
    pub fn stop(self) -> Vec<usize> {
        self.state.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        std::mem::take(&mut self.state.ledger.lock().unwrap().acknowledged)
    }
}

fn write(state: &State, address: SocketAddr, password: &str, key: &str) {
    let mut number = 0;
    while !state.stop.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let Ok(mut redis) = Redis::connect(address, password, PATIENCE) else { continue };
        let mut first = true;
        while !state.stop.load(Ordering::Relaxed) {
            let bit = number.to_string();
            let reply = redis.call(&["SETBIT", key, &bit, "1"]);
            // A number is never used twice: without an answer nobody knows whether it was written.
            number += 1;
            if !matches!(reply, Ok(Reply::Text(_))) {
                break;
            }
            let mut ledger = state.ledger.lock().unwrap();
            ledger.acknowledged.push(number - 1);
            if std::mem::take(&mut first) {
                ledger.connections.push((asked, Instant::now()));
            }
        }
    }
}
