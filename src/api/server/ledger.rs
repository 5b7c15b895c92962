//! Ledgers of acknowledged writes.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use futures_util::{StreamExt, stream};

use super::Api;
use super::extract::{At, ServicePath, Told};
use super::respond::{Answer, done};
use super::stream::respond;
use crate::api::types;
use crate::engine::ledger::{Ended, LedgerNews, LedgerReport, LedgerWish, Outage};

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/applications/{app}/services/{service}/ledger", post(keep).delete(end))
}

async fn keep(State(api): State<Api>, At(at): At<ServicePath>, Told(wanted): Told<types::LedgerRequest>) -> Answer {
    let wish = LedgerWish { lasts: Duration::from_millis(wanted.lasts_ms), writers: wanted.writers };
    let mut news = api.engine.ledger(&at.app, &at.service, wish).await?;
    let meta = serde_json::json!({ "application": at.app, "service": at.service });
    let news = stream::poll_fn(move |context| news.poll_recv(context));
    Ok(respond(&api.shutdown, &meta, news.map(event)))
}

async fn end(State(api): State<Api>, At(at): At<ServicePath>) -> Answer {
    api.engine.end_ledger(&at.app, &at.service)?;
    Ok(done())
}

fn event(news: LedgerNews) -> types::LedgerEvent {
    match news {
        LedgerNews::Progress { acknowledged, per_second } => types::LedgerEvent::Progress { acknowledged, per_second },
        LedgerNews::Interrupted { why } => types::LedgerEvent::Interrupted { why },
        LedgerNews::Resumed(of) => types::LedgerEvent::Resumed(outage(of)),
        LedgerNews::Reading => types::LedgerEvent::Reading,
        LedgerNews::Report(of) => types::LedgerEvent::Report(report(*of)),
        LedgerNews::Failed { why } => types::LedgerEvent::Failed { why },
    }
}

fn outage(of: Outage) -> types::LedgerOutage {
    types::LedgerOutage {
        began_ms: milliseconds(of.began),
        lasted_ms: of.lasted.map(milliseconds),
        epoch: of.to.map(|epoch| epoch.number),
        master: of.to.map(|epoch| epoch.master),
    }
}

fn report(of: LedgerReport) -> types::LedgerReport {
    let run = |(first, last)| if first == last { format!("{first}") } else { format!("{first}-{last}") };
    let failover =
        |ended: Ended| types::LedgerFailover { epoch: ended.next, writes: super::convert::counted(ended.writes) };
    types::LedgerReport {
        lasted_ms: milliseconds(of.lasted),
        written: of.written,
        acknowledged: of.acknowledged,
        refused: of.refused,
        unanswered: of.unanswered,
        present: of.present,
        lost: of.lost,
        lost_numbers: of.lost_numbers.into_iter().map(run).collect(),
        full: of.full,
        outages: of.outages.into_iter().map(outage).collect(),
        outages_in_all: of.outages_in_all,
        failovers: of.failovers.into_iter().map(failover).collect(),
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
