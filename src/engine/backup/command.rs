//! A type's command that runs in a container, and ends when nobody wants its work any more.

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::model::AppName;
use crate::model::observed::ObservedContainer;

use super::super::handle::{Engine, EngineError, Result};
use super::super::runtime::{self, ExecOutput, ExecSpec, RuntimeError};
use super::super::shell::MARK;

/// Bytes of a command's last words that are kept.
const WORDS: usize = 2048;

/// What a command wrote to standard error: the end of it, however much that was.
#[derive(Debug, Default)]
pub struct Words(Vec<u8>);

/// Ends a command that was begun and is not wanted to its end: closing its input would look to
/// it like the end of what it was given.
pub struct Ender {
    engine: Engine,
    app: AppName,
    container: ObservedContainer,
    pub mark: String,
    pub stdin: Option<mpsc::Sender<Bytes>>,
    pub wanted: bool,
}

impl Drop for Ender {
    fn drop(&mut self) {
        if self.wanted {
            return;
        }
        let (engine, app, mark, stdin) = (self.engine.clone(), self.app.clone(), self.mark.clone(), self.stdin.take());
        let instance = self.container.identity.instance.clone();
        tokio::spawn(async move {
            engine.hang_up(&app, &instance, &mark).await;
            drop(stdin);
        });
    }
}

/// What a command prints, and how it ended.
pub struct Output {
    what: String,
    parts: mpsc::Receiver<runtime::Result<ExecOutput>>,
    words: Words,
}

/// A command that ended with another code than 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: i64,
    /// The last of what it wrote to standard error.
    pub words: String,
}

/// `what` completes "cannot …".
pub async fn start(
    engine: &Engine,
    app: &AppName,
    container: &ObservedContainer,
    mut spec: ExecSpec,
    what: String,
) -> Result<(Ender, Output)> {
    let mark = uuid::Uuid::new_v4().to_string();
    spec.env.insert(MARK.to_owned(), mark.clone());
    let session = engine.inner().runtime.exec(&container.id, &spec).await?;
    let container = container.clone();
    let (engine, app) = (engine.clone(), app.clone());
    let ender = Ender { engine, app, container, mark, stdin: session.stdin, wanted: false };
    Ok((ender, Output { what, parts: session.output, words: Words::default() }))
}

impl Output {
    /// What it prints next; `None` when it has ended well.
    ///
    /// # Errors
    /// The outer one when its end cannot be known: the container died, Docker went away. The
    /// inner one when it ended with another code than 0.
    pub async fn next(&mut self) -> Result<std::result::Result<Option<Bytes>, Refusal>> {
        loop {
            match self.parts.recv().await {
                Some(Ok(ExecOutput::Stdout(bytes))) => return Ok(Ok(Some(bytes))),
                Some(Ok(ExecOutput::Stderr(bytes))) => self.words.hear(&bytes),
                Some(Ok(ExecOutput::Exit(0))) => return Ok(Ok(None)),
                Some(Ok(ExecOutput::Exit(code))) => return Ok(Err(Refusal { code, words: self.words.last_line() })),
                Some(Err(error)) => return Err(error.into()),
                None => return Err(self.failed("its end was not reported".to_owned())),
            }
        }
    }

    pub fn failed(&self, why: String) -> EngineError {
        EngineError::Runtime(RuntimeError::Failed { attempt: self.what.clone(), source: why.into() })
    }
}

impl Words {
    pub fn hear(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        let surplus = self.0.len().saturating_sub(WORDS);
        self.0.drain(..surplus);
    }

    /// Without the space around it; empty when nothing was written.
    pub fn last_line(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.next_back().unwrap_or_default().to_owned()
    }
}

impl Refusal {
    /// In words, for people.
    pub fn reason(&self) -> String {
        match (self.code, self.words.as_str()) {
            (137, _) => "it was killed (did the instance die, or run out of memory?)".to_owned(),
            (code, "") => format!("it ended with exit code {code}"),
            (_, words) => words.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_command_that_complains_without_end_the_last_line_is_kept() {
        let mut words = Words::default();
        assert_eq!(words.last_line(), "");
        for number in 0..10_000 {
            words.hear(format!("tar: file {number} changed\n").as_bytes());
        }
        words.hear(b"tar: no space left \n\n");
        assert_eq!(words.last_line(), "tar: no space left");
        assert!(words.0.len() <= WORDS);
    }
}
