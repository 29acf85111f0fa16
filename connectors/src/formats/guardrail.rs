//! The canonical guardrail record: what a guardrail product or its adapter says about one prompt, answer, tool call
//! or document. Its rows are of kind `guardrail`.
//!
//! Beyond the columns of the table it has `rule` (the `policy` where that is missing), `native` (`{type, value}`, the
//! product's own verdict, kept in `attributes`; where `verdict` is missing it is translated) and `target` (`{type, id}`,
//! what was judged: the column `target` holds `type:id`, and the id of a tool call or its result is also `tool_call_id`
//! where that is missing).

use std::borrow::Cow;

use serde::Deserialize;
use watershed_schemas::tables::runtime::{CATEGORY, POLICY, TARGET, TOOL, TOOL_CALL_ID, VERDICT};
use watershed_schemas::{Cell, ColumnSet, EventBatchBuilder, Plane, vocabulary};

use super::canonical::{self, Defaults, Draft, quote, unquote};
use super::watershed::for_each_event;
use super::{Context, Format, Recognition};
use crate::raw::RawRecord;

const DEFAULTS: Defaults = Defaults { source: "guardrail", kind: "guardrail" };

/// What products call the verdicts, in lower case.
const NATIVE_VERDICTS: &[(&str, &str)] = &[
    ("accept", "allow"),
    ("allowed", "allow"),
    ("approved", "allow"),
    ("benign", "allow"),
    ("none", "allow"),
    ("pass", "allow"),
    ("passed", "allow"),
    ("safe", "allow"),
    ("block", "deny"),
    ("blocked", "deny"),
    ("denied", "deny"),
    ("guardrail_intervened", "deny"),
    ("malicious", "deny"),
    ("reject", "deny"),
    ("rejected", "deny"),
    ("anonymize", "modify"),
    ("anonymized", "modify"),
    ("mask", "modify"),
    ("masked", "modify"),
    ("redact", "modify"),
    ("redacted", "modify"),
    ("rewrite", "modify"),
    ("sanitize", "modify"),
    ("sanitized", "modify"),
    ("alert", "warn"),
    ("detected", "warn"),
    ("flag", "warn"),
    ("flagged", "warn"),
    ("log", "warn"),
    ("monitor", "warn"),
    ("ask", "escalate"),
    ("human_in_the_loop_required", "escalate"),
    ("review", "escalate"),
];

/// The canonical guardrail record.
#[derive(Clone, Copy, Debug)]
pub struct Guardrail;

impl Format for Guardrail {
    fn name(&self) -> &'static str {
        "guardrail"
    }

    fn about(&self) -> &'static str {
        "canonical guardrail verdict, one JSON object a record, with native verdict, rule and judged target"
    }

    fn planes(&self) -> &'static [Plane] {
        &[Plane::Model]
    }

    fn fills(&self) -> &'static [&'static str] {
        &[
            "event_id",
            "event_time",
            "ingest_time",
            "tenant",
            "source",
            "kind",
            "session_id",
            "trace_id",
            "agent_id",
            "principal",
            "tool",
            "tool_call_id",
            "target",
            "content",
            "verdict",
            "category",
            "score",
            "detector",
            "policy",
            "enforced",
            "attributes",
        ]
    }

    fn recognise(&self, payload: &[u8]) -> Recognition {
        if canonical::is_guardrail(payload) { Recognition::Certain } else { Recognition::No }
    }

    fn decode(&self, record: &RawRecord, context: &Context<'_>, out: &mut EventBatchBuilder) {
        for_each_event(record, context, out, |text, part, out| {
            let mut draft = Draft::new(out, ColumnSet::ALL);
            match canonical::read(text, &mut draft) {
                Ok(()) => {
                    arrange(&mut draft);
                    draft.finish(context, DEFAULTS, text.as_bytes(), part, out);
                }
                Err(reason) => out.reject(part, reason),
            }
        });
    }
}

/// Gives the members that only this record has their columns.
fn arrange(draft: &mut Draft<'_>) {
    arrange_rule(draft);
    arrange_target(draft);
    arrange_verdict(draft);
    if let Some(category) = draft.row.text_of(CATEGORY).filter(|category| {
        category.contains(|letter: char| letter == '-' || letter == ' ' || letter.is_ascii_uppercase())
    }) {
        let category = category.trim().to_ascii_lowercase().replace(['-', ' '], "_");
        draft.place(CATEGORY, Cell::Text(Cow::Owned(category)));
    }
}

fn arrange_rule(draft: &mut Draft<'_>) {
    if !draft.row.is_null(POLICY) {
        return;
    }
    match draft.attributes.remove("rule") {
        Some(json) if json.starts_with('"') => match unquote(json) {
            Ok(rule) => draft.text(POLICY, rule),
            Err(json) => draft.attributes.set(Cow::Borrowed("rule"), json),
        },
        Some(json) => draft.attributes.set(Cow::Borrowed("rule"), json),
        None => {}
    }
}

#[derive(Deserialize)]
struct Target<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
}

/// An object does not fit into the column `target`, so the reader has put it into the attributes.
fn arrange_target(draft: &mut Draft<'_>) {
    let Some(json) = draft.attributes.remove("target") else {
        return;
    };
    // A target of another shape stays what it is: an attribute.
    let Ok(target) = serde_json::from_str::<Target<'_>>(&json) else {
        return draft.attributes.set(Cow::Borrowed("target"), json);
    };
    let kind = target.kind.map(Cow::into_owned).unwrap_or_default();
    let id = target.id.map(Cow::into_owned).unwrap_or_default();
    let also = match kind.as_str() {
        "tool_call" | "tool_result" => Some(TOOL_CALL_ID),
        "tool" => Some(TOOL),
        _ => None,
    };
    if let Some(column) = also.filter(|column| draft.row.is_null(*column)) {
        draft.text(column, Cow::Owned(id.clone()));
    }
    // Rules tell by the beginning what was judged: `target LIKE 'tool_result%'`.
    draft
        .text(TARGET, Cow::Owned([kind, id].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(":")));
}

fn arrange_verdict(draft: &mut Draft<'_>) {
    let word = match draft.row.text_of(VERDICT) {
        Some(word) if vocabulary::VERDICTS.contains(&word) => return,
        Some(word) => {
            let word = word.to_owned();
            draft.attributes.set(Cow::Borrowed("verdict"), quote(&word));
            word
        }
        None => native_verdict(draft).unwrap_or_default(),
    };
    draft.place(VERDICT, Cell::Text(Cow::Borrowed(canonical_verdict(&word))));
}

#[derive(Deserialize)]
struct Native {
    value: serde_json::Value,
}

fn native_verdict(draft: &mut Draft<'_>) -> Option<String> {
    let json = draft.attributes.remove("native")?;
    let native = serde_json::from_str::<Native>(&json).ok();
    draft.attributes.set(Cow::Borrowed("native"), json);
    native?.value.as_str().map(str::to_owned)
}

fn canonical_verdict(word: &str) -> &'static str {
    let word = word.trim().to_ascii_lowercase();
    let known = vocabulary::VERDICTS.iter().copied().find(|verdict| *verdict == word);
    let translated = || NATIVE_VERDICTS.iter().find(|(native, _)| *native == word).map(|(_, verdict)| *verdict);
    known.or_else(translated).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_words_become_verdicts() {
        for (native, verdict) in [
            ("GUARDRAIL_INTERVENED", "deny"),
            ("NONE", "allow"),
            ("human_in_the_loop_required", "escalate"),
            ("Redacted", "modify"),
            ("flagged", "warn"),
            ("Deny", "deny"),
            ("", "unknown"),
            ("L1", "unknown"),
        ] {
            assert_eq!(canonical_verdict(native), verdict, "{native}");
        }
        assert!(NATIVE_VERDICTS.iter().all(|(_, verdict)| vocabulary::VERDICTS.contains(verdict)));
    }
}
