//! One held conversation with `templates/_common/live` in an instance.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;

use crate::catalog::Reload;
use crate::engine::ports::Port;
use crate::engine::runtime::{ExecOutput, ExecSession, ExecSpec, Runtime, RuntimeError};
use crate::model::PortKind;

/// Longer than anything an agent waits for by itself.
const PATIENCE: Duration = Duration::from_secs(120);
/// For an agent to be there.
const START: Duration = Duration::from_secs(10);
const PROGRAM: &str = "/usr/lib/dotcloud/live";

#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// What a person is to read: a traceback, most often.
    #[error("{0}")]
    Failed(String),
    #[error("cannot reach the instance")]
    Open(#[from] RuntimeError),
    #[error("the instance went away while its code was changed: {0}")]
    Lost(String),
}

pub struct Agent {
    stdin: mpsc::Sender<Bytes>,
    output: mpsc::Receiver<Result<ExecOutput, RuntimeError>>,
    read: BytesMut,
    /// What it said that is no answer.
    complaints: String,
    /// The change that the instance had when this began; `None` when one broke off in the middle.
    pub change: Option<u64>,
    /// Whether the service has programs of its own, which its type does not know how to reload.
    pub has_programs: bool,
    /// Whether the last change came as far as its programs, so that undoing it must, too.
    pub touched: bool,
}

#[derive(Debug, Deserialize)]
struct Hello {
    change: Option<u64>,
    programs: bool,
}

#[derive(Debug, Default, Deserialize)]
struct Answer {
    failed: Option<String>,
    /// What the type's check found.
    check: Option<String>,
    #[serde(default)]
    touched: bool,
    #[serde(default)]
    restarted: Vec<String>,
}

impl Agent {
    pub async fn open(runtime: &dyn Runtime, container: &str, reload: Reload) -> Result<Self, AgentError> {
        let command = vec![PROGRAM.to_owned(), verb(reload).to_owned()];
        let spec = ExecSpec { command, stdin: true, ..ExecSpec::default() };
        let ExecSession { stdin, output, .. } = runtime.exec(container, &spec).await?;
        let stdin = stdin.ok_or_else(|| AgentError::Lost("it takes no input".to_owned()))?;
        let (read, complaints) = (BytesMut::new(), String::new());
        let mut agent = Self { stdin, output, read, complaints, change: None, has_programs: false, touched: false };
        let hello = agent.answer::<Hello>(START).await?;
        (agent.change, agent.has_programs) = (hello.change, hello.programs);
        Ok(agent)
    }

    /// False once its process has ended.
    pub fn is_there(&self) -> bool {
        !self.output.is_closed()
    }

    /// Unpacks files; with `check`, returns what the type's check found in them.
    pub async fn sync(
        &mut self,
        tar: Bytes,
        deleted: impl IntoIterator<Item = &String>,
        check: bool,
    ) -> Result<Option<String>, AgentError> {
        let deleted: Vec<&String> = deleted.into_iter().collect();
        let request = json!({ "do": "sync", "bytes": tar.len(), "deleted": deleted, "check": check });
        Ok(self.ask(&request, tar).await?.check)
    }

    /// Brings the files into service; `ports` tell when it is. Returns the service's own programs
    /// that were restarted beside what its type does.
    pub async fn reload(&mut self, ports: &[Port]) -> Result<Vec<String>, AgentError> {
        let port = |port: &Port| json!({ "number": port.number, "http": port.kind == PortKind::Http });
        let ports: Vec<serde_json::Value> = ports.iter().map(port).collect();
        Ok(self.ask(&json!({ "do": "reload", "ports": ports }), Bytes::new()).await?.restarted)
    }

    /// Puts the files back.
    pub async fn undo(&mut self) -> Result<(), AgentError> {
        self.ask(&json!({ "do": "undo" }), Bytes::new()).await.map(drop)
    }

    /// From now on the files are the instance's.
    pub async fn keep(&mut self, change: u64) -> Result<(), AgentError> {
        self.ask(&json!({ "do": "keep", "change": change }), Bytes::new()).await?;
        self.change = Some(change);
        Ok(())
    }

    async fn ask(&mut self, request: &serde_json::Value, payload: Bytes) -> Result<Answer, AgentError> {
        let line = Bytes::from(format!("{request}\n"));
        for part in [line, payload].into_iter().filter(|part| !part.is_empty()) {
            self.stdin.send(part).await.map_err(|_| self.lost())?;
        }
        let answer: Answer = self.answer(PATIENCE).await?;
        self.touched = answer.touched;
        match answer.failed {
            Some(why) => Err(AgentError::Failed(why)),
            None => Ok(answer),
        }
    }

    async fn answer<T: serde::de::DeserializeOwned>(&mut self, patience: Duration) -> Result<T, AgentError> {
        let line = tokio::time::timeout(patience, self.line()).await;
        let line = line.map_err(|_| AgentError::Lost(format!("no answer within {} s", patience.as_secs())))??;
        serde_json::from_slice(&line).map_err(|_| AgentError::Lost(String::from_utf8_lossy(&line).into_owned()))
    }

    async fn line(&mut self) -> Result<BytesMut, AgentError> {
        loop {
            if let Some(end) = self.read.iter().position(|&byte| byte == b'\n') {
                let line = self.read.split_to(end);
                self.read.advance(1);
                return Ok(line);
            }
            match self.output.recv().await {
                Some(Ok(ExecOutput::Stdout(bytes))) => self.read.extend_from_slice(&bytes),
                Some(Ok(ExecOutput::Stderr(bytes))) => self.complaints.push_str(&String::from_utf8_lossy(&bytes)),
                Some(Err(error)) => return Err(AgentError::Open(error)),
                Some(Ok(ExecOutput::Exit(_))) | None => return Err(self.lost()),
            }
        }
    }

    fn lost(&self) -> AgentError {
        let last = self.complaints.trim_end().lines().last();
        AgentError::Lost(last.unwrap_or("its agent ended").to_owned())
    }
}

fn verb(reload: Reload) -> &'static str {
    match reload {
        Reload::None => "none",
        Reload::InPlace => "in_place",
        Reload::Restart | Reload::Build => "restart",
    }
}
