//! Protocols of text lines, as memcached and SMTP speak: as much as watching needs.

use std::io;
use std::net::SocketAddr;

use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::codec::{FramedRead, LinesCodec};

use crate::failover::dialect::{Reply, ServerCommand};

use super::connection::ConnectError;

/// A line longer than this is no answer to our questions.
const LONGEST: usize = 4096;

pub(super) struct Lines(FramedRead<TcpStream, LinesCodec>);

impl Lines {
    pub async fn open(addr: SocketAddr, greeting: Option<&str>) -> Result<Self, ConnectError> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let mut lines = Self(FramedRead::new(stream, LinesCodec::new_with_max_length(LONGEST)));
        if let Some(greeting) = greeting {
            let said = lines.line().await?;
            if !said.starts_with(greeting) {
                return Err(ConnectError::Login(said));
            }
        }
        Ok(lines)
    }

    pub async fn ask(&mut self, commands: &[ServerCommand]) -> io::Result<Vec<Reply>> {
        let mut replies = Vec::with_capacity(commands.len());
        for ServerCommand(words) in commands {
            self.0.get_mut().write_all(format!("{}\r\n", words.join(" ")).as_bytes()).await?;
            replies.push(Reply::Text(self.line().await?));
        }
        Ok(replies)
    }

    async fn line(&mut self) -> io::Result<String> {
        let line = self.0.next().await.ok_or(io::ErrorKind::UnexpectedEof)?;
        line.map_err(io::Error::other)
    }
}
