//! The server as it starts without a platform.

use jiff::Timestamp;

use crate::kinds::{Kind, since_creation};
use crate::support::docker::Engine;

/// One container on Docker's own bridge, removed when it goes.
pub struct Plain<'a> {
    engine: &'a Engine,
    kind: &'a Kind,
    container: String,
}

impl<'a> Plain<'a> {
    pub fn start(engine: &'a Engine, kind: &'a Kind, image: &str) -> Self {
        let name = format!("dcl-bench-start-{}", Timestamp::now().as_microsecond());
        Self { engine, kind, container: engine.run(&name, image, &["bash", "-c", kind.script]) }
    }

    /// Milliseconds until the server answers.
    pub fn answered(&self) -> f64 {
        since_creation(self.engine, &self.container, self.kind.answered(self.engine, &self.container))
    }

    /// Its files stay.
    pub fn end(&self) {
        self.engine.kill(&self.container);
    }
}

impl Drop for Plain<'_> {
    fn drop(&mut self) {
        self.engine.remove(&self.container);
    }
}
