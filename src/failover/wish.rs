//! A switchover that was asked for: everybody who asks is answered.

use super::event::{Action, Moment};

/// The latest one that is not answered yet.
#[derive(Debug, Default)]
pub(super) struct Wish(Option<Asked>);

#[derive(Debug)]
struct Asked {
    to: Option<u32>,
    /// When it is refused if nobody could take over until then.
    until: Moment,
}

// === impl Wish ===

impl Wish {
    /// Somebody wants another master, this one or any, until then. An older wish that is not
    /// answered yet is answered together with this one.
    pub fn ask(&mut self, to: Option<u32>, until: Moment) {
        self.0 = Some(Asked { to, until });
    }

    pub fn is_asked(&self) -> bool {
        self.0.is_some()
    }

    /// Whom; `Some(None)` if anybody will do.
    pub fn wanted(&self) -> Option<Option<u32>> {
        self.0.as_ref().map(|asked| asked.to)
    }

    /// The member that was named.
    pub fn named(&self) -> Option<u32> {
        self.wanted().flatten()
    }

    pub fn until(&self) -> Option<Moment> {
        self.0.as_ref().map(|asked| asked.until)
    }

    /// Whether nobody could take over in time.
    pub fn is_late(&self, now: Moment) -> bool {
        self.until().is_some_and(|until| until <= now)
    }

    pub fn answer(&mut self, outcome: Result<u32, String>) -> Option<Action> {
        self.0.take().map(|_| Action::AnswerSwitchover(outcome))
    }
}
