//! `dotcloud help exit-codes`: the table, for scripts.

use super::error::EXIT_CODES;
use super::{CliError, Context};

pub fn run(ctx: &Context) -> Result<u8, CliError> {
    ctx.ui.print(table());
    Ok(0)
}

/// The table as text, also shown as the help of `exit-codes`.
pub fn table() -> String {
    let lines = EXIT_CODES.iter().map(|(code, meaning)| format!("{code:>5}  {meaning}"));
    let table: Vec<String> = lines.collect();
    format!("{}\n\n`dotcloud run` ends with the code of the command it ran.", table.join("\n"))
}
