//! What an incident keeps of the events behind it: enough to act on, nothing that must not leave the engine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watershed_schemas::{ColumnSet, Plane, SourceRecord, Timestamp};

use crate::evaluator::{EvidenceText, FINGERPRINTED, RowRef, fingerprint_and_excerpt};
use crate::redact::{Class, mask_known, mask_secrets};
use datafusion::arrow::array::{Array, AsArray};

/// Longest text kept of one column.
const TEXT_CHARS: usize = 200;
/// Longest excerpt of a prompt, completion or arguments.
const EXCERPT_CHARS: usize = 240;

/// One event behind a signal. Texts of prompts, completions and arguments are kept as fingerprints (two teams can see that they
/// mean the same thing without either reading it) and, unless the settings forbid it, as an excerpt with secrets masked. Who
/// of those that are told is shown an excerpt is a question of its class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Its plane.
    pub plane: Plane,
    /// Its id.
    pub event_id: String,
    /// Its time.
    pub event_time: Timestamp,
    /// Its kind.
    pub kind: String,
    /// The columns that have a value and that somebody may see, by name.
    pub columns: BTreeMap<String, String>,
    /// The record that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceRecord>,
}

/// Columns that are copied as they are. What is not named here never leaves the engine.
fn copied(plane: Plane) -> &'static [&'static str] {
    match plane {
        Plane::Model => &[
            "source",
            "session_id",
            "agent_id",
            "agent_name",
            "principal",
            "on_behalf_of",
            "client_id",
            "credential_id",
            "provider",
            "model",
            "tool",
            "tool_call_id",
            "target",
            "outcome",
            "verdict",
            "category",
            "detector",
            "policy",
            "ip",
        ],
        Plane::Access => &[
            "source",
            "principal",
            "principal_type",
            "actor",
            "session_id",
            "client_id",
            "credential_id",
            "credential_type",
            "grant_type",
            "resource",
            "outcome",
            "reason",
            "auth_method",
            "risk",
            "ip",
            "country",
            "device_id",
            "agent_id",
            "on_behalf_of",
        ],
    }
}

/// The columns that are copied of a plane's events.
pub(crate) fn copied_columns(plane: Plane) -> ColumnSet {
    copied(plane).iter().filter_map(|name| plane.column(name)).collect()
}

impl Evidence {
    /// Copies what may be kept of an event.
    pub(crate) fn of(row: &RowRef, texts: EvidenceText) -> Option<Evidence> {
        let segment = &row.segment;
        let plane = segment.table.plane()?;
        // Rows that can't be had back leave their id and time.
        let rows = segment.rows().ok();
        let text = |column: usize| -> Option<&str> {
            let texts = rows.as_ref()?.column(column).as_string_opt::<i32>()?;
            (!texts.is_null(row.row as usize)).then(|| texts.value(row.row as usize))
        };
        let mut columns = BTreeMap::new();
        for name in copied(plane) {
            if let Some(column) = plane.column(name)
                && let Some(text) = text(column)
            {
                let called = segment.called_in(column, row.row, text);
                // Masked before it is cut: half a secret has no shape.
                let safe = if Class::is_free_text(name) { mask_secrets(&called) } else { mask_known(&called) };
                columns.insert((*name).to_owned(), safe.chars().take(TEXT_CHARS).collect());
            }
        }
        for name in FINGERPRINTED {
            let Some(column) = plane.column(name) else { continue };
            if let Some(text) = text(column) {
                let (fingerprint, excerpt) = fingerprint_and_excerpt(text, segment.columns.contains(column));
                columns.insert(format!("{name}_fingerprint"), fingerprint);
                if let Some(excerpt) = excerpt.filter(|_| texts == EvidenceText::Excerpt) {
                    columns.insert(name.to_owned(), mask_secrets(excerpt).chars().take(EXCERPT_CHARS).collect());
                }
            }
        }
        let kind = plane.column("kind").and_then(&text).unwrap_or("other");
        Some(Evidence {
            plane,
            event_id: segment.event_id(row.row).to_owned(),
            event_time: segment.event_time(row.row),
            kind: kind.to_owned(),
            columns,
            source: segment.source(row.row),
        })
    }
}
