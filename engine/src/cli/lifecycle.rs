//! `watershed lifecycle`.

use std::time::Duration;

use clap::Args;
use watershed_connectors::escape::json_line;

use super::books::{BooksArgs, ReportFormat};
use super::inventory::{no_books, time};
use super::{Error, Exit, Output};
use crate::console::api::Question;
use crate::lifecycle::{Change, Evidence, Options, Report, State};
use crate::redact::mask_answer;
use crate::sheet::{Sheet, csv, html, text};

/// Most changes that a page or a terminal shows; JSON and CSV have them all.
const MOST_SHOWN: usize = 5_000;

/// For each joiner, mover, leaver, grant and revocation: when it was said, and when access really changed.
///
/// Access that goes on beyond --grace after it was said to have ended is stale, and shown with the events that prove it.
/// Where no event shows the use of such access (of roles, in most installations) the answer is `unknown`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  watershed lifecycle --recording recording/
  watershed lifecycle --recording recording/ --stale --grace 15m --format csv > stale.csv
  watershed lifecycle --url http://127.0.0.1:9464 --format html > lifecycle.html")]
pub struct LifecycleArgs {
    #[command(flatten)]
    pub(super) input: BooksArgs,
    /// What it is written as.
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub format: ReportFormat,
    /// Only changes after which access went on for too long.
    #[arg(long)]
    pub stale: bool,
    /// How long access may go on after it was said to have ended.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = humantime::parse_duration)]
    pub grace: Duration,
}

pub(super) fn lifecycle(args: &LifecycleArgs, output: &mut Output) -> Result<Exit, Error> {
    let options = Options { grace: args.grace };
    let asked = args.input.ask(&Question::Lifecycle(options))?;
    let mut report = match asked {
        Some(report) => report,
        None => {
            let report = args.input.play()?.core().lifecycle(&options).ok_or_else(no_books)?;
            mask_answer(&report).map_err(Error::failure)?
        }
    };
    if args.stale {
        report.changes.retain(|change| change.state == State::Stale);
    }
    match args.format {
        ReportFormat::Json => output.line(json_line(&report).map_err(Error::failure)?)?,
        ReportFormat::Csv => output.text(csv(&everything(&report)))?,
        ReportFormat::Html => output.text(html("Lifecycle of access", &notes(&report), &sheets(&report)))?,
        ReportFormat::Table => {
            for note in notes(&report) {
                output.line(note)?;
            }
            for sheet in sheets(&report) {
                output.line("")?;
                output.text(text(&sheet))?;
            }
        }
    }
    Ok(Exit::Fine)
}

fn notes(report: &Report) -> Vec<String> {
    let Some(until) = report.until else { return vec!["No event was accepted.".to_owned()] };
    let grace = humantime::format_duration(Duration::from_secs(report.grace_seconds));
    let stale = report.counts.get("stale").copied().unwrap_or_default();
    let mut notes = vec![format!(
        "Events until {until}. After {stale} changes access went on for more than {grace} after it was said to have ended."
    )];
    for cut in &report.cut {
        notes.push(format!(
            "Only {} of about {} {} are kept: `inventory.entries` is reached.",
            cut.kept, cut.about, cut.what
        ));
    }
    if report.out_of_order > 0 {
        notes.push(format!(
            "{} rows came after their minute had to be folded for want of room; what they say may be off.",
            report.out_of_order
        ));
    }
    notes
}

fn sheets(report: &Report) -> Vec<Sheet> {
    let columns = [
        "change",
        "access",
        "said by",
        "count",
        "measured",
        "half within",
        "9 of 10 within",
        "longest",
        "stale",
        "unknown",
    ];
    let mut delays = Sheet::new("How long it took", &columns);
    delays.rows = report
        .delays
        .iter()
        .map(|delays| {
            vec![
                delays.what.name().to_owned(),
                if delays.begins { "begins" } else { "ends" }.to_owned(),
                delays.source.clone(),
                delays.count.to_string(),
                delays.measured.to_string(),
                duration(delays.p50_ms),
                duration(delays.p90_ms),
                duration(delays.max_ms),
                delays.stale.to_string(),
                delays.unknown.to_string(),
            ]
        })
        .collect();
    let of = |title: &str, wanted: &dyn Fn(&Change) -> bool| {
        let columns =
            ["change", "whose", "said at", "said by", "event", "state", "delay", "first or last access", "event"];
        let changes: Vec<&Change> = report.changes.iter().filter(|change| wanted(change)).collect();
        let title = if changes.len() > MOST_SHOWN {
            format!("{title}: the first {MOST_SHOWN} of {}", changes.len())
        } else {
            title.to_owned()
        };
        let mut sheet = Sheet::new(title, &columns);
        sheet.rows = changes.into_iter().take(MOST_SHOWN).map(short).collect();
        sheet
    };
    let stale = of("Stale: access went on", &|change| change.state == State::Stale);
    let others = of("Other changes", &|change| change.state != State::Stale);
    [delays, stale, others].into_iter().filter(|sheet| !sheet.rows.is_empty()).collect()
}

fn short(change: &Change) -> Vec<String> {
    let last =
        [&change.first_use, &change.last_use, &change.last_minted, &change.last_session, &change.last_credential_use];
    let last = last.into_iter().flatten().max();
    let whose = match &change.name {
        Some(name) => format!("{} {name}", change.subject),
        None => change.subject.clone(),
    };
    vec![
        format!("{} ({})", change.what.name(), change.kind),
        whose,
        change.said_at.to_string(),
        change.source.clone(),
        change.event_id.clone(),
        change.state.name().to_owned(),
        duration(change.delay_ms),
        last.map(|last| format!("{} by {}", last.at, last.source)).unwrap_or_default(),
        last.map(|last| last.event_id.clone()).unwrap_or_default(),
    ]
}

/// The two greatest units of a time span: a month is none, it has no length.
fn duration(ms: Option<u64>) -> String {
    let Some(ms) = ms else { return String::new() };
    let seconds = ms / 1_000;
    let units = [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let first = units.iter().position(|(count, _)| *count > 0);
    match first {
        None if ms > 0 => format!("{ms}ms"),
        None => "0s".to_owned(),
        Some(first) => {
            let shown = units.iter().skip(first).take(2).filter(|(count, _)| *count > 0);
            shown.map(|(count, unit)| format!("{count}{unit}")).collect::<Vec<_>>().join(" ")
        }
    }
}

/// Every column, for machines that read tables.
fn everything(report: &Report) -> Sheet {
    let columns = [
        "what",
        "kind",
        "tenant",
        "principal",
        "of",
        "subject",
        "name",
        "said_at",
        "source",
        "event_id",
        "actor",
        "until",
        "state",
        "delay_ms",
        "first_use",
        "first_use_event_id",
        "last_use",
        "last_use_event_id",
        "last_minted",
        "last_minted_event_id",
        "last_session",
        "last_session_event_id",
        "last_credential_use",
        "last_credential_use_event_id",
    ];
    let mut sheet = Sheet::new("lifecycle", &columns);
    let row = |change: &Change| {
        let of = serde_json::to_value(change.of).unwrap_or_default();
        let mut row = vec![
            change.what.name().to_owned(),
            change.kind.clone(),
            change.tenant.clone(),
            change.principal.clone().unwrap_or_default(),
            of.as_str().unwrap_or_default().to_owned(),
            change.subject.clone(),
            change.name.clone().unwrap_or_default(),
            change.said_at.to_string(),
            change.source.clone(),
            change.event_id.clone(),
            change.actor.clone().unwrap_or_default(),
            time(change.until),
            change.state.name().to_owned(),
            change.delay_ms.map(|ms| ms.to_string()).unwrap_or_default(),
        ];
        let seen = [
            &change.first_use,
            &change.last_use,
            &change.last_minted,
            &change.last_session,
            &change.last_credential_use,
        ];
        for evidence in seen {
            row.push(time(evidence.as_ref().map(|evidence: &Evidence| evidence.at)));
            row.push(evidence.as_ref().map(|evidence| evidence.event_id.clone()).unwrap_or_default());
        }
        row
    };
    sheet.rows = report.changes.iter().map(row).collect();
    sheet
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn a_span_has_two_units() {
        let of = |ms: u64| duration(Some(ms));
        assert_eq!([of(0), of(7), of(1_000), of(61_000)], ["0s", "7ms", "1s", "1m 1s"]);
        assert_eq!([of(3_600_000), of(3_605_000), of(8_963_412_000)], ["1h", "1h", "103d 17h"]);
        assert_eq!(duration(None), "");
    }
}
