//! The HTTP data path: accept -> route(host) -> pick -> forward.

use std::convert::Infallible;
use std::rc::Rc;

use http::header::{CONTENT_LENGTH, EXPECT, HeaderMap};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Duration, timeout};

use super::attempts::too_large;
use super::forward::{Answer, forward};
use super::head::{self, ClientSide};
use super::health;
use super::outbound::Outbound;
use super::page::{Format, Refusal};
use super::reply::{Lease, Reply};
use super::service::LiveService;
use super::websocket;
use super::worker::Worker;

/// How long a body that nobody wants is still read, so that its sender gets to the answer.
const DISCARD_LIMIT: Duration = Duration::from_secs(30);

/// The client's side and the listener's own host.
pub(super) struct Visit {
    pub client: ClientSide,
    /// Answers for hosts that are in no table.
    pub default_host: Option<Rc<str>>,
}

/// Serves one client connection to its end.
pub(super) async fn serve<S>(worker: Rc<Worker>, visit: Visit, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| async { Ok::<_, Infallible>(answer(&worker, &visit, request).await) });
    let mut http = http1::Builder::new();
    // Set with each wait for a request, so that it bounds the time between two as well.
    http.timer(TokioTimer::new()).header_read_timeout(worker.shared.config.client_idle);
    let served = http.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
    if let Err(error) = served {
        tracing::trace!(peer = %visit.client.peer, %error, "client connection broke");
    }
}

/// One request: the answer of an instance, or the page that says why there is none.
async fn answer(worker: &Rc<Worker>, visit: &Visit, request: Request<Incoming>) -> Response<Reply> {
    let format = Format::of(request.headers());
    let named = head::host_of(request.uri(), request.headers());
    let table = worker.table();
    let found = table.find(&named).or_else(|| table.find(visit.default_host.as_deref()?));
    let Some((host, route)) = found else {
        discard(request);
        return Refusal::unknown_host(&named, table.hosts()).respond(format);
    };
    if let Err(refusal) = admit(&request, &route.service, worker.shared.config.body_limit) {
        discard(request);
        return refuse(worker, &route.service, &refusal, format);
    }
    let mut outbound = Outbound::new(request, &visit.client, worker.shared.config.body_limit);
    match forward(worker, host, route, &mut outbound).await {
        Ok(answer) => pass(worker, answer, &mut outbound, format),
        Err(refusal) => {
            outbound.discard();
            refuse(worker, &route.service, &refusal, format)
        }
    }
}

/// What can be refused before any instance is bothered.
fn admit(request: &Request<Incoming>, service: &LiveService, body_limit: u64) -> Result<(), Refusal> {
    if request.method() == Method::CONNECT {
        let cause = "This is not a forward proxy: CONNECT is not served.";
        return Err(Refusal::of(service, StatusCode::METHOD_NOT_ALLOWED, cause));
    }
    match content_length(request.headers()) {
        Some(length) if length > body_limit => Err(too_large(service, body_limit)),
        _ => Ok(()),
    }
}

fn refuse(worker: &Worker, service: &LiveService, refusal: &Refusal, format: Format) -> Response<Reply> {
    service.count_answer(worker.index, refusal.status);
    if refusal.status.is_server_error() {
        service.counts.of(worker.index).refusals.add(1);
    }
    refusal.respond(format)
}

/// Hands an instance's answer on. Its own 502 and 504 become our page (guides/5xx).
fn pass(worker: &Rc<Worker>, answer: Answer, outbound: &mut Outbound, format: Format) -> Response<Reply> {
    let Answer { mut response, conn, guard } = answer;
    let backend = guard.backend();
    let status = response.status();
    if status.is_server_error() {
        health::watch(worker, backend);
    }
    match status {
        StatusCode::SWITCHING_PROTOCOLS => websocket::begin(worker, response, guard, outbound, format),
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
            let cause = format!("Instance {} answered {status}.", backend.spec.instance);
            refuse(worker, &backend.service, &Refusal::of(&backend.service, status, cause), format)
        }
        _ => {
            backend.service.count_answer(worker.index, status);
            head::strip_hop(response.headers_mut());
            let lease = Lease { guard, conn, worker: Rc::clone(worker) };
            response.map(|body| Reply::streamed(body, lease))
        }
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads what the client still sends, so that it comes to read the answer; a connection
/// closed with unread data is reset, and the page lost. Who expects a `100 Continue` has
/// sent nothing.
fn discard(request: Request<Incoming>) {
    let waits = request.headers().contains_key(EXPECT);
    let body = request.into_body();
    if !waits && !body.is_end_stream() {
        tokio::task::spawn_local(read_away(body));
    }
}

pub(super) async fn read_away<B: Body + Unpin>(mut body: B) {
    let drained = async { while let Some(Ok(_)) = body.frame().await {} };
    // An answer was given either way.
    let _ = timeout(DISCARD_LIMIT, drained).await;
}
