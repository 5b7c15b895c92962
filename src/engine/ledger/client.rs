//! One client of a ledger: an application that reconnects and remembers what it was promised.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::failover::dialect::LedgerStep;

use super::book::{Book, Seat};
use super::place::{PATIENCE, Place};
use super::report::LedgerNews;
use crate::engine::driver::{Session, SessionError};

/// Between two attempts when the first was of no use.
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Clone)]
pub(super) struct Client {
    pub place: Arc<Place>,
    pub book: Arc<Mutex<Book>>,
    pub began: Instant,
    pub stop: CancellationToken,
    pub news: mpsc::Sender<LedgerNews>,
}

impl Client {
    /// Writes until it is stopped or no number is left.
    pub async fn run(self) {
        while !self.stop.is_cancelled() {
            let opened = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                opened = self.place.session() => opened,
            };
            let useful = match opened {
                Ok((session, epoch)) => {
                    let seat = self.book().join(epoch);
                    self.write(session, seat).await
                }
                Err(error) => {
                    self.interrupted(&error);
                    false
                }
            };
            if !useful {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// One write after the other, until one is not acknowledged. Whether any was.
    async fn write(&self, mut session: Session, seat: Seat) -> bool {
        let mut any = false;
        while !self.stop.is_cancelled() {
            let Some(number) = self.book().next() else {
                self.stop.cancel();
                break;
            };
            let words = self.place.words(LedgerStep::Write(number.into()));
            let answer = session.ask(&words, PATIENCE).await;
            let now = self.began.elapsed();
            match answer {
                Ok(_) => {
                    any = true;
                    let over = self.book().acknowledge(seat, number, now);
                    over.into_iter().for_each(|outage| self.tell(LedgerNews::Resumed(outage)));
                }
                Err(error) => {
                    if matches!(error, SessionError::Refused(_)) {
                        self.book().refuse();
                    }
                    self.interrupted(&error);
                    break;
                }
            }
        }
        any
    }

    fn interrupted(&self, error: &SessionError) {
        if !self.stop.is_cancelled() && self.book().interrupt() {
            self.tell(LedgerNews::Interrupted { why: error.to_string() });
        }
    }

    /// Whoever does not listen misses something, and finds it in the report.
    fn tell(&self, news: LedgerNews) {
        let _ = self.news.try_send(news);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
