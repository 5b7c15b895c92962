//! `dotcloud copy`: files and folders between this machine and instances.
//!
//! A tar in the instance, a tar here, and the frames of an exec between them: nothing is kept in
//! memory, and every byte is data.

mod download;
mod place;
mod remote;
mod unpack;
mod upload;

use super::{CliError, Context};
use place::Place;

/// Copy files and folders to and from instances
///
/// `dotcloud copy www.0:logs .` or `dotcloud copy data.csv www:data/`. A remote path is relative to the home folder of its instance (~). A folder that exists
/// receives the copy under its own name; `folder/.` means what is in it. Modes and times are
/// kept. Without a number the first instance is read (of a data service the master), and all
/// instances are written. `-` is standard input or output: a file as it is; a folder as a tar,
/// also `copy - www:folder/`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// A path, SERVICE[.N]:PATH, or - for standard input
    #[arg(value_name = "SOURCE")]
    pub from: Place,
    /// A path, SERVICE[.N]:PATH, or - for standard output
    #[arg(value_name = "DESTINATION")]
    pub to: Place,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    match (args.from, args.to) {
        (Place::Remote { aim, path }, to @ (Place::Local(_) | Place::Stream)) => {
            download::run(&app, &aim, &path, &to, ctx).await?;
        }
        (from @ (Place::Local(_) | Place::Stream), Place::Remote { aim, path }) => {
            upload::run(&app, &from, &aim, &path, ctx).await?;
        }
        (Place::Remote { .. }, Place::Remote { .. }) => {
            return Err(CliError::usage("One of the two has to be on this machine.")
                .hint("`dotcloud copy www.0:file - | dotcloud copy - www.1:file` goes through it"));
        }
        _ => {
            return Err(CliError::usage("One of the two has to be in an instance.").hint("write www.0:PATH"));
        }
    }
    Ok(0)
}
