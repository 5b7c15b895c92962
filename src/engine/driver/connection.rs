//! A logged-in connection in whichever protocol the dialect speaks.

use std::io;
use std::net::SocketAddr;

use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::codec::FramedRead;

use crate::failover::dialect::{Dialect, Protocol, Reply, ServerCommand};

use super::amqp::Amqp;
use super::lines::Lines;
use super::mongo::Mongo;
use super::postgres::Postgres;
use super::resp::{Resp, wire};
use super::sql::Sql;

pub(super) enum Connection {
    Resp(FramedRead<TcpStream, Resp>),
    Sql(Box<Sql>),
    Mongo(Mongo),
    Lines(Lines),
    Amqp(Amqp),
    /// Opened anew for every answer: one that is held tells nothing.
    Connect(SocketAddr),
    Postgres(Box<Postgres>),
}

/// Why there is no connection.
pub(super) enum ConnectError {
    Broken,
    /// In the server's words.
    Login(String),
}

impl From<io::Error> for ConnectError {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

impl Connection {
    pub async fn open(addr: SocketAddr, dialect: &dyn Dialect, password: &str) -> Result<Self, ConnectError> {
        Self::open_as(None, addr, dialect, password).await
    }

    /// With another login than the controller's own.
    pub async fn open_as(
        login: Option<&str>,
        addr: SocketAddr,
        dialect: &dyn Dialect,
        password: &str,
    ) -> Result<Self, ConnectError> {
        let mut connection = match dialect.protocol() {
            Protocol::Resp => {
                let stream = TcpStream::connect(addr).await?;
                stream.set_nodelay(true)?;
                Self::Resp(FramedRead::new(stream, Resp))
            }
            Protocol::Sql { user } => Self::Sql(Box::new(Sql::open(addr, login.unwrap_or(user), password).await?)),
            Protocol::Lines { greeting } => Self::Lines(Lines::open(addr, greeting).await?),
            Protocol::Amqp { user } => Self::Amqp(Amqp::open(addr, user, password).await?),
            Protocol::Connect => Self::Connect(addr),
            Protocol::Postgres { user, database } => {
                Self::Postgres(Box::new(Postgres::open(addr, login.unwrap_or(user), database, password).await?))
            }
            // Its client logs in by itself.
            Protocol::Mongo => return Ok(Self::Mongo(Mongo::open(addr, &dialect.login(password)).await?)),
        };
        // What follows the login there is for the controller alone: its writes wait for nobody.
        let sessions_own = matches!(connection, Self::Sql(_) | Self::Postgres(_));
        let words = if login.is_some() && sessions_own { Vec::new() } else { dialect.login(password) };
        let replies = connection.round_trip(&words).await?;
        match replies.into_iter().find(|reply| matches!(reply, Reply::Error(_))) {
            Some(Reply::Error(error)) => Err(ConnectError::Login(error)),
            _ => Ok(connection),
        }
    }

    /// One reply for each command; fewer when one of them is refused and the protocol stops there.
    pub async fn round_trip(&mut self, commands: &[ServerCommand]) -> io::Result<Vec<Reply>> {
        match self {
            Self::Resp(stream) => pipeline(stream, commands).await,
            Self::Sql(sql) => sql.ask(commands).await,
            Self::Lines(lines) => lines.ask(commands).await,
            Self::Amqp(amqp) => amqp.ask(commands).await,
            Self::Connect(_) if commands.is_empty() => Ok(Vec::new()),
            Self::Connect(addr) => TcpStream::connect(*addr).await.map(|_| vec![Reply::Nothing]),
            Self::Postgres(postgres) => postgres.ask(commands).await,
            Self::Mongo(mongo) => mongo.ask(commands).await,
        }
    }
}

/// Sends all commands at once and reads one reply for each.
async fn pipeline(stream: &mut FramedRead<TcpStream, Resp>, commands: &[ServerCommand]) -> io::Result<Vec<Reply>> {
    if commands.is_empty() {
        return Ok(Vec::new());
    }
    stream.get_mut().write_all(&wire(commands)).await?;
    let mut replies = Vec::with_capacity(commands.len());
    for _ in commands {
        replies.push(stream.next().await.ok_or(io::ErrorKind::UnexpectedEof)??);
    }
    Ok(replies)
}
