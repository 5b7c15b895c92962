//! The agents of one application's instances, held while somebody watches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use tokio::sync::Mutex;

use crate::catalog::Reload;
use crate::engine::runtime::Runtime;

use super::agent::{Agent, AgentError};
use super::target::Target;

/// An agent, for one conversation at a time.
pub type Held = Arc<Mutex<Agent>>;

#[derive(Default)]
pub struct Agents {
    /// By incarnation: a container that was started again has no agent.
    held: Mutex<BTreeMap<(String, Option<u32>), Held>>,
    watchers: AtomicUsize,
}

impl Agents {
    /// The agents of all targets; those that are missing are opened, all at once.
    pub async fn of(&self, runtime: &dyn Runtime, targets: &[Target]) -> Vec<Result<Held, AgentError>> {
        let mut held = self.held.lock().await;
        let ends = |held: &Held| held.try_lock().is_ok_and(|agent| !agent.is_there());
        held.retain(|_, agent| !ends(agent));
        let open = |target: &Target| match held.get(&target.incarnation()) {
            Some(agent) => Opening::There(agent.clone()),
            None => Opening::New(target.container.id.clone(), target.reload),
        };
        let opened = join_all(targets.iter().map(open).map(|opening| opening.get(runtime))).await;
        for (target, agent) in targets.iter().zip(&opened) {
            if let Ok(agent) = agent {
                held.insert(target.incarnation(), agent.clone());
            }
        }
        opened
    }

    /// Ends the agents of all but these.
    pub async fn retain(&self, targets: &[Target]) {
        let wanted: Vec<_> = targets.iter().map(Target::incarnation).collect();
        self.held.lock().await.retain(|incarnation, _| wanted.contains(incarnation));
    }

    /// Forgets one that cannot be spoken to.
    pub async fn drop_of(&self, target: &Target) {
        self.held.lock().await.remove(&target.incarnation());
    }

    /// Ends all agents, unless somebody watches.
    pub async fn release(&self) {
        let mut held = self.held.lock().await;
        if self.watchers.load(Ordering::Acquire) == 0 {
            held.clear();
        }
    }

    pub fn watch(&self) {
        self.watchers.fetch_add(1, Ordering::AcqRel);
    }

    pub fn unwatch(&self) {
        self.watchers.fetch_sub(1, Ordering::AcqRel);
    }
}

enum Opening {
    There(Held),
    New(String, Reload),
}

impl Opening {
    async fn get(self, runtime: &dyn Runtime) -> Result<Held, AgentError> {
        match self {
            Self::There(agent) => Ok(agent),
            Self::New(container, reload) => Ok(Arc::new(Mutex::new(Agent::open(runtime, &container, reload).await?))),
        }
    }
}
