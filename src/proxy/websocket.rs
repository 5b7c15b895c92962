//! Upgraded connections: bytes both ways once client and instance changed the protocol.

use http::header::UPGRADE;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::backend::{RequestGuard, WebsocketGuard};
use super::head;
use super::outbound::Outbound;
use super::page::{Format, Refusal};
use super::reply::Reply;
use super::worker::Worker;

/// Passes a 101 on and joins the two connections behind it. A session lasts until one side
/// closes, or [`super::WEBSOCKET_GRACE`] after its backend left the table.
pub(super) fn begin(
    worker: &Worker,
    mut response: Response<Incoming>,
    guard: RequestGuard,
    outbound: &mut Outbound,
    format: Format,
) -> Response<Reply> {
    let service = &guard.backend().service;
    let Some((client, asked)) = outbound.upgrade.take() else {
        let cause = format!("Instance {} changed the protocol unasked.", guard.backend().spec.instance);
        service.count_answer(worker.index, StatusCode::BAD_GATEWAY);
        return Refusal::of(service, StatusCode::BAD_GATEWAY, cause).respond(format);
    };
    service.count_answer(worker.index, response.status());
    let instance = hyper::upgrade::on(&mut response);
    tokio::task::spawn_local(run(client, instance, guard.upgrade()));
    let protocol = response.headers().get(UPGRADE).cloned().unwrap_or(asked);
    head::strip_hop(response.headers_mut());
    head::mark_upgrade(response.headers_mut(), protocol);
    response.map(|_| Reply::empty())
}

async fn run(client: OnUpgrade, instance: OnUpgrade, guard: WebsocketGuard) {
    let joined = async {
        let (client, instance) = tokio::try_join!(client, instance).ok()?;
        tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(instance)).await.ok()
    };
    tokio::select! {
        _ = joined => {}
        () = guard.overdue() => {}
    }
}
