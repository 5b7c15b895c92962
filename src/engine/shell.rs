//! `run`: commands and shells in an instance; in a data service its clients are logged in.

use crate::model::{AppName, InstanceName};

use super::handle::{Engine, EngineError, Result};
use super::power::server;
use super::runtime::{ExecOutput, ExecSession, ExecSpec, Purpose, RunState};

/// The variable that marks a command and whatever it starts.
pub const MARK: &str = "DOTCLOUD_RUN";
/// Whose processes a code instance has.
const USER: &str = "dotcloud";
const HANG_UP: &str = r#"for process in /proc/[0-9]*; do
    tr '\0' '\n' 2>/dev/null < "$process/environ" | grep -qx "DOTCLOUD_RUN=$1" && kill -HUP "${process#/proc/}"
done"#;

/// Says `yes` when something carries the mark.
const RUNS: &str = r#"for process in /proc/[0-9]*; do
    tr '\0' '\n' 2>/dev/null < "$process/environ" | grep -qx "DOTCLOUD_RUN=$1" && { echo yes; break; }
done"#;

impl Engine {
    /// Without a command: a login shell, or for a data service what its type says, where clients
    /// log in by themselves.
    pub async fn run(&self, app: &AppName, instance: &InstanceName, spec: ExecSpec) -> Result<ExecSession> {
        let app = self.seen_app(app).await?;
        let server = server(&app, instance)?;
        if server.state == RunState::Paused {
            let text = format!("{instance} is paused: `dotcloud unpause {instance}` lets it go on.");
            return Err(EngineError::Invalid(text));
        }
        if server.pid.is_none() {
            return Err(EngineError::Invalid(format!("{instance} does not run now: `dotcloud status` says why.")));
        }
        let spec = match server.identity.purpose {
            Purpose::Member => self.in_member(&app.record(), instance, spec)?,
            _ => in_code(spec),
        };
        Ok(self.inner().runtime.exec(&server.id, &spec).await?)
    }

    /// Ends a command whose user has gone, as a terminal does that is closed: SIGHUP to whatever
    /// carries its mark.
    pub async fn hang_up(&self, app: &AppName, instance: &InstanceName, mark: &str) {
        // The instance may have gone with its commands.
        if let Err(error) = self.among_marked(app, instance, HANG_UP, mark).await {
            tracing::debug!(%error, %instance, "a command could not be hung up");
        }
    }

    /// Whether a command of this mark, or what it started, still runs. Where nothing can be asked,
    /// nothing is taken to run.
    pub(super) async fn still_runs(&self, app: &AppName, instance: &InstanceName, mark: &str) -> bool {
        self.among_marked(app, instance, RUNS, mark).await.is_ok_and(|said| said.starts_with(b"yes"))
    }

    /// What the script says, which is given the mark.
    async fn among_marked(&self, app: &AppName, instance: &InstanceName, script: &str, mark: &str) -> Result<Vec<u8>> {
        let app = self.seen_app(app).await?;
        let server = server(&app, instance)?;
        let command = ["sh", "-c", script, "marked", mark].map(str::to_owned).into();
        // As whom the command runs: nobody else may read its environment.
        let user = (server.identity.purpose == Purpose::Code).then(|| USER.to_owned());
        let spec = ExecSpec { command, user, ..ExecSpec::default() };
        let mut session = self.inner().runtime.exec(&server.id, &spec).await?;
        let mut said = Vec::new();
        while let Some(part) = session.output.recv().await {
            if let ExecOutput::Stdout(bytes) = part? {
                said.extend_from_slice(&bytes);
            }
        }
        Ok(said)
    }

    fn in_member(
        &self,
        record: &crate::store::AppRecord,
        instance: &InstanceName,
        mut spec: ExecSpec,
    ) -> Result<ExecSpec> {
        let missing = || EngineError::NotFound(format!("The service \"{}\" does not exist.", instance.service));
        let service = record.service(&instance.service).ok_or_else(missing)?;
        let kind = self.inner().catalog.get(&service.type_name).ok_or_else(missing)?;
        let client = kind.client(service.password.as_deref().unwrap_or_default());
        spec.env.extend(client.env);
        if spec.command.is_empty() {
            spec.command = client.command;
        }
        Ok(spec)
    }
}

fn in_code(spec: ExecSpec) -> ExecSpec {
    let command = if spec.command.is_empty() { vec!["bash".to_owned(), "-l".to_owned()] } else { spec.command };
    ExecSpec {
        command,
        user: spec.user.or_else(|| Some(USER.to_owned())),
        workdir: spec.workdir.or_else(|| Some("/home/dotcloud".to_owned())),
        ..spec
    }
}
