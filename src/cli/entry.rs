//! From arguments to an exit code.

use std::ffi::OsString;

use clap::Parser;

use crate::api::client::Client;
use crate::api::home::Home;

use super::command::{Command, Global};
use super::error::{CliError, Kind, chain};
use super::ui::Ui;
use super::*;

/// Runs the command line; returns the exit code. `run_daemon` is what `dotcloud daemon` does: the
/// command line knows nothing of the rooms behind the API, so it is given.
pub fn main(arguments: impl IntoIterator<Item = OsString>, run_daemon: impl FnOnce(Home) -> u8) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are errors too, with exit code 0 and on stdout.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    let ui = Ui::new(cli.global.color, cli.global.quiet, cli.global.json);
    let debug = cli.global.debug;
    let result = match (context(&cli.global, ui.clone()), &cli.command) {
        (Err(error), _) => Err(error),
        (Ok(ctx), Command::Daemon(daemon::Args { action: None })) => Ok(run_daemon(ctx.client.home().clone())),
        (Ok(ctx), _) => block_on(interruptible(cli.command, &ctx)),
    };
    result.unwrap_or_else(|error| report(&error, &ui, debug))
}

fn context(global: &Global, ui: Ui) -> Result<Context, CliError> {
    let home = Home::from_environment().ok_or_else(|| {
        CliError::usage("Neither DOTCLOUD_HOME nor HOME is set.").hint("set DOTCLOUD_HOME to a folder")
    })?;
    let folder =
        std::env::current_dir().map_err(|error| CliError::because("cannot find the current folder", &error))?;
    let answers = match (global.assume_yes, global.assume_no) {
        (true, _) => Answers::Yes,
        (_, true) => Answers::No,
        _ => Answers::Ask,
    };
    let (application, json, debug) = (global.application.clone(), global.json, global.debug);
    Ok(Context { client: Client::new(home), ui, json, application, answers, debug, folder })
}

/// Does not wait for a read of the terminal that nobody needs any more.
fn block_on(work: impl Future<Output = Result<u8, CliError>>) -> Result<u8, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| CliError::because("cannot start", &error))?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

/// Verbs that follow something have their own way to end; all others end at Ctrl-C at once.
async fn interruptible(command: Command, ctx: &Context) -> Result<u8, CliError> {
    let has_its_own_end = match &command {
        Command::Up(_)
        | Command::Watch(_)
        | Command::Logs(_)
        | Command::Dlogs(_)
        | Command::Run(_)
        | Command::Backup(_)
        | Command::Restore(_)
        | Command::Race(_)
        | Command::Ledger(_) => true,
        Command::Kill(args) => args.every.is_some(),
        Command::Pause(args) => args.every.is_some(),
        _ => false,
    };
    if has_its_own_end {
        return dispatch(command, ctx).await;
    }
    tokio::select! {
        biased;
        () = follow::interrupted() => {
            Err(CliError::new(Kind::Interrupted, "Interrupted").hint("what was asked for before goes on in the background"))
        }
        ended = dispatch(command, ctx) => ended,
    }
}

async fn dispatch(command: Command, ctx: &Context) -> Result<u8, CliError> {
    match command {
        Command::Up(args) => up::run(args, ctx).await,
        Command::Down(args) => down::run(args, ctx).await,
        Command::Watch(args) => watch::run(args, ctx).await,
        Command::Push(args) => push::run(args, ctx).await,
        Command::Deploy(args) => deploy::run(args, ctx).await,
        Command::Scale(args) => scale::run(args, ctx).await,
        Command::Info(args) => info::run(args, ctx).await,
        Command::Status(args) => status::run(args, ctx).await,
        Command::Url(args) => url::run(args, ctx).await,
        Command::Open(args) => open::run(args, ctx).await,
        Command::Logs(args) => logs::run(args, ctx).await,
        Command::Run(args) => run::run(args, ctx).await,
        Command::Copy(args) => copy::run(args, ctx).await,
        Command::Mail(args) => mail::run(args, ctx).await,
        Command::Backup(args) => backup::run(args, ctx).await,
        Command::Restore(args) => restore::run(args, ctx).await,
        Command::Snapshot(args) => snapshot::run(args, ctx).await,
        Command::Restart(args) => restart::run(args, ctx).await,
        Command::Connections(args) => connections::run(args, ctx).await,
        Command::Switchover(args) => switchover::run(args, ctx).await,
        Command::Kill(args) => kill::run(args, ctx).await,
        Command::Pause(args) => pause::run(args, ctx).await,
        Command::Unpause(args) => unpause::run(args, ctx).await,
        Command::Env(args) => env::run(args, ctx).await,
        Command::Create(args) => create::run(args, ctx).await,
        Command::Destroy(args) => destroy::run(args, ctx).await,
        Command::List(args) => list::run(args, ctx).await,
        Command::Connect(args) => connect::run(args, ctx).await,
        Command::Disconnect(args) => disconnect::run(args, ctx).await,
        Command::App(args) => app::run(args, ctx).await,
        Command::Revisions(args) => revisions::run(args, ctx).await,
        Command::Dlist(args) => dlist::run(args, ctx).await,
        Command::Dlogs(args) => dlogs::run(args, ctx).await,
        Command::Activity(args) => activity::run(args, ctx).await,
        Command::Race(args) => race::run(args, ctx).await,
        Command::Ledger(args) => ledger::run(args, ctx).await,
        Command::Validate(mut args) => {
            args.json |= ctx.json;
            validate::run(&args).map_err(|error| CliError::failed(chain(&error)))
        }
        Command::Doctor(args) => doctor::run(args, ctx).await,
        Command::Daemon(daemon::Args { action: Some(action) }) => daemon::run(action, ctx).await,
        Command::Daemon(daemon::Args { action: None }) => Ok(0),
        Command::Completions(args) => completions::run(&args, ctx),
        Command::ExitCodes => exit_codes::run(ctx),
    }
}

fn report(error: &CliError, ui: &Ui, debug: bool) -> u8 {
    ui.error(&error.message);
    error.hints.iter().for_each(|hint| ui.detail(format!("  - {hint}")));
    if let (true, Some(trace)) = (debug, &error.trace) {
        ui.detail(format!("  trace id {trace}: `dotcloud daemon status` names the log that tells more"));
    }
    error.kind.exit_code()
}
