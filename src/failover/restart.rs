//! A restart on purpose: announced, allowed to begin, and over when another process runs.

use super::event::{Action, Moment, Server};

/// The one that was announced last, until it is over.
#[derive(Debug, Default)]
pub(super) struct Restart(Option<Planned>);

#[derive(Debug)]
struct Planned {
    server: Server,
    began: Moment,
    /// Then it counts as a failure.
    until: Moment,
    /// Whether it was allowed to begin.
    released: bool,
}

// === impl Restart ===

impl Restart {
    /// Every announcement is answered: whose server does not run has nothing to wait for, and
    /// an older plan that a newer one replaces holds nobody back.
    pub fn plan(&mut self, index: u32, server: Option<Server>, now: Moment, until: Moment) -> Option<Action> {
        let Some(server) = server else { return Some(Action::ReleaseRestart(index)) };
        // Whoever is let go is everybody who waits for that member: one plan for it is as good as another.
        let older = if self.concerns(index) { None } else { self.give_up() };
        self.0 = Some(Planned { server, began: now, until, released: false });
        older
    }

    pub fn is_planned(&self) -> bool {
        self.0.is_some()
    }

    pub fn concerns(&self, index: u32) -> bool {
        self.0.as_ref().is_some_and(|planned| planned.server.index == index)
    }

    /// The process that is to end.
    pub fn server(&self) -> Option<Server> {
        self.0.as_ref().map(|planned| planned.server)
    }

    pub fn until(&self) -> Option<Moment> {
        self.0.as_ref().map(|planned| planned.until)
    }

    /// Whose restart was not allowed to begin yet, and since when it waits.
    pub fn waits(&self) -> Option<(Server, Moment)> {
        self.0.as_ref().filter(|planned| !planned.released).map(|planned| (planned.server, planned.began))
    }

    /// Whose restart was allowed to begin.
    pub fn released(&self) -> Option<Server> {
        self.0.as_ref().filter(|planned| planned.released).map(|planned| planned.server)
    }

    /// Lets it begin, once.
    pub fn release(&mut self) -> Option<Action> {
        let planned = self.0.as_mut().filter(|planned| !planned.released)?;
        planned.released = true;
        Some(Action::ReleaseRestart(planned.server.index))
    }

    /// Whether another process runs as that member, or its time is up.
    pub fn is_over(&self, now: Moment, running: impl FnOnce(u32) -> Option<Server>) -> bool {
        self.0.as_ref().is_some_and(|planned| {
            let successor = running(planned.server.index).is_some_and(|server| server != planned.server);
            successor || planned.until <= now
        })
    }

    /// The restart of this member does not take place. What its server is now counts again.
    pub fn withdraw(&mut self, index: u32) -> Option<Action> {
        if self.concerns(index) { self.give_up() } else { None }
    }

    /// Whoever still waits for permission is let go.
    pub fn give_up(&mut self) -> Option<Action> {
        let planned = self.0.take().filter(|planned| !planned.released)?;
        Some(Action::ReleaseRestart(planned.server.index))
    }
}
