//! Asks every instance at its own address until all have changed for good.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::page::ask;
use super::support::pause;

/// Between two questions to one instance.
const EVERY: Duration = Duration::from_millis(10);
/// So many new answers in a row, without an old one or a failure, are the end of the old code.
const RUN: usize = 10;
const PATIENCE: Duration = Duration::from_secs(60);

/// When the last of the instances began to answer `text` and nothing else. `address` tells where
/// an instance answers; it is asked again when one does not.
pub fn everywhere(instances: usize, text: &str, address: &(dyn Fn(usize) -> SocketAddr + Sync)) -> Instant {
    std::thread::scope(|scope| {
        let watched = (0..instances).map(|instance| scope.spawn(move || one(instance, text, address)));
        let watched: Vec<_> = watched.collect();
        watched.into_iter().map(|instance| instance.join().unwrap()).max().unwrap()
    })
}

fn one(instance: usize, text: &str, address: &(dyn Fn(usize) -> SocketAddr + Sync)) -> Instant {
    let (started, mut addr, mut since, mut run) = (Instant::now(), address(instance), None, 0);
    while started.elapsed() < PATIENCE {
        match ask(addr, "instance") {
            Ok(page) if page.contains(text) => {
                since.get_or_insert_with(Instant::now);
                run += 1;
            }
            answer => {
                (since, run) = (None, 0);
                if answer.is_err() {
                    addr = address(instance);
                }
            }
        }
        if let (Some(since), RUN) = (since, run) {
            return since;
        }
        pause(EVERY);
    }
    panic!("instance {instance} at {addr} does not answer {text:?} within {PATIENCE:?}");
}
