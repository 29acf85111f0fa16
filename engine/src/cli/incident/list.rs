//! The list.

use comfy_table::{ContentArrangement, Table, presets};
use watershed_connectors::escape::{json_line, one_line};
use watershed_schemas::IncidentStatus;

use super::{Error, Output, severity};
use crate::cases::Entry;

/// Longest name in a cell.
const CELL: usize = 60;

pub(super) fn write(entries: &[Entry], json: bool, output: &mut Output) -> Result<(), Error> {
    if json {
        return entries.iter().try_for_each(|entry| output.line(json_line(entry).map_err(Error::failure)?));
    }
    if entries.is_empty() {
        return output.line("there is no such incident");
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["incident", "last signal", "status", "severity", "verdict", "principal", "signals", "rules"]);
    for entry in entries {
        table.add_row([
            one_line(&entry.incident_id, CELL),
            entry.last_event_time.to_string(),
            status(entry.status).to_owned(),
            severity(entry.severity).to_owned(),
            entry.verdict.name().to_owned(),
            entry.principal.as_deref().map_or_else(|| "-".to_owned(), |principal| one_line(principal, CELL)),
            entry.signals.to_string(),
            one_line(&entry.rules.join(", "), CELL),
        ]);
    }
    table.lines().try_for_each(|line| output.line(line.trim_end()))
}

fn status(status: IncidentStatus) -> &'static str {
    match status {
        IncidentStatus::Open => "open",
        IncidentStatus::Acknowledged => "acknowledged",
        IncidentStatus::Resolved => "resolved",
        IncidentStatus::Closed => "closed",
        IncidentStatus::Merged => "merged",
        IncidentStatus::Withdrawn => "withdrawn",
    }
}
