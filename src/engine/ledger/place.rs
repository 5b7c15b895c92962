//! Where a ledger is kept: in one service, reached as an application reaches it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::app::App;
use crate::engine::driver::{Session, SessionError};
use crate::engine::handle::EngineError;
use crate::engine::inner::Inner;
use crate::failover::dialect::{self, Dialect, LedgerStep, Reply, ServerCommand};
use crate::model::{Epoch, ServiceName};

/// How long a connection and a write may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// The table or key. There is one ledger at a time in a service, so that one which a killed
/// daemon left behind is in the way of the next, and removed by it.
const NAME: &str = "dotcloud_ledger";
const RETRY: Duration = Duration::from_millis(100);

pub(super) struct Place {
    app: Arc<App>,
    service: ServiceName,
    front: SocketAddr,
    dialect: &'static dyn Dialect,
    login: String,
    password: String,
}

impl Place {
    /// # Errors
    /// When the service does not exist, is down, or takes no numbered entries.
    pub fn of(inner: &Inner, app: &Arc<App>, service: &ServiceName) -> Result<Self, EngineError> {
        let record = app.record();
        let missing = || EngineError::NotFound(format!("The service \"{service}\" does not exist."));
        let known = record.service(service).filter(|known| !known.doomed).ok_or_else(missing)?;
        let data = inner.catalog.get(&known.type_name).and_then(|kind| kind.data.as_ref());
        let dialect = data.and_then(|data| data.replication.as_deref()).and_then(dialect::of);
        let writes = |dialect: &&dyn Dialect| !dialect.ledger(NAME, LedgerStep::Write(0)).is_empty();
        let (Some(data), Some(dialect)) = (data, dialect.filter(writes)) else {
            let text = format!(
                "No ledger can be kept in \"{service}\": type {} does not replicate, or takes no entries.",
                known.type_name
            );
            return Err(EngineError::Invalid(text));
        };
        let Some(port) = known.front_port.filter(|_| record.up && !record.doomed) else {
            return Err(EngineError::Invalid(format!("The service \"{service}\" is down: `dotcloud up` starts it.")));
        };
        Ok(Self {
            app: app.clone(),
            service: service.clone(),
            front: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            dialect,
            login: data.login.clone(),
            password: known.password.clone().unwrap_or_default(),
        })
    }

    pub fn words(&self, step: LedgerStep) -> Vec<ServerCommand> {
        self.dialect.ledger(NAME, step)
    }

    /// A connection, and whose it is. The epoch is asked for after the login was answered and
    /// before anything is written: were it newer than the connection, the connection would be cut.
    pub async fn session(&self) -> Result<(Session, Option<Epoch>), SessionError> {
        let session = Session::open(&self.login, self.front, self.dialect, &self.password, PATIENCE).await?;
        let epoch = self.app.groups.status(&self.service).await.and_then(|status| status.epoch);
        Ok((session, epoch))
    }

    /// Carries a step out that may be repeated, until it succeeds; the last failure when the limit
    /// has passed. The answers, and the number of the epoch that gave them.
    pub async fn perform(&self, step: LedgerStep, limit: Duration) -> Result<(Vec<Reply>, u64), SessionError> {
        let deadline = Instant::now() + limit;
        loop {
            match self.attempt(step, limit).await {
                Err(_) if Instant::now() < deadline => tokio::time::sleep(RETRY).await,
                outcome => return outcome,
            }
        }
    }

    async fn attempt(&self, step: LedgerStep, patience: Duration) -> Result<(Vec<Reply>, u64), SessionError> {
        let (mut session, epoch) = self.session().await?;
        if step == LedgerStep::Create {
            match session.ask(&self.words(LedgerStep::Remove), patience).await {
                // What is not there cannot be removed everywhere without a complaint.
                Ok(_) | Err(SessionError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let replies = session.ask(&self.words(step), patience).await?;
        Ok((replies, epoch.map_or(0, |epoch| epoch.number)))
    }
}
