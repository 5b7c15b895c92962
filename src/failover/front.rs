//! Orders to the front: numbered, carried out in order, and what the last of them was.

use std::net::SocketAddr;

use super::event::{Action, Moment};

#[derive(Debug, Default)]
pub(super) struct Front {
    /// The number of the last order.
    order: u64,
    /// The last one that was carried out.
    done: u64,
    /// When it last said that an order is carried out.
    moved: Moment,
    /// Since when it lets nobody through.
    gated: Option<Moment>,
    /// How many slaves it is to see a write on; `None` where that is not its task.
    acks: Option<u32>,
}

// === impl Front ===

impl Front {
    /// Lets nobody through from now on; nothing if it does not already.
    pub fn gate(&mut self, now: Moment) -> Option<Action> {
        if self.gated.is_some() {
            return None;
        }
        self.gated = Some(now);
        Some(Action::Gate { order: self.number() })
    }

    pub fn open(&mut self, master: SocketAddr, epoch: u64, acks: Option<u32>) -> Action {
        (self.gated, self.acks) = (None, acks);
        Action::Open { order: self.number(), master, epoch, acks }
    }

    pub fn refuse(&mut self, why: String) -> Action {
        self.gated = None;
        Action::Refuse { order: self.number(), why }
    }

    fn number(&mut self) -> u64 {
        self.order += 1;
        self.order
    }

    /// It says that it has carried this order out.
    pub fn heard(&mut self, order: u64, now: Moment) {
        (self.done, self.moved) = (self.done.max(order), now);
    }

    /// Whether every order is carried out.
    pub fn obeyed(&self) -> bool {
        self.done >= self.order
    }

    /// Since when it was told to let nobody through.
    pub fn gated(&self) -> Option<Moment> {
        self.gated
    }

    /// Whether it was told so and has said that nobody gets through.
    pub fn is_shut(&self) -> bool {
        self.gated.is_some() && self.obeyed()
    }

    /// When it last said that an order is carried out.
    pub fn moved(&self) -> Moment {
        self.moved
    }

    /// How many slaves it was told to see a write on.
    pub fn acks(&self) -> Option<u32> {
        self.acks
    }

    /// For tests, which answer in its place.
    #[cfg(test)]
    pub fn order(&self) -> u64 {
        self.order
    }
}
