//! `dotcloud run`: a command or a shell in an instance.

mod terminal;

use std::io::IsTerminal;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::api::client::{ExecReader, ExecWriter};
use crate::api::types::{ExecRequest, Frame, Resolved};

use super::{CliError, Context, target};
use terminal::RawTerminal;

/// Run a command in an instance; without a command, open a shell
///
/// `www` is the first instance, `db` the current master. The shell of a database is beside its
/// server, where `mysql`, `psql`, `redis-cli` and `mongo` log in by themselves, as they do when they
/// are the command. A single argument with spaces is given to the shell:
/// `dotcloud run www 'ls | wc -l'`. The exit code is the command's.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[arg(value_name = "SERVICE[.N|.master|.slave]", value_parser = target::role)]
    pub target: String,
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
    /// No terminal, even when this is one
    #[arg(short = 'T', long)]
    pub no_tty: bool,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    let to = ctx.client.resolve(app.as_str(), &args.target).await?;
    let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal() && !args.no_tty;
    let tty = if is_terminal { terminal::size() } else { None };
    announce(&args, &to, app.as_str(), ctx);
    let wanted = ExecRequest { command: command(args.command), tty, stdin: true };
    let exec = ctx.client.exec(app.as_str(), &to.service, to.instance_id, &wanted).await?;
    let _raw = tty.and_then(|_| RawTerminal::enter());
    // The task ends with the program: a read of the terminal cannot be taken back.
    tokio::spawn(send(exec.writer, tty.is_some()));
    receive(exec.reader).await
}

fn announce(args: &Args, to: &Resolved, app: &str, ctx: &Context) {
    let place = format!("on service ({}) instance #{} (application {app})", to.service, to.instance_id);
    if args.command.is_empty() {
        ctx.ui.info(format!("Opening a shell {place}"));
    } else {
        ctx.ui.info(format!("Executing \"{}\" {place}", args.command.join(" ")));
    }
}

/// dotCloud gave every command to a shell, unquoted. Here only one that cannot be a program's
/// name is, so that arguments with spaces survive.
fn command(words: Vec<String>) -> Vec<String> {
    match words.as_slice() {
        [line] if line.contains(|c: char| c.is_whitespace() || "|&;<>$`*?".contains(c)) => {
            ["bash", "-lc", line].map(str::to_owned).into()
        }
        _ => words,
    }
}

/// Input and, on a terminal, its size.
async fn send(mut writer: ExecWriter, tty: bool) {
    let mut resized = if tty { terminal::resizes() } else { None };
    let (mut stdin, mut buffer) = (tokio::io::stdin(), vec![0; 16 * 1024]);
    let mut open = true;
    loop {
        let frame = tokio::select! {
            read = stdin.read(&mut buffer), if open => match read {
                Ok(count) if count > 0 => Frame::Stdin(Bytes::copy_from_slice(&buffer[..count])),
                _ => { open = false; Frame::Stdin(Bytes::new()) }
            },
            Some(size) = terminal::next_size(&mut resized) => Frame::Resize(size),
            else => return std::future::pending().await,
        };
        if writer.send(frame).await.is_err() {
            return;
        }
    }
}

/// Output until the command's end; its exit code.
async fn receive(mut reader: ExecReader) -> Result<u8, CliError> {
    let (mut stdout, mut stderr) = (tokio::io::stdout(), tokio::io::stderr());
    while let Some(frame) = reader.next().await? {
        match frame {
            Frame::Stdout(bytes) => write(&mut stdout, &bytes).await,
            Frame::Stderr(bytes) => write(&mut stderr, &bytes).await,
            Frame::Exit(code) => return Ok(exit_code(code)),
            Frame::Failed(why) => return Err(CliError::failed(why)),
            Frame::Stdin(_) | Frame::Resize(_) => {}
        }
    }
    Err(CliError::failed("The connection was lost while the command ran.")
        .hint("the instance may have been replaced: `dotcloud status`"))
}

/// A closed output is the reader's choice; the command's exit code still counts.
async fn write(to: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8]) {
    if to.write_all(bytes).await.is_ok() {
        let _ = to.flush().await;
    }
}

/// As a shell would: codes beyond a byte are failures.
fn exit_code(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_line_for_the_shell_goes_to_the_shell() {
        let words = |words: &[&str]| command(words.iter().map(|word| (*word).to_owned()).collect());
        assert_eq!(words(&["ls | wc -l"]), ["bash", "-lc", "ls | wc -l"]);
        assert_eq!(words(&["python", "-c", "print(1)"]), ["python", "-c", "print(1)"]);
        assert_eq!(words(&["env"]), ["env"]);
        assert!(words(&[]).is_empty());
        assert_eq!([exit_code(0), exit_code(137), exit_code(-1), exit_code(300)], [0, 137, 255, 255]);
    }
}
