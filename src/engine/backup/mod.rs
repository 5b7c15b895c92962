//! `backup` and `restore`: dumps of one data service, streamed out of a member and into the
//! master. No dump is ever in memory, and nothing here knows what one looks like: that is the
//! type's business (`backup_command`, `restore_command` in `templates/`).

mod busy;
mod command;
mod member;
mod note;
mod restore;
mod resume;

pub use busy::{Busy, Labour, Turn};
pub use command::{Ender, Output, Words};
pub use member::Source;
pub use note::Note;
pub use restore::Restore;
pub(in crate::engine) use resume::{attend, end_all};

use bytes::Bytes;

use crate::catalog::Purpose;
use crate::model::{AppName, InstanceName, ServiceName};

use super::app::App;
use super::handle::{Engine, Result};

/// A dump on its way. Dropped before its end, the command that writes it is ended.
pub struct Backup {
    pub member: InstanceName,
    /// What the file's name ends with: `sql.gz`.
    pub extension: String,
    /// What is in it and what is not, in words; empty where it is simply everything.
    pub holds: String,
    ender: Ender,
    output: Output,
    _turn: Turn,
}

impl Engine {
    /// Begins a consistent dump of a service.
    ///
    /// # Errors
    /// `Conflict` while other work with its data goes on; `Invalid` when nobody can be read.
    pub async fn backup(&self, app: &AppName, service: &ServiceName) -> Result<Backup> {
        let app = self.seen_app(app).await?;
        let source = Source::find(self, &app, service)?;
        source.check_has_dumps()?;
        let turn = app.busy.begin(service, "backup")?;
        let backup = self.read(&app, &source, Purpose::Backup, turn).await?;
        let details = [("service", backup.member.to_string())];
        self.inner().record_activity(&app.name, "service", "backup", &details).await;
        Ok(backup)
    }

    /// A dump by whoever has the turn.
    pub(super) async fn read(&self, app: &App, source: &Source, purpose: Purpose, turn: Turn) -> Result<Backup> {
        let container = source.reader(app)?;
        let member = container.identity.instance.clone();
        let dump = source.data.dump(purpose);
        let spec = source.command(dump.command, false);
        let what = format!("back {} up from {member}", source.name());
        let (ender, output) = command::start(self, &app.name, &container, spec, what).await?;
        let (extension, holds) = (dump.extension.to_owned(), dump.holds.to_owned());
        Ok(Backup { member, extension, holds, ender, output, _turn: turn })
    }
}

impl Backup {
    /// The dump's next bytes; `None` when it is complete.
    ///
    /// # Errors
    /// The dump is not complete: the command failed, or its member died.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        let part = self.output.next().await?;
        let ended = !matches!(part, Ok(Some(_)));
        self.ender.wanted |= ended;
        part.map_err(|refusal| self.output.failed(refusal.reason()))
    }
}
