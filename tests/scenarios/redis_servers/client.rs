//! A client that writes all the time, and what it was told.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::processes::{PASSWORD, Told};

/// What the client was told.
#[derive(Default)]
pub struct Writes {
    /// When each master acknowledged its first one since `forget`.
    pub first_by: HashMap<SocketAddr, Instant>,
    pub acknowledged: Vec<u64>,
    /// Those of them that a slave had confirmed (`WAIT 1`).
    pub secured: Vec<u64>,
}

pub struct Client(TcpStream);

impl Client {
    pub async fn connect(addr: SocketAddr) -> std::io::Result<Self> {
        let mut client = Self(TcpStream::connect(addr).await?);
        client.0.set_nodelay(true)?;
        client.ask(&format!("AUTH {PASSWORD}\r\n")).await?;
        Ok(client)
    }

    /// One request in Redis' inline form; the reply as it comes, in one piece for these.
    pub async fn ask(&mut self, request: &str) -> std::io::Result<String> {
        self.0.write_all(request.as_bytes()).await?;
        let mut buffer = [0; 4096];
        let read = self.0.read(&mut buffer).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&buffer[..read]).into_owned())
    }
}

/// Writes through the front without a pause: a session ends when the front is moved.
pub async fn write(mut front: watch::Receiver<Told>, writes: Arc<Mutex<Writes>>) {
    let mut number = 0;
    loop {
        let told = front.borrow_and_update().clone();
        let Told::Open(master, _) = told else {
            if front.changed().await.is_err() {
                return;
            }
            continue;
        };
        tokio::select! {
            () = session(master, &mut number, &writes) => {}
            moved = front.changed() => if moved.is_err() { return },
        }
    }
}

async fn session(master: SocketAddr, number: &mut u64, writes: &Mutex<Writes>) {
    let Ok(mut client) = Client::connect(master).await else { return };
    loop {
        *number += 1;
        if !client.ask(&format!("SET w:{number} 1\r\n")).await.is_ok_and(|reply| reply == "+OK\r\n") {
            return;
        }
        {
            let mut writes = writes.lock().unwrap();
            writes.acknowledged.push(*number);
            writes.first_by.entry(master).or_insert_with(Instant::now);
        }
        let Ok(confirmed) = client.ask("WAIT 1 50\r\n").await else { return };
        if confirmed != ":0\r\n" {
            writes.lock().unwrap().secured.push(*number);
        }
    }
}
