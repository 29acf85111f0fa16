//! The canonical JSON: one object an event, its members named like the columns of the plane's table.
//!
//! * A text column takes strings, and numbers and booleans as they are written; `content` and `arguments` also take
//!   objects and arrays, as JSON text. A list column takes an array of texts or one text separated by blanks. Times
//!   are what [`super::time`] reads. Numbers and booleans may come in strings.
//! * A member without a column, and a value that its column can't hold, goes to `attributes`, beside what the record's
//!   own `attributes` (an object, or a string with one) says. A word outside of a closed set becomes `other` or
//!   `unknown` and is kept there too.
//! * Missing: `event_id` is a hash of the event's bytes, `source` is `watershed`, `kind` is `other`, `tenant` is the
//!   topic's. An event without a time is rejected.
//! * Of a member that comes twice the last one counts. A record may also be an array of such objects.

mod writer;

use std::borrow::Cow;

use serde::de::IgnoredAny;
use watershed_schemas::{ColumnSet, EventBatchBuilder, Plane};

pub use writer::to_json;

use super::canonical::{self, Defaults, Draft, Shape};
use super::{Context, Format, Recognition};
use crate::raw::RawRecord;

const DEFAULTS: Defaults = Defaults { source: "watershed", kind: "other" };

/// The canonical JSON.
#[derive(Clone, Copy, Debug)]
pub struct Watershed;

impl Format for Watershed {
    fn name(&self) -> &'static str {
        "watershed"
    }

    fn about(&self) -> &'static str {
        "canonical JSON, one object a record: members are the columns of the table, everything else goes to attributes"
    }

    fn planes(&self) -> &'static [Plane] {
        &Plane::ALL
    }

    fn fills(&self) -> &'static [&'static str] {
        canonical::ALL_COLUMNS
    }

    fn recognise(&self, payload: &[u8]) -> Recognition {
        recognise(payload)
    }

    fn decode(&self, record: &RawRecord, context: &Context<'_>, out: &mut EventBatchBuilder) {
        for_each_event(record, context, out, |text, part, out| {
            let mut draft = Draft::new(out, context.columns);
            let mut outcome = canonical::read(text, &mut draft);
            if outcome.is_ok() && context.columns != ColumnSet::ALL && draft.may_exceed(context.limits.attributes) {
                draft = Draft::new(out, ColumnSet::ALL);
                outcome = canonical::read(text, &mut draft);
            }
            match outcome {
                Ok(()) => draft.finish(context, DEFAULTS, text.as_bytes(), part, out),
                Err(reason) => out.reject(part, reason),
            }
        });
    }
}

fn recognise(payload: &[u8]) -> Recognition {
    if !matches!(payload.trim_ascii_start().first(), Some(b'{' | b'[')) || !canonical::mentions(payload, "event_time") {
        return Recognition::No;
    }
    // A verdict without a kind is more likely a guardrail's record, which may mention a kind further inside.
    if canonical::mentions(payload, "kind") && !canonical::is_guardrail(payload) {
        Recognition::Certain
    } else {
        Recognition::Possible
    }
}

/// Calls `event` with the text of each event of a record: the object, or each object of the array.
pub(super) fn for_each_event<'r>(
    record: &'r RawRecord,
    context: &Context<'_>,
    out: &mut EventBatchBuilder,
    mut event: impl FnMut(&'r str, Option<usize>, &mut EventBatchBuilder),
) {
    let text = match canonical::shape(&record.payload) {
        Ok(Shape::Object(text)) => return event(text, None, out),
        Ok(Shape::Array(text)) => text,
        Err(reason) => return out.reject(None, reason),
    };
    // The array as a whole is checked first: its elements are then well-formed, and nothing follows its end.
    if let Err(error) = sonic_rs::from_str::<IgnoredAny>(text) {
        return out.reject(None, format!("is not valid JSON at byte {}", error.offset()));
    }
    for (part, element) in sonic_rs::to_array_iter(text).map_while(Result::ok).enumerate() {
        if part >= context.limits.rows_per_record {
            return out.reject(Some(part), format!("holds more events than the limit `rows_per_record` of {part}"));
        }
        match element.as_raw_cow() {
            Cow::Borrowed(text) if text.starts_with('{') => event(text, Some(part), out),
            _ => out.reject(Some(part), "is not a JSON object"),
        }
    }
}
