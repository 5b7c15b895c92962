//! `dotcloud connections`: who is connected to a data service.

use crate::api::types::Connection;
use crate::model::ServiceName;

use super::dlist::moment;
use super::table::{row, size, table};
use super::{CliError, Context};

/// List the open connections of a data service
///
/// A connection from one of the application's containers is shown with the instance's name.
/// `dotcloud info SERVICE` has the counts.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    pub service: ServiceName,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    let connections = ctx.client.connections(app.as_str(), args.service.as_str()).await?;
    if ctx.json {
        ctx.ui.json(&connections);
        return Ok(0);
    }
    if connections.is_empty() {
        ctx.ui.info(format!("Nobody is connected to {}", args.service));
        return Ok(0);
    }
    let head = row(["peer", "since", "epoch", "received", "sent"]);
    let rows: Vec<_> = std::iter::once(head).chain(connections.iter().map(line)).collect();
    ctx.ui.print(table(&rows));
    Ok(0)
}

fn line(of: &Connection) -> Vec<String> {
    row([&of.peer, &moment(&of.since), &of.epoch.to_string(), &size(of.received), &size(of.sent)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_one_row() {
        let since = "2026-11-22T03:04:05.000006Z".to_owned();
        let connection = Connection { peer: "www.0".into(), since, epoch: 3, received: 2048, sent: 10 };
        assert_eq!(line(&connection), ["www.0", "2026-11-22 03:04:05", "3", "2.0 K", "10.0"]);
    }
}
