//! Folders of code services that outlive containers: those that services share, and `~/data` of
//! each instance. They are read and written beside the instances, in a container that has the
//! volume and nothing else, so that it does not matter whether an instance runs.
//!
//! A shared folder is replaced under running instances. `~/data` belongs to one process at a time
//! (`templates/_common/data`): its instance is restarted, and the new directory takes the old
//! one's place while nobody has the lock.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::model::InstanceName;

use super::super::app::App;
use super::super::backup::Words;
use super::super::handle::{Engine, EngineError, Result};
use super::super::runtime::{self, ExecOutput, ExecSpec, RuntimeError};
use super::manifest::Content;

/// A file that changes while it is read is what files do that are written to: code 1 of tar.
const READ: &str = r#"set -eu -o pipefail
cd /volume
case $1 in
  data) [ ! -d current/ ] || cd current/ ;;
esac
[ "$1" = shared ] || [ "$PWD" != /volume ] || cd "$(mktemp -d)"
{ tar -cf - --numeric-owner --exclude=./.dotcloud-restoring . || [ $? -eq 1 ]; } | gzip --fast
"#;

/// Everything is there, unpacked, before anything that was there goes.
const WRITE_SHARED: &str = r#"set -eu -o pipefail
cd /volume
new=.dotcloud-restoring
rm -rf $new && mkdir $new
tar -xpzf - -C $new --numeric-owner
find . -mindepth 1 -maxdepth 1 ! -name $new -exec rm -rf {} +
find $new -mindepth 1 -maxdepth 1 -exec mv -t . {} +
chown --reference=$new . && chmod --reference=$new .
rmdir $new
"#;

/// The old directory goes last: whoever ends this in the middle leaves one of the two whole.
/// Says `ready` when the instance is to let its lock go; nothing when both directories are empty.
const WRITE_DATA: &str = r#"set -eu -o pipefail
cd /volume
new=.dotcloud-restoring
rm -rf $new && mkdir $new
tar -xpzf - -C $new --numeric-owner
[ -n "$(find $new -mindepth 1 -print -quit)" ] ||
  { [ -d current/ ] && [ -n "$(find current/ -mindepth 1 -print -quit)" ]; } || { rmdir $new; exit 0; }
exec 3>>lock
chown --reference=. lock
echo ready
flock --timeout 120 3 || { echo "the instance did not let its ~/data go" >&2; exit 75; }
own=$(mktemp -u XXXXXXXX)
mv -T $new "$own"
ln -sfn "$own" next && chown -h --reference=. next && mv -fT next current
find . -mindepth 1 -maxdepth 1 -type d -name '????????' ! -name "$own" -exec rm -rf {} +
"#;

/// A folder with the volume that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    pub content: Content,
    volume: String,
    image: String,
}

/// All folders of an application that outlive containers. What a deployment makes beside the
/// serving version counts when it serves.
pub fn all(engine: &Engine, app: &App) -> Vec<Folder> {
    let (record, observed) = (app.record(), app.status.borrow().observed.clone());
    let naming = &engine.inner().naming;
    let (mut shared, mut own) = (BTreeMap::new(), Vec::new());
    for service in record.services.iter().filter(|service| !service.doomed) {
        let Some(version) = &service.serving else { continue };
        let place = |content, volume| Folder { content, volume, image: version.image.clone() };
        for name in version.spec.shared_folders.keys() {
            let content = Content::Shared { folder: name.clone() };
            shared.insert(name.clone(), place(content, naming.shared_volume(&app.name, name)));
        }
        own.extend((0..service.instances).map(|index| {
            let instance = service.name.instance(index);
            let volume = naming.volume(&app.name, &instance);
            place(Content::Data { instance }, volume)
        }));
    }
    let exists = |folder: &Folder| observed.volumes.contains(&folder.volume);
    shared.into_values().chain(own).filter(exists).collect()
}

impl Folder {
    /// Its name in a snapshot.
    pub fn file(&self) -> String {
        format!("{}.{}.tar.gz", self.content.name(), self.content.kind())
    }

    pub async fn read(&self, engine: &Engine, app: &App) -> Result<Talk> {
        self.run(engine, app, READ, false).await
    }

    pub async fn write(&self, engine: &Engine, app: &App) -> Result<Talk> {
        let script = if matches!(self.content, Content::Data { .. }) { WRITE_DATA } else { WRITE_SHARED };
        self.run(engine, app, script, true).await
    }

    async fn run(&self, engine: &Engine, app: &App, script: &str, stdin: bool) -> Result<Talk> {
        let command = ["bash", "-c", script, "folder", self.content.kind()].map(str::to_owned).into();
        let spec = ExecSpec { command, stdin, user: Some("0:0".to_owned()), ..ExecSpec::default() };
        let session = engine.inner().runtime.exec_beside(&app.name, &self.image, &self.volume, &spec).await?;
        Ok(Talk { folder: self.clone(), stdin: session.stdin, output: session.output, words: Words::default() })
    }
}

/// A script that reads or writes a folder. Dropped, it ends with its container.
pub struct Talk {
    folder: Folder,
    stdin: Option<mpsc::Sender<Bytes>>,
    output: mpsc::Receiver<runtime::Result<ExecOutput>>,
    words: Words,
}

impl Talk {
    /// What it prints; `None` at its good end.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            match self.output.recv().await {
                Some(Ok(ExecOutput::Stdout(bytes))) => return Ok(Some(bytes)),
                Some(Ok(ExecOutput::Stderr(bytes))) => self.words.hear(&bytes),
                Some(Ok(ExecOutput::Exit(0))) => return Ok(None),
                Some(Ok(ExecOutput::Exit(code))) => return Err(self.failed(code)),
                Some(Err(error)) => return Err(error.into()),
                None => return Err(self.failed(-1)),
            }
        }
    }

    pub async fn send(&mut self, bytes: Bytes) -> bool {
        match &self.stdin {
            Some(stdin) => stdin.send(bytes).await.is_ok(),
            None => false,
        }
    }

    /// Everything was sent; who was restarted for it.
    pub async fn finish(mut self, engine: &Engine, app: &App) -> Result<Option<InstanceName>> {
        self.stdin = None;
        let mut restarted = None;
        while self.next().await?.is_some() {
            if let (Content::Data { instance }, None) = (&self.folder.content, &restarted) {
                let instance = instance.clone();
                engine.restart(&app.name, &instance).await?;
                restarted = Some(instance);
            }
        }
        Ok(restarted)
    }

    fn failed(&self, code: i64) -> EngineError {
        let last = self.words.last_line();
        let why = if last.is_empty() { format!("it ended with exit code {code}") } else { last };
        let attempt = format!("copy the {} {}", self.folder.content.kind(), self.folder.content.name());
        EngineError::Runtime(RuntimeError::Failed { attempt, source: why.into() })
    }
}
