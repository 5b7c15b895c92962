//! What every verb is given: the way to the daemon, the streams, and the global options.

use std::path::PathBuf;

use crate::api::client::Client;
use crate::api::types::Service;
use crate::model::{AppName, ServiceName};

use super::build_file::FILE_NAME;
use super::connection;
use super::error::CliError;
use super::ui::Ui;

/// The surroundings of one command.
#[derive(Debug, Clone)]
pub struct Context {
    /// Starts the daemon when it is first used.
    pub client: Client,
    pub ui: Ui,
    /// Print data as JSON, one document a line.
    pub json: bool,
    /// `-A`, else `DOTCLOUD_APPLICATION`.
    pub application: Option<AppName>,
    pub answers: Answers,
    /// Print what helps to find a fault: trace ids.
    pub debug: bool,
    /// The current folder.
    pub folder: PathBuf,
}

/// How questions are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// `--assume-yes`.
    Yes,
    /// `--assume-no`.
    No,
    /// On the terminal; without one it is an error.
    Ask,
}

impl Context {
    /// The application that is meant: `-A`, `DOTCLOUD_APPLICATION`, the one that this folder or a
    /// folder above it is connected with, or the one that `up` makes of the folder with the
    /// build file.
    ///
    /// # Errors
    /// None of these says one.
    pub fn app(&self) -> Result<AppName, CliError> {
        if let Some(app) = &self.application {
            return Ok(app.clone());
        }
        if let Some(found) = connection::find(&self.folder)? {
            return Ok(found.application);
        }
        let built = self.folder.ancestors().find(|folder| folder.join(FILE_NAME).exists());
        built.and_then(connection::from_folder).ok_or_else(|| {
            CliError::usage("No application specified.")
                .hint("name it with `-A APPLICATION`")
                .hint("or connect this folder with it: `dotcloud connect APPLICATION`")
        })
    }

    /// The named service, or all of the application.
    ///
    /// # Errors
    /// There is no such service, or the daemon does not answer.
    pub async fn services(&self, app: &AppName, named: Option<&ServiceName>) -> Result<Vec<Service>, CliError> {
        Ok(match named {
            Some(name) => vec![self.client.service(app.as_str(), name.as_str()).await?],
            None => self.client.services(app.as_str()).await?,
        })
    }

    /// Whether [`Self::confirm`] would ask somebody.
    pub fn asks(&self) -> bool {
        matches!(self.answers, Answers::Ask) && self.ui.can_ask()
    }

    /// Asks a yes/no question whose safe answer is no.
    ///
    /// # Errors
    /// There is nobody to ask and neither `--assume-yes` nor `--assume-no` is given.
    pub fn confirm(&self, question: &str) -> Result<bool, CliError> {
        match self.answers {
            Answers::Yes => Ok(true),
            Answers::No => Ok(false),
            Answers::Ask => match self.ui.ask(&format!("{question} [y/N]:")) {
                Some(answer) => Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes")),
                None => Err(CliError::usage(format!("{question} There is no terminal to ask on."))
                    .hint("answer with `--assume-yes` or `--assume-no`")),
            },
        }
    }
}
