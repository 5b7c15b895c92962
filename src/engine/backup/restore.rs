//! `restore`: a dump takes the place of everything in a service.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::model::{AppName, InstanceName, ServiceName};

use super::super::app::App;
use super::super::clock;
use super::super::handle::{Engine, EngineError, Result, to_its_end};
use super::super::reconcile::in_full;
use super::resume::Halfway;
use super::{Ender, Note, Output, Source, Turn, command};

/// What the type's command prints before its first change.
const REPLACING: &[u8] = b"replacing";
/// Codes of a command that says that it changed nothing (sysexits).
const UNTOUCHED: std::ops::RangeInclusive<i64> = 64..=78;

/// A dump on its way in. Dropped before [`Restore::finish`], nothing is changed.
pub struct Restore {
    pub member: InstanceName,
    engine: Engine,
    app: AppName,
    ender: Ender,
    verdict: JoinHandle<Result<()>>,
    replacing: watch::Receiver<bool>,
    _turn: Arc<Turn>,
}

impl Engine {
    /// Begins to replace everything in a service by the dump that is sent.
    ///
    /// # Errors
    /// `Conflict` while other work with its data goes on; `Invalid` when it has no master.
    pub async fn restore(&self, app: &AppName, service: &ServiceName) -> Result<Restore> {
        let app = self.seen_app(app).await?;
        let source = Source::find(self, &app, service)?;
        source.check_has_dumps()?;
        let turn = app.busy.begin(service, "restore")?;
        self.write(&app, &source, turn).await
    }

    /// A restore by whoever has the turn.
    pub(in crate::engine) async fn write(&self, app: &App, source: &Source, turn: Turn) -> Result<Restore> {
        let container = source.writer(app)?;
        let member = container.identity.instance.clone();
        let spec = source.command(&source.data.restore_command, true);
        let what = format!("restore {} in {member}", source.name());
        let (ender, output) = command::start(self, &app.name, &container, spec, what).await?;
        let (begins, replacing) = watch::channel(false);
        let turn = Arc::new(turn);
        let verdict = tokio::spawn(attend(member.clone(), output, begins, turn.clone()));
        Ok(Restore { member, engine: self.clone(), app: app.name.clone(), ender, verdict, replacing, _turn: turn })
    }
}

/// Reads what the command says until its end.
async fn attend(member: InstanceName, mut output: Output, begins: watch::Sender<bool>, turn: Arc<Turn>) -> Result<()> {
    loop {
        match output.next().await {
            Ok(Ok(None)) => return Ok(()),
            Ok(Ok(Some(words))) => {
                let said = words.split(|byte| *byte == b'\n').any(|line| line == REPLACING);
                if said {
                    turn.replaces();
                }
                begins.send_if_modified(|begun| said && !std::mem::replace(begun, true));
            }
            Ok(Err(refusal)) if UNTOUCHED.contains(&refusal.code) => {
                return Err(EngineError::Invalid(format!("{}. Nothing was changed.", refusal.reason())));
            }
            Ok(Err(refusal)) => return Err(output.failed(state(&member, *begins.borrow(), &refusal.reason()))),
            Err(error) => return Err(output.failed(state(&member, *begins.borrow(), &error.to_string()))),
        }
    }
}

/// Why it failed, and what that means.
fn state(member: &InstanceName, begun: bool, why: &str) -> String {
    match begun {
        true => format!("{why}. The contents of {} may be partly replaced: restore again.", member.service),
        false => format!("{why}. Nothing was changed."),
    }
}

impl Restore {
    /// Passes a part of the dump on; false when no more of it is wanted: [`Restore::finish`]
    /// says why.
    pub async fn send(&mut self, part: Bytes) -> bool {
        match &self.ender.stdin {
            Some(stdin) => stdin.send(part).await.is_ok(),
            None => false,
        }
    }

    /// Becomes true when the dump was found good and the first contents are replaced.
    pub fn replacing(&self) -> watch::Receiver<bool> {
        self.replacing.clone()
    }

    /// The dump is complete: it is checked, then it takes the place of everything. Goes on to
    /// its end when whoever asked for it leaves.
    ///
    /// # Errors
    /// `Invalid` when the dump was refused and nothing changed; else the text says in which
    /// state the service is.
    pub async fn finish(self) -> Result<()> {
        to_its_end(self.end()).await
    }

    async fn end(mut self) -> Result<()> {
        let (engine, note) = (self.engine.clone(), Note::of_service(&self.app, &self.member.service));
        let inner = engine.inner();
        let mark = self.ender.mark.clone();
        note.write(inner, &Halfway { since: clock::timestamp(), member: self.member.clone(), mark }).await;
        self.ender.wanted = true;
        self.ender.stdin = None;
        let verdict = match (&mut self.verdict).await {
            Ok(verdict) => verdict,
            Err(error) => Err(EngineError::Store(Box::new(error))),
        };
        note.erase(inner).await;
        let outcome = verdict.as_ref().map_or_else(|error| in_full(error), |()| "everything was replaced".to_owned());
        let details = [("service", self.member.to_string()), ("outcome", outcome)];
        inner.record_activity(&self.app, "service", "restore", &details).await;
        verdict
    }
}
