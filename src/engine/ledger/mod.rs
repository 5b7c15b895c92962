//! Ledgers: numbered writes through a service's stable address, as an application makes them,
//! that are all looked for at the end. What was acknowledged and is not there is lost.
//!
//! The engine keeps them because it alone speaks the databases' protocols. A ledger ends when its
//! time is over, when it is asked to, or when whoever wanted it no longer listens; it is read and
//! removed in every case, and its counts go into the receipts of the failovers it lived through.

mod book;
mod client;
mod entries;
mod place;
mod report;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::failover::dialect::LedgerStep;
use crate::model::{AppName, ServiceName};

use super::app::App;
use super::handle::{Engine, EngineError, Result};
use super::inner::Inner;
use client::Client;
use place::Place;
pub use report::{Ended, LedgerNews, LedgerReport, Outage};

/// How long a service that has no master now is waited for, at the beginning and at the end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Clients at most.
const MOST_WRITERS: u16 = 64;
/// News that may wait for a slow listener.
const BACKLOG: usize = 64;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct LedgerWish {
    pub lasts: Duration,
    /// Clients that write at the same time, one entry after the other each.
    pub writers: u16,
}

/// The ledgers of one application that are being kept: at most one in each service.
#[derive(Default)]
pub struct Running(Mutex<BTreeMap<ServiceName, CancellationToken>>);

/// Frees the service for another ledger, however this one ends.
struct Turn {
    app: Arc<App>,
    service: ServiceName,
}

/// One ledger from its beginning to its end.
struct Run {
    inner: Arc<Inner>,
    turn: Turn,
    client: Client,
    wish: LedgerWish,
}

impl Engine {
    /// Begins a ledger; the last news is its report, or why there is none. It ends early when the
    /// receiver is dropped.
    ///
    /// # Errors
    /// `Invalid` when the service cannot keep one, `Conflict` while it keeps another.
    pub async fn ledger(
        &self,
        app: &AppName,
        service: &ServiceName,
        wish: LedgerWish,
    ) -> Result<mpsc::Receiver<LedgerNews>> {
        if !(1..=MOST_WRITERS).contains(&wish.writers) || wish.lasts.is_zero() {
            let text = format!("A ledger has 1 to {MOST_WRITERS} writers and lasts longer than nothing.");
            return Err(EngineError::Invalid(text));
        }
        let app = self.seen_app(app).await?;
        let place = Arc::new(Place::of(self.inner(), &app, service)?);
        let busy = || EngineError::Conflict(format!("A ledger is being kept in {service} already: let it end first."));
        let stop = app.ledgers.begin(service).ok_or_else(busy)?;
        let (news, receiver) = mpsc::channel(BACKLOG);
        let client = Client { place, book: Arc::default(), began: Instant::now(), stop, news };
        let turn = Turn { app, service: service.clone() };
        tokio::spawn(Run { inner: self.inner().clone(), turn, client, wish }.keep());
        Ok(receiver)
    }

    /// Lets a ledger end now; its report goes to whoever began it.
    ///
    /// # Errors
    /// `NotFound` when none is being kept there.
    pub fn end_ledger(&self, app: &AppName, service: &ServiceName) -> Result<()> {
        let none = || EngineError::NotFound(format!("No ledger is being kept in {service}."));
        self.inner().app(app)?.ledgers.lock().get(service).ok_or_else(none)?.cancel();
        Ok(())
    }
}

impl Running {
    fn begin(&self, service: &ServiceName) -> Option<CancellationToken> {
        let mut running = self.lock();
        if running.contains_key(service) {
            return None;
        }
        let stop = CancellationToken::new();
        running.insert(service.clone(), stop.clone());
        Some(stop)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ServiceName, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.app.ledgers.lock().remove(&self.service);
    }
}

impl Run {
    async fn keep(mut self) {
        let news = self.client.news.clone();
        let last = match self.conclude().await {
            Ok(report) => LedgerNews::Report(Box::new(report)),
            Err(why) => LedgerNews::Failed { why },
        };
        // The service is free before the end is told: another ledger may follow at once.
        drop(self.turn);
        let _ = news.send(last).await;
    }

    async fn conclude(&mut self) -> std::result::Result<LedgerReport, String> {
        let place = self.client.place.clone();
        let service = self.turn.service.clone();
        self.begin(&place).await.map_err(|why| format!("cannot begin a ledger in {service}: {why}"))?;
        self.client.began = Instant::now();
        self.write().await;
        let lasted = self.client.began.elapsed();
        let _ = self.client.news.try_send(LedgerNews::Reading);
        let left = "its entries stay until the next ledger begins";
        let read = place.perform(LedgerStep::Read, PATIENCE).await;
        let (answers, end) = read.map_err(|error| format!("cannot read the ledger in {service}: {error}; {left}"))?;
        let book = std::mem::take(&mut *self.client.book.lock().unwrap_or_else(PoisonError::into_inner));
        let (full, given) = (book.is_full(), book.given());
        let report = book.close(&entries::in_answers(&answers, given)).report(lasted, full, end);
        self.record(&report).await;
        if let Err(error) = place.perform(LedgerStep::Remove, PATIENCE).await {
            tracing::warn!(%error, %service, "a ledger could not be removed; {left}");
        }
        Ok(report)
    }

    /// Waits for a master, unless nobody wants the ledger any more.
    async fn begin(&self, place: &Place) -> std::result::Result<(), String> {
        tokio::select! {
            created = place.perform(LedgerStep::Create, PATIENCE) => created.map(drop).map_err(|error| error.to_string()),
            () = self.client.stop.cancelled() => Err("it was ended first".to_owned()),
            () = self.client.news.closed() => Err("nobody listens".to_owned()),
        }
    }

    /// Until the time is over, nobody listens, or no number is left.
    async fn write(&self) {
        let mut clients = JoinSet::new();
        for _ in 0..self.wish.writers {
            clients.spawn(self.client.clone().run());
        }
        tokio::select! {
            () = tokio::time::sleep(self.wish.lasts) => {}
            () = self.client.stop.cancelled() => {}
            () = self.client.news.closed() => {}
            () = self.tell_progress() => {}
        }
        self.client.stop.cancel();
        clients.join_all().await;
    }

    /// Does not end.
    async fn tell_progress(&self) {
        let mut before = 0;
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.tick().await;
        loop {
            second.tick().await;
            let acknowledged = self.client.book.lock().unwrap_or_else(PoisonError::into_inner).acknowledged();
            let per_second = acknowledged - before;
            let _ = self.client.news.try_send(LedgerNews::Progress { acknowledged, per_second });
            before = acknowledged;
        }
    }

    /// Puts the counts where the receipts are, and the whole into the list of what happened.
    async fn record(&self, report: &LedgerReport) {
        let (app, service) = (&self.turn.app.name, &self.turn.service);
        if let Err(error) = self.inner.store.save_counts(app, service, &report.filed()).await {
            tracing::warn!(%error, %service, "what a ledger counted is missing from the receipts");
        }
        let details = [
            ("service", service.to_string()),
            ("acknowledged", report.acknowledged.to_string()),
            ("lost", report.lost.to_string()),
        ];
        self.inner.record_activity(app, "service", "ledger", &details).await;
    }
}
