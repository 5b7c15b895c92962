//! The command line's shape: global options and all verbs.

use clap::{Parser, Subcommand};

use crate::model::AppName;

use super::ui::Color;
use super::*;

/// The dotCloud platform on one machine, in Docker containers
#[derive(Debug, Parser)]
#[command(
    name = "dotcloud",
    version,
    max_term_width = 100,
    after_help = "`dotcloud up` in a folder with a dotcloud.yml builds and runs the application it describes.\n\
                  `dotcloud help COMMAND` says more about a command, `dotcloud help exit-codes` how commands end.\n\
                  DOTCLOUD_HOME is the folder of the daemon [default: ~/.dotcloud-local]."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The application [default: DOTCLOUD_APPLICATION, or the one of this folder]
    #[arg(short = 'A', long, global = true, value_name = "NAME", env = "DOTCLOUD_APPLICATION", hide_env = true)]
    pub application: Option<AppName>,
    /// Answer every question with yes; also --yes
    #[arg(short = 'y', long, global = true, alias = "yes", conflicts_with = "assume_no")]
    pub assume_yes: bool,
    /// Answer every question with no
    #[arg(short = 'o', long, global = true)]
    pub assume_no: bool,
    /// Print data as JSON, one document a line when following
    #[arg(long = "json", global = true)]
    pub json: bool,
    /// Print results and errors alone
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// When to colour: auto, always or never; auto honours NO_COLOR
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub color: Color,
    /// Print what helps to find a fault, such as trace ids
    #[arg(short = 'D', long, global = true)]
    pub debug: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Up(up::Args),
    Down(down::Args),
    Watch(watch::Args),
    Push(push::Args),
    Deploy(deploy::Args),
    Scale(scale::Args),
    Info(info::Args),
    Status(status::Args),
    Url(url::Args),
    Open(open::Args),
    Logs(logs::Args),
    #[command(alias = "ssh")]
    Run(run::Args),
    Copy(copy::Args),
    Mail(mail::Args),
    Backup(backup::Args),
    Restore(restore::Args),
    Snapshot(snapshot::Args),
    Restart(restart::Args),
    Switchover(switchover::Args),
    Connections(connections::Args),
    Kill(kill::Args),
    Pause(pause::Args),
    Unpause(unpause::Args),
    Env(env::Args),
    Create(create::Args),
    Destroy(destroy::Args),
    List(list::Args),
    Connect(connect::Args),
    Disconnect(disconnect::Args),
    App(app::Args),
    Revisions(revisions::Args),
    Dlist(dlist::Args),
    Dlogs(dlogs::Args),
    Activity(activity::Args),
    Race(race::Args),
    Ledger(ledger::Args),
    Validate(validate::Args),
    Doctor(doctor::Args),
    Daemon(daemon::Args),
    Completions(completions::Args),
    /// How commands end, for scripts
    #[command(name = "exit-codes", hide = true, long_about = exit_codes::table())]
    ExitCodes,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn application_may_stand_before_or_behind_the_verb() {
        for line in ["dotcloud -A ramen url www", "dotcloud url -A ramen www", "dotcloud url www --application ramen"] {
            assert_eq!(parse(line).unwrap().global.application.unwrap().as_str(), "ramen", "{line}");
        }
        assert!(parse("dotcloud -A Ramen! url").is_err());
        assert!(parse("dotcloud -y -o list").is_err());
    }

    #[test]
    fn command_of_run_keeps_its_own_options() {
        for line in ["dotcloud run www.1 -- ls -la -A x", "dotcloud run www.1 ls -la -A x"] {
            let Command::Run(args) = parse(line).unwrap().command else { panic!("{line}") };
            assert_eq!(
                (args.target.as_str(), args.command),
                ("www.1", ["ls", "-la", "-A", "x"].map(String::from).into())
            );
        }
        let Command::Run(args) = parse("dotcloud ssh db.master").unwrap().command else { panic!() };
        assert!(args.command.is_empty());
    }

    #[test]
    fn json_is_understood_by_a_verb_with_its_own_option() {
        let Command::Validate(args) = parse("dotcloud validate --json x").unwrap().command else { panic!() };
        assert!(args.json);
    }
}
