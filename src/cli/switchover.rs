//! `dotcloud switchover`: another master, with nobody having failed.

use crate::model::{InstanceName, ServiceName};

use super::{CliError, Context};

/// Make another member of a replicated service the master
///
/// Writes are held back until the slave is level, so that none is lost; the address stays the
/// same. Without a member, the most advanced slave is taken. In a stalled group, the member
/// named here is the one to go on with: what only the others hold is lost then.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    pub service: ServiceName,
    /// The member that is to be master, such as db.1
    #[arg(value_name = "SERVICE.N")]
    pub member: Option<InstanceName>,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    if let Some(member) = args.member.as_ref().filter(|member| member.service != args.service) {
        let text = format!("{member} is not a member of {}.", args.service);
        return Err(CliError::usage(text).hint(format!("write {}", args.service.instance(member.index))));
    }
    let to = args.member.map(|member| member.index);
    let master = ctx.client.switchover(app.as_str(), args.service.as_str(), to).await?;
    if ctx.json {
        ctx.ui.json(&serde_json::json!({ "instance_id": master }));
    } else {
        ctx.ui.success(format!("{} is the master now", args.service.instance(master)));
    }
    Ok(0)
}
