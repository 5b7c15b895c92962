//! Last words to a client: they must arrive before the connection is closed.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::model::Refusal;

/// How long a client may take to say what it wants, and again to read what it was told.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells a client that is turned away why.
pub(super) async fn say(mut client: TcpStream, refusal: &Refusal) {
    if refusal.words.is_empty() {
        return;
    }
    // Who says nothing in time is told as well.
    let _ = timeout(PATIENCE, answer(&mut client, &refusal.questions)).await;
    if matches!(timeout(PATIENCE, client.write_all(&refusal.words)).await, Ok(Ok(()))) {
        linger(&mut client).await;
    }
}

/// Answers what the client asks until it begins to say something else.
async fn answer(client: &mut TcpStream, questions: &[(Vec<u8>, Vec<u8>)]) -> io::Result<()> {
    let mut heard = Vec::new();
    while questions.iter().any(|(question, _)| question.starts_with(&heard)) {
        heard.push(client.read_u8().await?);
        if let Some((_, answer)) = questions.iter().find(|(question, _)| *question == heard) {
            client.write_all(answer).await?;
            heard.clear();
        }
    }
    Ok(())
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
    let _ = timeout(PATIENCE, closed).await;
}
