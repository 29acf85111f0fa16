//! `watershed routes`.

mod cases;
mod show;
mod test;

use clap::{Args, Subcommand};

use super::settings::{self, ConfigFlag};
use super::{Error, Exit, Output};
use test::TestArgs;

/// Who is told of what.
#[derive(Debug, Subcommand)]
pub(super) enum RoutesVerb {
    /// Show the tree of routes, and how what they take is told.
    Show(ShowArgs),
    /// Ask who would be told of an incident, or hold a file of incidents against who should be.
    Test(TestArgs),
}

/// Show the tree of routes, and how what they take is told.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    config: ConfigFlag,
}

pub(super) fn routes(verb: &RoutesVerb, output: &mut Output) -> Result<Exit, Error> {
    match verb {
        RoutesVerb::Show(args) => {
            let routes = settings::load(&args.config.config)?.config.routes;
            output.text(show::tree(&routes))?;
            Ok(Exit::Fine)
        }
        RoutesVerb::Test(args) => test::test(args, output),
    }
}
