//! `watershed check`.

use clap::Args;

use super::settings::ConfigFlag;
use super::{Error, Exit, Output};
use crate::check;

/// Find everything that is wrong with a configuration, without asking a network.
#[derive(Debug, Args)]
#[command(
    after_help = "Reads the configuration, the secrets that it names, the rules and their plans, and the routes. \
Prints every problem at once, each with file, line and the way out. Exits 1 when there is an error; warnings alone exit 0."
)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigFlag,
}

pub(super) fn check(args: &CheckArgs, output: &mut Output) -> Result<Exit, Error> {
    let found = check::check(&args.config.config);
    for problem in found.problems.iter() {
        output.line(problem.to_string())?;
    }
    if found.problems.any_error() {
        return Ok(Exit::Findings);
    }
    output.line(format!("{}: fine: {}", args.config.config.display(), found.summary))?;
    Ok(Exit::Fine)
}
