//! `watershed inventory`.

use std::time::Duration;

use clap::Args;
use watershed_connectors::escape::json_line;
use watershed_schemas::Timestamp;

use super::books::{BooksArgs, ReportFormat};
use super::{Error, Exit, Output};
use crate::console::api::Question;
use crate::inventory::{Entry, Gap, Options, Report, What};
use crate::redact::mask_answer;
use crate::sheet::{Sheet, csv, html, text};

/// List every agent, workload, credential, token, scope and tool that was seen, who answers for it, and what is wrong.
///
/// Gaps: nobody answers for it (no_owner), never or not lately used (unused), in force for too long (long_lived), used by
/// several (shared), allowed more than it does (over_privileged), used although its owner had left (used_after_owner_left),
/// an agent that the registry doesn't know (unregistered). Ages count back from the newest event.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  watershed inventory --recording recording/ --reference reference/
  watershed inventory --recording recording/ --gaps --format csv > gaps.csv
  watershed inventory --runtime otlp:traces.jsonl --identity okta:system.jsonl --format html > inventory.html
  watershed inventory --url http://127.0.0.1:9464 --max-age 30d

Gaps: nobody answers for it (no_owner), never or not lately used (unused), in force for too long (long_lived), used by
several (shared), allowed more than it does (over_privileged), used although its owner had left (used_after_owner_left),
an agent that the registry doesn't know (unregistered).")]
pub struct InventoryArgs {
    #[command(flatten)]
    pub(super) input: BooksArgs,
    /// What it is written as.
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub format: ReportFormat,
    /// Only entries that have a gap.
    #[arg(long)]
    pub gaps: bool,
    /// How long a credential may be in force.
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = humantime::parse_duration)]
    pub max_age: Duration,
    /// How long before the newest event something must have been used to count as used.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = humantime::parse_duration)]
    pub unused_after: Duration,
}

pub(super) fn inventory(args: &InventoryArgs, output: &mut Output) -> Result<Exit, Error> {
    let options = Options { max_age: args.max_age, unused_after: args.unused_after };
    let asked = args.input.ask(&Question::Inventory(options))?;
    let mut report = match asked {
        Some(report) => report,
        None => {
            let pipeline = args.input.play()?;
            let report = pipeline.core().inventory(&options).ok_or_else(no_books)?;
            mask_answer(&report).map_err(Error::failure)?
        }
    };
    if args.gaps {
        report.entries.retain(|entry| !entry.gaps.is_empty());
    }
    match args.format {
        ReportFormat::Json => output.line(json_line(&report).map_err(Error::failure)?)?,
        ReportFormat::Csv => output.text(csv(&everything(&report)))?,
        ReportFormat::Html => {
            let sheets: Vec<Sheet> = summary(&report).into_iter().chain(by_kind(&report)).collect();
            output.text(html("Inventory", &notes(&report), &sheets))?;
        }
        ReportFormat::Table => {
            for note in notes(&report) {
                output.line(note)?;
            }
            for sheet in summary(&report).into_iter().chain(by_kind(&report)) {
                output.line("")?;
                output.text(text(&sheet))?;
            }
        }
    }
    Ok(Exit::Fine)
}

pub(super) fn no_books() -> Error {
    Error::Failure("the core has kept no inventory".to_owned())
}

pub(super) fn time(time: Option<Timestamp>) -> String {
    time.map(|time| time.to_string()).unwrap_or_default()
}

/// What a reader must know before the tables.
fn notes(report: &Report) -> Vec<String> {
    let (Some(from), Some(until)) = (report.from, report.until) else {
        return vec!["No event was accepted.".to_owned()];
    };
    let mut notes = vec![format!("Events from {from} to {until}; ages and quiet times count back from the end.")];
    if report.registered_agents == 0 {
        notes.push("No registry of agents: owners come from events, and no agent counts as unknown to it.".to_owned());
    }
    if !report.scope_use_is_told {
        notes.push(
            "Which scopes are used is not told: no event names them, and no table `tools` says which tool needs which."
                .to_owned(),
        );
    }
    for cut in &report.cut {
        notes.push(format!(
            "Only {} of about {} {} are kept: `inventory.entries` is reached.",
            cut.kept, cut.about, cut.what
        ));
    }
    notes
}

/// How many there are, and how many of them have which gap.
fn summary(report: &Report) -> Vec<Sheet> {
    let mut seen = Sheet::new("Seen", &["what", "entries"]);
    seen.rows = report.counts.iter().map(|(what, count)| vec![what.clone(), count.to_string()]).collect();
    let mut gaps = Sheet::new("Gaps", &["gap", "entries"]);
    let count = |gap: &Gap| report.gaps.get(gap.name()).copied().unwrap_or_default();
    gaps.rows = Gap::ALL.iter().map(|gap| vec![gap.name().to_owned(), count(gap).to_string()]).collect();
    vec![seen, gaps]
}

/// For each kind what a person looks at first.
fn by_kind(report: &Report) -> Vec<Sheet> {
    let sheet = |what: What| {
        let columns = [
            "id",
            "tenant",
            "owner",
            "last use",
            "days",
            "used by or for",
            "scopes used/held",
            "seen by",
            "gaps",
            "details",
        ];
        let mut sheet = Sheet::new(plural(what), &columns);
        sheet.rows = report.entries.iter().filter(|entry| entry.what == Some(what)).map(short).collect();
        sheet
    };
    What::ALL.into_iter().map(sheet).filter(|sheet| !sheet.rows.is_empty()).collect()
}

fn plural(what: What) -> &'static str {
    match what {
        What::Agent => "Agents",
        What::Workload => "Workloads and service accounts",
        What::Credential => "Credentials",
        What::Tokens => "Tokens, by type and holder",
        What::Scope => "Scopes",
        What::Tool => "Tools",
    }
}

fn short(entry: &Entry) -> Vec<String> {
    let gaps: Vec<&str> = entry.gaps.iter().map(|found| found.gap.name()).collect();
    let details: Vec<&str> = entry.gaps.iter().map(|found| found.detail.as_str()).collect();
    let name = match (entry.names.first(), entry.tokens) {
        (Some(name), _) => format!("{} ({name})", entry.id),
        (None, Some(tokens)) => format!("{} ({tokens})", entry.id),
        (None, None) => entry.id.clone(),
    };
    let others = entry.agents.iter().chain(&entry.principals).map(String::as_str).collect::<Vec<_>>();
    vec![
        name,
        entry.tenant.clone(),
        entry.owners.join(", "),
        time(entry.last_use),
        entry.age_days.map(|days| days.to_string()).unwrap_or_default(),
        few(&others),
        format!("{}/{}", entry.used_scopes.len(), entry.held_scopes.len()),
        entry.sources.join(", "),
        gaps.join(" "),
        details.join("; "),
    ]
}

fn few(names: &[&str]) -> String {
    match names {
        [first, second, rest @ ..] if !rest.is_empty() => format!("{first}, {second} and {} more", rest.len()),
        names => names.join(", "),
    }
}

/// Every column, for machines that read tables.
fn everything(report: &Report) -> Sheet {
    let columns = [
        "what",
        "tenant",
        "id",
        "names",
        "types",
        "planes",
        "sources",
        "first_seen",
        "last_seen",
        "first_use",
        "last_use",
        "last_use_event_id",
        "created_at",
        "age_days",
        "ended_at",
        "owners",
        "owner_from",
        "intended_scopes",
        "intended_tools",
        "held_scopes",
        "used_scopes",
        "used_tools",
        "roles",
        "agents",
        "principals",
        "clients",
        "credentials",
        "tokens",
        "tenants",
        "revocation_path",
        "cut",
        "gaps",
        "details",
    ];
    let mut sheet = Sheet::new("inventory", &columns);
    let list = |names: &[String]| names.join(" ");
    let maybe = |names: &Option<Vec<String>>| names.as_deref().map(list).unwrap_or_default();
    let row = |entry: &Entry| {
        vec![
            entry.what.map_or("", What::name).to_owned(),
            entry.tenant.clone(),
            entry.id.clone(),
            list(&entry.names),
            list(&entry.types),
            list(&entry.planes),
            list(&entry.sources),
            time(entry.first_seen),
            time(entry.last_seen),
            time(entry.first_use),
            time(entry.last_use),
            entry.last_use_event_id.clone().unwrap_or_default(),
            time(entry.created_at),
            entry.age_days.map(|days| days.to_string()).unwrap_or_default(),
            time(entry.ended_at),
            list(&entry.owners),
            entry.owner_from.clone().unwrap_or_default(),
            maybe(&entry.intended.scopes),
            maybe(&entry.intended.tools),
            list(&entry.held_scopes),
            list(&entry.used_scopes),
            list(&entry.used_tools),
            list(&entry.roles),
            list(&entry.agents),
            list(&entry.principals),
            list(&entry.clients),
            list(&entry.credentials),
            entry.tokens.map(|tokens| tokens.to_string()).unwrap_or_default(),
            list(&entry.tenants),
            entry.revocation_path.clone().unwrap_or_default(),
            entry.cut.to_string(),
            entry.gaps.iter().map(|found| found.gap.name()).collect::<Vec<_>>().join(" "),
            entry.gaps.iter().map(|found| found.detail.as_str()).collect::<Vec<_>>().join("; "),
        ]
    };
    sheet.rows = report.entries.iter().map(row).collect();
    sheet
}
