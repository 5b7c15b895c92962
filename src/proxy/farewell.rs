//! Last words to a client: they must arrive before the connection is closed.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a client may take to read what it was told.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells a client that is turned away why.
pub(super) async fn say(mut client: TcpStream, words: &[u8]) {
    if !words.is_empty() && matches!(tokio::time::timeout(PATIENCE, client.write_all(words)).await, Ok(Ok(()))) {
        linger(&mut client).await;
    }
}

/// Closes our half and waits until the client has closed its own, reading over what it still
/// says: closing with unread bytes would reset the connection, and a reset overtakes what the
/// client has not read yet.
pub(super) async fn linger(client: &mut TcpStream) {
    let mut unread = [0; 4096];
    let closed = async {
        if client.shutdown().await.is_ok() {
            while matches!(client.read(&mut unread).await, Ok(1..)) {}
        }
    };
    // Who does not close in time has had time to read.
    let _ = tokio::time::timeout(PATIENCE, closed).await;
}
