//! `watershed completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Error, Exit, Output};

/// Print a completion script for a shell.
#[derive(Debug, Args)]
#[command(after_help = "Example: watershed completions bash > ~/.local/share/bash-completion/completions/watershed")]
pub(super) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

pub(super) fn completions(args: &CompletionsArgs, output: &mut Output) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "watershed", &mut script);
    output.text(String::from_utf8_lossy(&script))?;
    Ok(Exit::Fine)
}
