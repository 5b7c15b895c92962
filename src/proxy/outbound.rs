//! A request on its way to an instance, and whether it may go out once more.

use std::rc::Rc;

use http::header::EXPECT;
use http::{HeaderValue, Method, Request, request};
use hyper::body::{Body, Incoming};
use hyper::upgrade::OnUpgrade;

use super::head::{self, ClientSide};
use super::http::read_away;
use super::pool::Need;
use super::upload::{Fate, Progress, Upload};

/// A prepared request. `message` is empty while hyper has it.
pub(super) struct Outbound {
    message: Option<Request<Upload>>,
    /// The head of a safe request without a body: what can be sent again after it was sent.
    replay: Option<request::Parts>,
    pub progress: Option<Rc<Progress>>,
    /// The client's half of a protocol change, and the protocol.
    pub upgrade: Option<(OnUpgrade, HeaderValue)>,
    /// A pooled connection failed this request: use a new one.
    pub distrusts_pool: bool,
    /// The client waits for a `100 Continue` before it sends the body.
    expects: bool,
}

impl Outbound {
    pub fn new(mut request: Request<Incoming>, client: &ClientSide, body_limit: u64) -> Self {
        let protocol = head::upgrade_of(request.headers());
        let upgrade = protocol.map(|protocol| (hyper::upgrade::on(&mut request), protocol));
        let (mut head, body) = request.into_parts();
        let expects = head.headers.contains_key(EXPECT);
        head::prepare_request(&mut head, client, upgrade.as_ref().map(|(_, protocol)| protocol.clone()));
        let (upload, progress) = Upload::new(body, body_limit);
        let replay = (is_safe(&head.method) && progress.is_none()).then(|| head.clone());
        let message = Some(Request::from_parts(head, upload));
        Self { message, replay, progress, upgrade, distrusts_pool: false, expects }
    }

    /// What it needs of a connection. Unsafe methods, and everything with a body, cannot be
    /// repeated once bytes may have left.
    pub fn need(&self) -> Need {
        match () {
            () if self.distrusts_pool || self.upgrade.is_some() => Need::Fresh,
            () if self.replay.is_none() => Need::Certain,
            () => Need::Any,
        }
    }

    /// What became of the body, when that is why an attempt broke.
    pub fn fate(&self) -> Option<Fate> {
        self.progress.as_ref().map(|progress| progress.fate.get()).filter(|fate| *fate != Fate::Flowing)
    }

    pub fn is_repeatable(&self) -> bool {
        self.replay.is_some()
    }

    /// The message to send: the one that never left, else a copy of its head.
    pub fn take(&mut self) -> Option<Request<Upload>> {
        let again = || self.replay.clone().map(|head| Request::from_parts(head, Upload::Empty));
        self.message.take().or_else(again)
    }

    /// No instance took it: the rest of its body is read away.
    pub fn discard(self) {
        let unread = self.message.filter(|message| !message.body().is_end_stream());
        if let Some(message) = unread.filter(|_| !self.expects) {
            tokio::task::spawn_local(read_away(message.into_body()));
        }
    }

    /// hyper handed the message back: no byte of it was sent.
    pub fn put_back(&mut self, message: Request<Upload>) {
        self.message = Some(message);
    }
}

/// Safe in the sense of RFC 9110, 9.2.1: may be sent twice without harm.
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
}
