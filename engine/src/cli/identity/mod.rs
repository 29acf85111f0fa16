//! `watershed identity`.

mod ask;
mod source;
#[cfg(test)]
mod tests;
mod text;

use clap::{Args, Subcommand};
use watershed_schemas::Timestamp;

use super::{Error, Exit, Output};
use crate::console::api::Question;

pub(super) use ask::{TOKEN, ask, fetch, post};
pub(super) use source::SourceArgs;

/// Who is who.
#[derive(Debug, Subcommand)]
pub(super) enum IdentityVerb {
    /// Show a principal: its ids and where they were learned, who answers for it, for whom it acts.
    Show(ShowArgs),
    /// List the links between ids that were refused, and why.
    Conflicts(ConflictsArgs),
}

/// Show a principal: its ids and where they were learned, who answers for it, for whom it acts.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  watershed identity show alice@example.com --recording recording/
  watershed identity show 00u1a2b3c4d5e6f7g8h9 --identity okta:system.jsonl.gz --json
  watershed identity show arn:aws:iam::123456789012:user/ada --at 2026-03-01T10:00:00Z --url http://127.0.0.1:9464")]
pub(super) struct ShowArgs {
    /// Any id of the principal.
    id: String,
    /// The organisation that it is of.
    #[arg(long, default_value = "default")]
    tenant: String,
    /// Show what was known of events up to this time (RFC 3339), and what held then. Ids are tied together for all time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: SourceArgs,
}

/// List the links between ids that were refused, and why.
#[derive(Debug, Args)]
pub(super) struct ConflictsArgs {
    /// Only those of this organisation.
    #[arg(long)]
    tenant: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    limit: usize,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: SourceArgs,
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}

pub(super) fn identity(verb: &IdentityVerb, output: &mut Output) -> Result<Exit, Error> {
    let (question, source, json) = match verb {
        IdentityVerb::Show(args) => {
            let ShowArgs { id, tenant, at, json, source } = args;
            (Question::Identity { tenant: tenant.clone(), id: id.clone(), at: *at }, source, *json)
        }
        IdentityVerb::Conflicts(args) => {
            let ConflictsArgs { tenant, limit, json, source } = args;
            (Question::Conflicts { tenant: tenant.clone(), limit: *limit }, source, *json)
        }
    };
    let answer = source.answer(&question)?;
    if json {
        output.line(answer.to_string())?;
    } else {
        text::lines(&question, &answer).into_iter().try_for_each(|line| output.line(line))?;
    }
    Ok(Exit::Fine)
}
