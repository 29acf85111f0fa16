//! `watershed incident`.

mod act;
mod export;
mod list;
mod render;
mod source;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use watershed_schemas::{IncidentStatus, Severity, Timestamp, Verdict};

use super::{Error, Exit, Output};
use crate::cases::Filter;
use crate::cases::export::{Page, text};
use crate::cases::view::Viewer;
use source::SourceArgs;

/// Incidents as their owners need them: what happened, how sure it is, what to do first.
#[derive(Debug, Subcommand)]
pub(super) enum IncidentVerb {
    /// List incidents, the latest first.
    List(ListArgs),
    /// Show one: verdict, who moved first, coverage, first moves, reach, both planes' timeline.
    Show(ShowArgs),
    /// Show what happened on both planes, moment by moment, with where each record is.
    Timeline(ShowArgs),
    /// Write one as a document: Markdown, a page, JSON, or an OCSF Incident Finding.
    Export(ExportArgs),
    /// Take one: escalation stops, and the other team sees who has it.
    Ack(act::RemarkArgs),
    /// Close one, and say what it was.
    Close(act::CloseArgs),
    /// Take up one again that was closed.
    Reopen(act::RemarkArgs),
    /// Add something to one.
    Comment(act::CommentArgs),
    /// Show the body of the message that a receiver gets about one.
    Render(render::RenderArgs),
    /// Mask what the case files of a running engine say of a principal; verdicts, times and counts stay.
    Erase(EraseArgs),
}

/// Mask what the case files of a running engine say of a principal.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  watershed incident erase ada@example.com --tenant acme --url http://127.0.0.1:9464 --yes")]
pub(super) struct EraseArgs {
    /// The principal, as incidents name it.
    principal: String,
    /// The organisation that it is of.
    #[arg(long, default_value = "default")]
    tenant: String,
    /// The address of the engine's console. A token of the role admin is read from WATERSHED_TOKEN.
    #[arg(long, value_name = "URL")]
    url: url::Url,
    /// It can't be undone: without this nothing is done.
    #[arg(long)]
    yes: bool,
}

/// List incidents, the latest first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  watershed incident list --recording recording/
  watershed incident list --url http://127.0.0.1:9464 --status open --verdict both
  watershed incident list --runtime otlp:traces.jsonl --identity okta:system.jsonl.gz --json")]
pub(super) struct ListArgs {
    /// Only those that stand so.
    #[arg(long, value_enum)]
    status: Option<Status>,
    /// Only those with this verdict.
    #[arg(long, value_enum)]
    verdict: Option<VerdictName>,
    /// Only those of which something happened at this time or later (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Only those of this organisation.
    #[arg(long)]
    tenant: Option<String>,
    /// Only those of this identity.
    #[arg(long)]
    principal: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    limit: usize,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: SourceArgs,
}

/// Show one incident.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  watershed incident show inc_4f2a --recording recording/
  watershed incident timeline inc_4f2a --url http://127.0.0.1:9464 --for iam")]
pub(super) struct ShowArgs {
    /// Its id; the beginning is enough where no other begins so.
    id: String,
    /// Text for a terminal, or the whole case file as one JSON object.
    #[arg(long, value_enum, default_value_t = ShowFormat::Text)]
    format: ShowFormat,
    #[command(flatten)]
    seen: SeenBy,
    #[command(flatten)]
    source: SourceArgs,
}

/// Write one incident as a document.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  watershed incident export inc_4f2a --format html --output incident.html --recording recording/
  watershed incident export inc_4f2a --format ocsf --url http://127.0.0.1:9464")]
pub(super) struct ExportArgs {
    /// Its id; the beginning is enough where no other begins so.
    id: String,
    /// What it is written as.
    #[arg(long, value_enum)]
    format: ExportFormat,
    /// Where it is written to; else to standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    seen: SeenBy,
    #[command(flatten)]
    source: SourceArgs,
}

/// Who looks at it.
#[derive(Debug, Args)]
struct SeenBy {
    /// Show what this team may see, as its receivers are told: its own plane, of the other only what its findings rest on.
    #[arg(long = "for", value_name = "ai-security|iam|all", default_value = "all")]
    viewer: Viewer,
}

/// What an incident is shown as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ShowFormat {
    /// For a terminal.
    Text,
    /// One JSON object.
    Json,
}

/// What an incident is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// Markdown, for a ticket.
    Md,
    /// One page that needs nothing else, and prints.
    Html,
    /// The case file.
    Json,
    /// An OCSF 1.5 Incident Finding.
    Ocsf,
}

/// Where an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Status {
    Open,
    Acknowledged,
    Resolved,
    Closed,
    Merged,
    Withdrawn,
}

impl From<Status> for IncidentStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Open => IncidentStatus::Open,
            Status::Acknowledged => IncidentStatus::Acknowledged,
            Status::Resolved => IncidentStatus::Resolved,
            Status::Closed => IncidentStatus::Closed,
            Status::Merged => IncidentStatus::Merged,
            Status::Withdrawn => IncidentStatus::Withdrawn,
        }
    }
}

/// Which planes are in, as it is written everywhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum VerdictName {
    ModelAbuse,
    AccessCompromise,
    Both,
}

impl From<VerdictName> for Verdict {
    fn from(name: VerdictName) -> Self {
        match name {
            VerdictName::ModelAbuse => Verdict::ModelAbuse,
            VerdictName::AccessCompromise => Verdict::AccessCompromise,
            VerdictName::Both => Verdict::Both,
        }
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}

pub(super) fn incident(verb: &IncidentVerb, output: &mut Output) -> Result<Exit, Error> {
    match verb {
        IncidentVerb::List(args) => {
            let filter = Filter {
                status: args.status.map(Into::into),
                verdict: args.verdict.map(Into::into),
                since: args.since,
                tenant: args.tenant.clone(),
                principal: args.principal.clone(),
            };
            let entries = args.source.list(&filter, args.limit)?;
            list::write(&entries, args.json, output)?;
        }
        IncidentVerb::Show(args) => show(args, text::show, output)?,
        IncidentVerb::Timeline(args) => show(args, text::timeline, output)?,
        IncidentVerb::Export(args) => export::export(args, output)?,
        IncidentVerb::Ack(args) => act::act(act::Deed::Acknowledge(args), output)?,
        IncidentVerb::Close(args) => act::act(act::Deed::Close(args), output)?,
        IncidentVerb::Reopen(args) => act::act(act::Deed::Reopen(args), output)?,
        IncidentVerb::Comment(args) => act::act(act::Deed::Comment(args), output)?,
        IncidentVerb::Render(args) => render::render(args, output)?,
        IncidentVerb::Erase(args) if !args.yes => {
            return Err(Error::Usage("what is erased can't be had back; say --yes".to_owned()));
        }
        IncidentVerb::Erase(args) => {
            let cases = source::erase(&args.url, &args.tenant, &args.principal)?;
            output.line(format!("masked in {cases} case files"))?;
        }
    }
    Ok(Exit::Fine)
}

fn show(args: &ShowArgs, lines: fn(&Page) -> Vec<String>, output: &mut Output) -> Result<(), Error> {
    let case = args.source.case(&args.id, args.seen.viewer)?;
    match args.format {
        ShowFormat::Text => lines(&Page::of(&case)).into_iter().try_for_each(|line| output.line(line)),
        ShowFormat::Json => output.line(watershed_connectors::escape::json_line(&case).map_err(Error::failure)?),
    }
}

/// Severity as a column.
fn severity(severity: Severity) -> &'static str {
    severity.name()
}
