//! The command line: one verb, one file.
//!
//! Exit codes are part of the interface: 0 fine; 1 findings of `check`, of `rules lint`, `test`, `explain`, `bench`, and of `receivers test`; 2 bad
//! usage, or bad configuration for the other verbs; 3 a failure while running. Results go to standard output, everything
//! else to standard error.

mod blast_radius;
mod books;
mod check;
mod completions;
mod demo;
mod formats;
mod identity;
mod incident;
mod input_file;
mod inventory;
mod lifecycle;
mod output;
mod receivers;
mod record;
mod replay;
mod routes;
mod rules;
mod run;
mod settings;
mod silence;
mod stop;
#[cfg(test)]
mod tests;
mod version;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Problems;

pub use blast_radius::BlastRadiusArgs;
pub use books::{BooksArgs, ReportFormat};
pub use demo::DemoArgs;
pub use formats::OwnMappings;
pub use input_file::InputFile;
pub use inventory::InventoryArgs;
pub use lifecycle::LifecycleArgs;
pub use output::Output;
pub use replay::{ReplayArgs, Speed};
pub use rules::{BenchArgs, ExplainArgs, RulesTestArgs, RulesVerb, SampleArgs};
pub use run::RunArgs;
pub use stop::Stop;

/// Reads AI runtime and identity telemetry as two streams, correlates them with rules in SQL, and tells the team that
/// owns what was found.
#[derive(Debug, Parser)]
#[command(name = "watershed", version, max_term_width = 110, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  watershed demo                                         see three incidents and who is told of them
  watershed check --config watershed.toml                find every mistake before a start
  watershed run --config watershed.toml                  run beside a SIEM
  watershed replay recording/ --signals out.jsonl        try rules on what was recorded
  watershed replay --runtime otlp:traces.jsonl --identity okta:system.jsonl.gz

Exit codes: 0 fine, 1 findings of check, rules lint or rules test, 2 bad usage or configuration, 3 failure.
Colours are off when NO_COLOR is set or the output is no terminal.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show three stories of attack end to end, with nothing else running.
    Demo(DemoArgs),
    /// Run recordings or plain files through the production pipeline, offline.
    Replay(ReplayArgs),
    /// Run: read the input of a configuration, tell its receivers.
    Run(RunArgs),
    /// Record both streams from Kafka as they are, for `replay`.
    Record(record::RecordArgs),
    /// Find everything that is wrong with a configuration, offline.
    Check(check::CheckArgs),
    /// Lint, test, explain, measure and export rules.
    #[command(subcommand)]
    Rules(RulesVerb),
    /// What formats of telemetry are read.
    #[command(subcommand)]
    Formats(formats::FormatsVerb),
    /// List, show and export incidents, with both planes' timeline.
    #[command(subcommand)]
    Incident(incident::IncidentVerb),
    /// List agents, workloads, credentials, scopes and tools, and what is wrong with them.
    Inventory(InventoryArgs),
    /// Show when access really changed after it was said to.
    Lifecycle(LifecycleArgs),
    /// Show who is who: ids, links and conflicts.
    #[command(subcommand)]
    Identity(identity::IdentityVerb),
    #[command(name = "blast-radius")]
    BlastRadius(BlastRadiusArgs),
    /// List receivers and try them out.
    #[command(subcommand)]
    Receivers(receivers::ReceiversVerb),
    /// Who is told of what: show the routes, and try them.
    #[command(subcommand)]
    Routes(routes::RoutesVerb),
    /// Ask not to be called about something, for a while.
    #[command(subcommand)]
    Silence(silence::SilenceVerb),
    /// The version and what it was built with.
    Version,
    /// A completion script for a shell.
    Completions(completions::CompletionsArgs),
}

/// How a verb ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// As asked.
    Fine,
    /// With findings.
    Findings,
}

/// Why a verb could not do what was asked, by exit code.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line or the configuration is wrong: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The configuration is wrong; each problem says so itself: exit code 2.
    #[error("{0}")]
    Configuration(Problems),
    /// It failed while running: exit code 3.
    #[error("{0}")]
    Failure(String),
    /// Nobody reads the output any more: not an error.
    #[error("the reader of the output has gone away")]
    ReaderGone,
}

impl Error {
    /// A failure with what led to it.
    pub fn failure(error: impl std::fmt::Display) -> Self {
        Error::Failure(error.to_string())
    }

    /// A mistake of whoever called.
    pub fn usage(error: impl std::fmt::Display) -> Self {
        Error::Usage(error.to_string())
    }

    fn code(&self) -> u8 {
        match self {
            Error::Usage(_) | Error::Configuration(_) => 2,
            Error::Failure(_) => 3,
            Error::ReaderGone => 0,
        }
    }
}

/// Parses the command line, does what it says, and gives the exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output and end with 0. A closed output is no reason to complain.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    // Fails only where a provider is installed already, which then serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut output = Output::stdout();
    let result = dispatch(cli.verb, &mut output).and_then(|exit| output.flush().map(|()| exit));
    match result {
        Ok(Exit::Fine) => ExitCode::SUCCESS,
        Ok(Exit::Findings) => ExitCode::from(1),
        Err(error) => {
            match &error {
                Error::ReaderGone => {}
                Error::Configuration(problems) => output::complain(&problems.to_string()),
                error => output::complain(&format!("error: {error}")),
            }
            ExitCode::from(error.code())
        }
    }
}

fn dispatch(verb: Verb, output: &mut Output) -> Result<Exit, Error> {
    match verb {
        Verb::Demo(args) => demo::demo(&args, output),
        Verb::Replay(args) => replay::replay(&args, output),
        Verb::Run(args) => run::run(&args, output),
        Verb::Record(args) => record::record(&args, output),
        Verb::Check(args) => check::check(&args, output),
        Verb::Rules(verb) => rules::rules(verb, output),
        Verb::Formats(verb) => formats::formats(&verb, output),
        Verb::Incident(verb) => incident::incident(&verb, output),
        Verb::Inventory(args) => inventory::inventory(&args, output),
        Verb::Lifecycle(args) => lifecycle::lifecycle(&args, output),
        Verb::Identity(verb) => identity::identity(&verb, output),
        Verb::BlastRadius(args) => blast_radius::blast_radius(&args, output),
        Verb::Receivers(verb) => receivers::receivers(&verb, output),
        Verb::Routes(verb) => routes::routes(&verb, output),
        Verb::Silence(verb) => silence::silence(&verb, output),
        Verb::Version => version::version(output),
        Verb::Completions(args) => completions::completions(&args, output),
    }
}
