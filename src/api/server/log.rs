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

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/applications/{app}/logs", get(logs))
}

#[derive(Deserialize)]
struct LogQuery {
    follow: Option<String>,
    lines: Option<u32>,
    #[serde(default)]
    filter: String,
}

async fn logs(State(api): State<Api>, At(at): At<AppPath>, Ask(asked): Ask<LogQuery>) -> Answer {
    let filter = asked.filter.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let lines = api.engine.logs(&at.app, filter, asked.lines, flag(asked.follow.as_deref())).await?;
    let meta = serde_json::json!({ "application": at.app });
    Ok(log_stream(&api.shutdown, &meta, lines, |line| {
        let mut record = convert::log_record(line);
        record.created_at = record.created_at.and_then(|at| wire_time(&at));
        record
    }))
}
