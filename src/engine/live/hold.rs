//! Holds agents in all instances while somebody watches, those that come later included.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::engine::app::App;
use crate::engine::inner::Inner;
use crate::engine::reconcile::in_full;
use crate::store::ServiceRecord;

use super::agents::Agents;
use super::news::Ready;
use super::target::wanted;

/// Counts a watcher for as long as it lives.
struct Watching<'a>(&'a Agents);

impl<'a> Watching<'a> {
    fn begin(agents: &'a Agents) -> Self {
        agents.watch();
        Self(agents)
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.0.unwatch();
    }
}

/// Until the receiver is dropped or the application is gone.
pub async fn hold(inner: Arc<Inner>, app: Arc<App>, ready: mpsc::Sender<Ready>) {
    {
        let _watching = Watching::begin(&app.live.agents);
        tokio::select! {
            () = keep_open(&inner, &app, &ready) => {}
            () = ready.closed() => {}
        }
    }
    app.live.agents.release().await;
}

async fn keep_open(inner: &Arc<Inner>, app: &Arc<App>, ready: &mpsc::Sender<Ready>) {
    let mut status = app.status.subscribe();
    let mut told = None;
    loop {
        status.mark_unchanged();
        let now = open(inner, app).await;
        if told != Some(now) {
            told = Some(now);
            if ready.send(now).await.is_err() {
                return;
            }
        }
        if status.changed().await.is_err() || status.borrow().gone {
            return;
        }
    }
}

/// A daemon before this one may have been killed in the middle of a change: instances that did
/// not keep what their version says are replaced. Nothing to do where nothing has gone live.
pub async fn compare_once(inner: Arc<Inner>, app: Arc<App>) {
    let mut status = app.status.subscribe();
    let looked = status.wait_for(|status| status.version > 0 || status.gone).await.is_ok();
    if !looked || !app.record().services.iter().any(has_live_changes) {
        return;
    }
    open(&inner, &app).await;
    app.live.agents.release().await;
}

fn has_live_changes(service: &ServiceRecord) -> bool {
    service.serving.as_ref().is_some_and(|version| version.overlay.is_some())
}

async fn open(inner: &Arc<Inner>, app: &Arc<App>) -> Ready {
    // Between changes the record and the instances agree on which was the last.
    let _quiet = app.live.quiet().await;
    let (targets, wanted) = wanted(inner, app);
    let held = app.live.agents.of(&*inner.runtime, &targets).await;
    app.live.agents.retain(&targets).await;
    let mut instances = 0;
    for (target, agent) in targets.iter().zip(held) {
        match agent {
            Ok(agent) if agent.lock().await.change == Some(target.change) => instances += 1,
            // A daemon before this one was killed in the middle of a change.
            Ok(_) => app.live.replace(inner, app, &target.container.id),
            Err(error) => tracing::debug!("{} takes no changes yet: {}", target.instance(), in_full(&error)),
        }
    }
    Ready { instances, wanted }
}
