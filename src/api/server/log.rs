//! What the application's instances print.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde::Deserialize;

use super::Api;
use super::convert;
use super::extract::{AppPath, Ask, At, flag};
use super::respond::Answer;
use super::stream::{log_stream, wire_time};
use crate::engine::view::LogWish;

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/applications/{app}/logs", get(logs))
}

#[derive(Deserialize)]
struct LogQuery {
    follow: Option<String>,
    lines: Option<u32>,
    #[serde(default)]
    filter: String,
    /// RFC 3339: nothing older.
    since: Option<jiff::Timestamp>,
}

async fn logs(State(api): State<Api>, At(at): At<AppPath>, Ask(asked): Ask<LogQuery>) -> Answer {
    let filter = asked.filter.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let follow = flag(asked.follow.as_deref());
    let wish = LogWish { filter, lines: asked.lines, since: asked.since, follow };
    let lines = api.engine.logs(&at.app, wish).await?;
    let meta = serde_json::json!({ "application": at.app });
    Ok(log_stream(&api.shutdown, &meta, lines, |line| {
        let mut record = convert::log_record(line);
        record.created_at = record.created_at.and_then(|at| wire_time(&at));
        record
    }))
}
