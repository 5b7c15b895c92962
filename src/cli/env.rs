//! `dotcloud env`: the variables of an application.

use std::collections::BTreeMap;

use crate::api::types::DeployRequest;
use crate::model::AppName;

use super::{CliError, Context, deploy};

/// List, set and unset the variables of an application
///
/// They are in the environment of every process and win over those of the build file. A change
/// takes effect with a deployment, which follows at once. The list has the addresses and logins of
/// the services as well.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Debug, Clone, clap::Subcommand)]
pub enum Action {
    /// Print the variables
    List,
    /// Set variables and deploy
    Set {
        #[arg(value_name = "NAME=VALUE", required = true, value_parser = assignment)]
        variables: Vec<(String, String)>,
        /// Leave it to the next deployment
        #[arg(long)]
        no_deploy: bool,
    },
    /// Unset variables and deploy
    Unset {
        #[arg(value_name = "NAME", required = true, value_parser = name)]
        variables: Vec<String>,
        /// Leave it to the next deployment
        #[arg(long)]
        no_deploy: bool,
    },
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    match args.action {
        Action::List => list(&app, ctx).await?,
        Action::Set { variables, no_deploy } => {
            let changes = variables.into_iter().map(|(name, value)| (name, Some(value))).collect();
            change(&app, &changes, no_deploy, ctx).await?;
        }
        Action::Unset { variables, no_deploy } => {
            let changes = variables.into_iter().map(|name| (name, None)).collect();
            change(&app, &changes, no_deploy, ctx).await?;
        }
    }
    Ok(0)
}

async fn list(app: &AppName, ctx: &Context) -> Result<(), CliError> {
    let variables = ctx.client.environment(app.as_str()).await?;
    if ctx.json {
        ctx.ui.json(&variables);
        return Ok(());
    }
    ctx.ui.info(format!("Environment variables for application {app}"));
    variables.iter().for_each(|(name, value)| ctx.ui.print(format!("{name}={value}")));
    Ok(())
}

async fn change(
    app: &AppName,
    changes: &BTreeMap<String, Option<String>>,
    no_deploy: bool,
    ctx: &Context,
) -> Result<(), CliError> {
    ctx.client.set_environment(app.as_str(), changes).await?;
    ctx.ui.info(format!("Changed the environment of application {app}"));
    let Some(revision) = ctx.client.revision(app.as_str()).await? else {
        ctx.ui.info("It takes effect with the first deployment");
        return Ok(());
    };
    if no_deploy {
        ctx.ui.info("It takes effect with the next deployment");
        return Ok(());
    }
    let wish = DeployRequest { revision: Some(revision), ..DeployRequest::default() };
    let deployment = deploy::schedule(app, &wish, ctx).await?;
    deploy::finish(app, &deployment, ctx).await
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (left, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name(left)?, value.to_owned()))
}

fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_') {
        return Err(format!("{text:?} is not a variable's name: use letters, digits and _"));
    }
    if text.starts_with("DOTCLOUD_") {
        return Err("names that begin with DOTCLOUD_ belong to the platform".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_hold_anything_and_names_may_not() {
        assert_eq!(assignment("URL=a=b c").unwrap(), ("URL".to_owned(), "a=b c".to_owned()));
        assert_eq!(assignment("EMPTY=").unwrap().1, "");
        assert!(["NAME", "=x", "A-B=1", "DOTCLOUD_X=1"].iter().all(|text| assignment(text).is_err()));
    }
}
