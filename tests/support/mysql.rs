//! MySQL spoken by the real client, one statement at a time, nothing repeated.

use std::net::SocketAddr;
use std::time::Duration;

use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, Error, OptsBuilder};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// A connection, logged in as applications are.
pub struct MySql {
    runtime: Runtime,
    connection: Conn,
    patience: Duration,
}

impl MySql {
    pub fn connect(addr: SocketAddr, password: &str, patience: Duration) -> Result<Self, String> {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let options = OptsBuilder::default()
            .ip_or_hostname(addr.ip().to_string())
            .tcp_port(addr.port())
            .user(Some("root"))
            .pass(Some(password))
            .prefer_socket(false);
        let connecting = async { timeout(patience, Conn::new(options)).await };
        let connection = runtime.block_on(connecting).map_err(|_| "no answer".to_owned())?;
        Ok(Self { connection: connection.map_err(|error| error.to_string())?, runtime, patience })
    }

    /// Runs a statement; the server's words when it is refused.
    pub fn call(&mut self, statement: &str) -> Result<(), String> {
        self.rows::<mysql_async::Row>(statement).map(drop)
    }

    pub fn rows<T: FromRow + Send + 'static>(&mut self, statement: &str) -> Result<Vec<T>, String> {
        let asked = async { timeout(self.patience, self.connection.query::<T, _>(statement)).await };
        let answer: Result<Result<Vec<T>, Error>, _> = self.runtime.block_on(asked);
        answer.map_err(|_| "no answer".to_owned())?.map_err(|error| error.to_string())
    }
}
