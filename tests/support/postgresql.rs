//! PostgreSQL spoken by the real client, one statement at a time, nothing repeated.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};

/// A connection to `template1`, logged in as applications are.
pub struct PostgreSql {
    runtime: Runtime,
    client: Client,
    patience: Duration,
}

impl PostgreSql {
    pub fn connect(addr: SocketAddr, password: &str, patience: Duration) -> Result<Self, String> {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let mut config = Config::new();
        config.host(addr.ip().to_string()).port(addr.port()).user("root").dbname("template1").password(password);
        let connecting = runtime.block_on(async { timeout(patience, config.connect(NoTls)).await });
        let (client, connection) = connecting.map_err(|_| "no answer".to_owned())?.map_err(words)?;
        runtime.spawn(async move { drop(connection.await) });
        Ok(Self { runtime, client, patience })
    }

    /// Runs a statement; the server's words when it is refused.
    pub fn call(&mut self, statement: &str) -> Result<(), String> {
        self.rows(statement).map(drop)
    }

    /// The first column, as text.
    pub fn rows(&mut self, statement: &str) -> Result<Vec<String>, String> {
        let asked = async { timeout(self.patience, self.client.simple_query(statement)).await };
        let answer = self.runtime.block_on(asked).map_err(|_| "no answer".to_owned())?.map_err(words)?;
        let rows = answer.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
            _ => None,
        });
        Ok(rows.collect())
    }
}

fn words(error: Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |refused| refused.message().to_owned())
}
