//! The instance's end of a copy: what runs there, and how it ended.

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::api::client::{ExecClient, ExecReader};
use crate::api::types::{ExecRequest, Frame};
use crate::cli::Context;
use crate::cli::error::CliError;
use crate::model::{AppName, InstanceName};

/// Sends `d` and a tar of a folder's content, or `f` and a tar of one file.
pub const READ: &str = r#"cd || exit 70
real=$(readlink -f -- "$1") && [ -e "$real" ] || { echo "there is no ${1#./}" >&2; exit 44; }
if [ -d "$real" ]; then printf d; exec tar -cf - -C "$real" .; fi
[ -f "$real" ] || { echo "${1#./} is neither a file nor a folder" >&2; exit 44; }
[ -r "$real" ] || { echo "${1#./} cannot be read" >&2; exit 44; }
printf f; exec tar -cf - -C "$(dirname -- "$real")" -- "$(basename -- "$real")"
"#;

/// Takes a tar of one file, called `file`, and puts it where `$1` says, at once and whole; in a folder
/// under the name `$2`.
pub const WRITE_FILE: &str = r#"umask 022; cd || exit 70
said=${1#./} to=$1
if [ -d "$to" ]; then
    [ -n "$2" ] || { echo "$said is a folder: $said/ takes a tar" >&2; exit 44; }
    to=$to/$2
else
    case $to in */) echo "there is no folder $said" >&2; exit 44;; esac
fi
folder=$(dirname -- "$to")
[ -d "$folder" ] || { echo "there is no folder ${folder#./}" >&2; exit 44; }
[ ! -d "$to" ] || { echo "${to#./} is a folder" >&2; exit 44; }
new=$(mktemp -d "$folder/.copy-XXXXXX") || exit 44
trap 'rm -rf "$new"' EXIT
trap 'exit 1' HUP INT TERM
tar -xpf - -C "$new" --no-same-owner && mv -f -- "$new/file" "$to"
"#;

/// Takes a tar of a folder's content and puts it into `$1`; when that exists, into `$2` in it.
pub const WRITE_FOLDER: &str = r#"umask 022; cd || exit 70
to=$1
[ ! -d "$to" ] || [ -z "$2" ] || to=$to/$2
[ -d "$to" ] || [ ! -e "$to" ] || { echo "${to#./} is no folder" >&2; exit 44; }
folder=$(dirname -- "$to")
[ -d "$folder" ] || { echo "there is no folder ${folder#./}" >&2; exit 44; }
mkdir -p -- "$to" && exec tar -xpf - -C "$to" --no-same-owner
"#;

/// The entry of a single file, whose own name may be no text.
pub const ENTRY: &str = "file";
/// Bytes of a command's words to the user that are kept.
const WORDS: usize = 4096;
/// tar: a file changed while it was read. That is what files do that are written to.
const CHANGED: i32 = 1;

/// Starts one of the scripts in an instance.
pub async fn start(
    app: &AppName,
    instance: &InstanceName,
    script: &str,
    arguments: &[&str],
    ctx: &Context,
) -> Result<ExecClient, CliError> {
    let mut command: Vec<String> = ["sh", "-c", script, "copy"].map(str::to_owned).into();
    command.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    let wanted = ExecRequest { command, tty: None, stdin: script != READ };
    Ok(ctx.client.exec(app.as_str(), instance.service.as_str(), instance.index, &wanted).await?)
}

/// Passes on what the script sends and waits for its end; returns what it said of single files.
///
/// # Errors
/// It failed, in its own words, or the connection was lost.
pub async fn finish(
    instance: InstanceName,
    mut reader: ExecReader,
    output: Option<mpsc::Sender<Bytes>>,
) -> Result<Vec<String>, CliError> {
    let mut words = Vec::new();
    while let Some(frame) = reader.next().await? {
        match frame {
            Frame::Stdout(bytes) => {
                if let Some(output) = &output
                    && output.send(bytes).await.is_err()
                {
                    // Whoever took it failed, and says why.
                    return Ok(Vec::new());
                }
            }
            Frame::Stderr(bytes) => {
                words.extend_from_slice(&bytes[..bytes.len().min(WORDS.saturating_sub(words.len()))]);
            }
            Frame::Exit(0) => return Ok(told(&words)),
            Frame::Exit(CHANGED) if output.is_some() => return Ok(told(&words)),
            Frame::Exit(code) => return Err(failed(&instance, code, &words)),
            Frame::Failed(why) => return Err(CliError::failed(format!("{instance}: {why}"))),
            Frame::Stdin(_) | Frame::Resize(_) => {}
        }
    }
    Err(CliError::failed(format!("The connection to {instance} was lost before the copy was complete."))
        .hint("the instance may have been replaced: `dotcloud status`"))
}

fn told(words: &[u8]) -> Vec<String> {
    let words = String::from_utf8_lossy(words);
    let lines = words.lines().map(|line| line.strip_prefix("tar: ").unwrap_or(line));
    // tar sums up what it has said before.
    let lines = lines.filter(|line| !line.starts_with("Exiting with") && !line.starts_with("Error is not"));
    // So it calls a write that filled the disk.
    lines.map(|line| line.replace(": Wrote only", ": No space left: wrote only")).collect()
}

fn failed(instance: &InstanceName, code: i32, words: &[u8]) -> CliError {
    let told = told(words);
    let why = if told.is_empty() { format!("it ended with exit code {code}") } else { told.join("; ") };
    CliError::failed(format!("{instance}: {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_tar_are_told_without_its_name() {
        let words = b"tar: big: Cannot write: No space left on device\ntar: Exiting with failure status\n";
        let error = failed(&"www.1".parse().unwrap(), 2, words);
        assert_eq!(error.message, "www.1: big: Cannot write: No space left on device.");
        let full = failed(&"www.1".parse().unwrap(), 2, b"tar: big: Wrote only 6656 of 10240 bytes\n");
        assert_eq!(full.message, "www.1: big: No space left: wrote only 6656 of 10240 bytes.");
        assert_eq!(failed(&"www.1".parse().unwrap(), 137, b"").message, "www.1: it ended with exit code 137.");
    }
}
