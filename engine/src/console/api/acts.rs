//! What people do with incidents.

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use watershed_schemas::{Act, Disposition, Handled, IncidentRevision};

use super::change::{Made, audited};
use super::engine::Acted;
use super::incidents::{case, unknown, viewer};
use super::now;
use super::problem::Problem;
use super::route::{self, Asked};
use crate::cases::view::revision_for;

/// The longest note, in characters.
const LONGEST_NOTE: usize = 4_000;

/// Body of `acknowledge` and `reopen`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Remark {
    /// What there is to say.
    #[serde(default)]
    #[schemars(length(max = 4000))]
    note: Option<String>,
}

/// Body of `comment`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Comment {
    /// What there is to say.
    #[schemars(length(min = 1, max = 4000), regex(pattern = r"\S"))]
    note: String,
}

/// Body of `close`. A false positive needs a note: whoever tunes the rule has nothing else to go by.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("anyOf" = [
    {"properties": {"disposition": {"enum": ["true_positive", "benign"]}}},
    {"required": ["note"], "properties": {"note": {"type": "string", "minLength": 1, "pattern": r"\S"}}},
]))]
pub(super) struct Closing {
    /// What it was.
    disposition: Disposition,
    /// What there is to say.
    #[serde(default)]
    #[schemars(length(max = 4000))]
    note: Option<String>,
}

/// What became of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Handling {
    /// The revision that says so.
    incident: IncidentRevision,
}

pub(super) async fn acknowledge(asked: Asked) -> Result<Response, Problem> {
    let Remark { note } = asked.body()?;
    act(asked, Act::Acknowledge, note).await
}

pub(super) async fn reopen(asked: Asked) -> Result<Response, Problem> {
    let Remark { note } = asked.body()?;
    act(asked, Act::Reopen, note).await
}

pub(super) async fn comment(asked: Asked) -> Result<Response, Problem> {
    let Comment { note } = asked.body()?;
    if note.trim().is_empty() {
        return Err(Problem::bad("`note` is empty; a comment says something"));
    }
    act(asked, Act::Comment, Some(note)).await
}

pub(super) async fn close(asked: Asked) -> Result<Response, Problem> {
    let Closing { disposition, note } = asked.body()?;
    if disposition == Disposition::FalsePositive && note.as_deref().is_none_or(|note| note.trim().is_empty()) {
        return Err(Problem::bad("`note` is missing; say why it is a false positive, so that the rule can be tuned"));
    }
    act(asked, Act::Close { disposition }, note).await
}

async fn act(asked: Asked, act: Act, note: Option<String>) -> Result<Response, Problem> {
    if note.as_ref().is_some_and(|note| note.chars().count() > LONGEST_NOTE) {
        return Err(Problem::bad(format!("`note` is longer than {LONGEST_NOTE} characters")));
    }
    let note = note.filter(|note| !note.trim().is_empty());
    if asked.caller.team.is_some() {
        // Only what it may see.
        case(&asked).await?;
    }
    let id = asked.path("id");
    let by = asked.caller.name.as_deref().unwrap_or_default().to_owned();
    let handled = Handled { act, by, at: now(), note };
    let body = serde_json::to_value(&handled).unwrap_or_default();
    let change = {
        let (console, id) = (asked.console.clone(), id.clone());
        async move {
            match console.asker().act(id, handled).await? {
                Acted::Done { before, after } => {
                    Ok(Made { before: Acted::told(&before), after: Acted::told(&after), answer: after })
                }
                Acted::Unknown => Err(unknown()),
                Acted::Refused(reason) => Err(Problem::new(StatusCode::CONFLICT, reason)),
            }
        }
    };
    let incident = audited(&asked, &id, &body, change).await?;
    Ok(route::json(&Handling { incident: revision_for(*incident, viewer(&asked)?) }))
}
