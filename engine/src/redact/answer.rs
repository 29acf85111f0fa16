//! The last look at what the console and the command line show: no secret leaves, whatever field it came into.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use watershed_schemas::{BlastRadius, Plane, Reach, Reached, Signal};

use super::{Class, mask_known, mask_secrets};

/// The same answer without secrets: free text as [`mask_secrets`] reads it, everything else as the column of an id.
///
/// # Errors
/// Where the answer is no JSON, or can't be read back from it.
pub fn mask_answer<T: Serialize + DeserializeOwned>(answer: &T) -> serde_json::Result<T> {
    serde_json::from_value(masked(answer)?)
}

/// The same as JSON, its members in their order.
///
/// # Errors
/// Where it is no JSON.
pub fn masked<T: Serialize>(answer: &T) -> serde_json::Result<Value> {
    let mut value = serde_json::to_value(answer)?;
    mask_value(&mut value, false);
    Ok(value)
}

/// Masks every text of a value, and of what is inside of it; `free` says whether people write into it as they like.
fn mask_value(value: &mut Value, free: bool) {
    match value {
        Value::String(text) => mask(text, free),
        Value::Array(values) => values.iter_mut().for_each(|value| mask_value(value, free)),
        Value::Object(members) => {
            // Signals of an incident are ids that the engine made; those that are listed themselves are masked by `mask_signal`.
            let members = members.iter_mut().filter(|(name, _)| *name != "signals");
            members.for_each(|(name, value)| mask_value(value, free || Class::is_free_text(name)));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Masks what a rule says of its finding. Columns of a rule have names of its own: those that are called neither like an id nor
/// like a column that holds one are free text.
pub fn mask_signal(signal: &mut Signal) {
    let Signal { tenant, principal, session_id, key, details, .. } = signal;
    [Some(tenant), principal.as_mut(), session_id.as_mut()].into_iter().flatten().for_each(|text| mask(text, false));
    mask_columns(key);
    mask_columns(details);
}

fn mask_columns(columns: &mut Map<String, Value>) {
    for (name, value) in columns {
        let is_column = Plane::ALL.into_iter().any(|plane| plane.column(name).is_some());
        let is_id = name.ends_with("_id") || name.ends_with("_ids") || (is_column && !Class::is_free_text(name));
        mask_value(value, !is_id);
    }
}

/// Masks every text of a reach. What was acted on is free text, and names that are the same then are one.
pub fn mask_reach(radius: &mut BlastRadius) {
    let BlastRadius { principal, at: _, could, did, unknown } = radius;
    mask(principal, false);
    let Reach { credentials, sessions, scopes, roles, tenants, delegates, shared_with, omitted: _ } = could;
    for list in [credentials, sessions, scopes, roles, tenants, delegates, shared_with, unknown] {
        list.iter_mut().for_each(|text| mask(text, false));
    }
    let mut one: Vec<Reached> = Vec::with_capacity(did.len());
    for mut reached in did.drain(..) {
        mask(&mut reached.name, Class::is_free_text(&reached.what));
        match one.iter_mut().find(|other| (&other.what, &other.name) == (&reached.what, &reached.name)) {
            Some(same) => {
                same.times = same.times.saturating_add(reached.times);
                same.first = same.first.min(reached.first);
                same.last = same.last.max(reached.last);
            }
            None => one.push(reached),
        }
    }
    *did = one;
}

fn mask(text: &mut String, free: bool) {
    let safe = if free { mask_secrets(text) } else { mask_known(text) };
    if let std::borrow::Cow::Owned(safe) = safe {
        *text = safe;
    }
}
