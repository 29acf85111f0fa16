//! One line of a story's `events` into records.

use std::time::Duration;

use serde_json::{Map, Value};
use watershed_schemas::{ColumnType, Plane, Timestamp, vocabulary};

use super::arrival::Arrival;
use super::offset::{length, moment, skew};

/// The most records that one line may stand for.
const MAX_TIMES: u64 = 20_000;
/// Members of a line that are no columns.
const SAID: [&str; 8] = ["at", "arrives", "name", "times", "every", "clock", "runtime", "identity"];
/// Columns that a line says in another way.
const SAID_OTHERWISE: [(&str, &str); 5] = [
    ("event_id", "`name`"),
    ("event_time", "`at`"),
    ("ingest_time", "`arrives`"),
    ("kind", "`runtime: <kind>` or `identity: <kind>`"),
    ("tenant", "the id of the scenario; write `other_tenant` for another one"),
];

/// What lines have where they don't say otherwise.
#[derive(Clone, Debug, Default)]
pub(super) struct Defaults {
    /// The organisation.
    pub(super) tenant: String,
    /// By plane.
    pub(super) columns: [Map<String, Value>; 2],
}

/// A line and the records that it stands for.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// By what it is left out or repeated.
    pub(super) name: String,
    /// The line of the file.
    pub(super) number: u64,
    /// Its records.
    pub(super) arrivals: Vec<Arrival>,
    /// The line that it repeats.
    pub(super) repeats: Option<String>,
}

impl Defaults {
    /// Every default must be a column of its plane, with a fitting value.
    pub(super) fn check(&self) -> Result<(), String> {
        for plane in Plane::ALL {
            self.columns[plane.index()].iter().try_for_each(|(name, value)| cell(plane, name, value).map(|_| ()))?;
        }
        Ok(())
    }

    /// Reads a line. `position` names lines that have no name.
    pub(super) fn line(
        &self,
        raw: &Map<String, Value>,
        number: u64,
        position: usize,
        before: &[Line],
    ) -> Result<Line, String> {
        let at = text(raw, "at")?.ok_or("`at` is missing; say when it happens, such as `at: 00:07`")?;
        let at = moment(at)?;
        if let Some(original) = text(raw, "again")? {
            return again(raw, original, at, number, before);
        }
        let (plane, kind) = plane_and_kind(raw)?;
        let arrives = text(raw, "arrives")?.map_or(Ok(at), moment)?;
        let skew = text(raw, "clock")?.map_or(Ok(0), skew)?;
        let name = text(raw, "name")?.map_or_else(|| format!("e{position}"), str::to_owned);
        let (times, every) = repetition(raw)?;
        let mut event = Map::new();
        event.insert("tenant".to_owned(), Value::from(text(raw, "other_tenant")?.unwrap_or(&self.tenant)));
        event.insert("source".to_owned(), Value::from("scenario"));
        let columns = raw.iter().filter(|(name, _)| !SAID.contains(&name.as_str()) && *name != "other_tenant");
        for (name, value) in self.columns[plane.index()].iter().chain(columns) {
            match cell(plane, name, value)? {
                // `session_id: null` takes a default back.
                Value::Null => event.remove(name),
                value => event.insert(name.clone(), value),
            };
        }
        event.insert("kind".to_owned(), Value::from(kind));
        let arrival = |n: u64| {
            let later = every.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX));
            let id = if times == 1 { name.clone() } else { format!("{name}-{}", n + 1) };
            let event_time = at.plus(later).plus_micros(skew);
            let mut event = event.clone();
            event.insert("event_id".to_owned(), Value::from(format!("{}/{id}", self.tenant)));
            event.insert("event_time".to_owned(), Value::from(event_time.to_string()));
            Arrival { at: arrives.plus(later), event_time, plane, event }
        };
        let arrivals = (0..times).map(arrival).collect();
        Ok(Line { name, number, arrivals, repeats: None })
    }
}

/// The same records once more: `{at: 00:09, again: NAME}`.
fn again(
    raw: &Map<String, Value>,
    original: &str,
    at: Timestamp,
    number: u64,
    before: &[Line],
) -> Result<Line, String> {
    if let Some(other) = raw.keys().find(|key| !["at", "again"].contains(&key.as_str())) {
        return Err(format!("`again` repeats an event as it was: leave `{other}` out"));
    }
    let known = before.iter().find(|line| line.name == original);
    let known = known.ok_or_else(|| format!("no event before this one has the name `{original}`"))?;
    let arrivals = known.arrivals.iter().map(|arrival| Arrival { at, ..arrival.clone() }).collect();
    Ok(Line { name: format!("{original} again"), number, arrivals, repeats: Some(original.to_owned()) })
}

fn plane_and_kind(raw: &Map<String, Value>) -> Result<(Plane, &str), String> {
    let named: Vec<Plane> = Plane::ALL.into_iter().filter(|plane| raw.contains_key(plane.table())).collect();
    let [plane] = named[..] else {
        return Err("an event has either `runtime: <kind>` or `identity: <kind>`, or is `again: <name>`".to_owned());
    };
    let kinds = vocabulary::closed_set(plane, "kind").unwrap_or_default();
    match text(raw, plane.table())? {
        Some(kind) if kinds.contains(&kind) => Ok((plane, kind)),
        kind => Err(format!(
            "`{}` is not a kind of `{}`; kinds are {}",
            kind.unwrap_or_default(),
            plane.table(),
            kinds.join(", ")
        )),
    }
}

fn repetition(raw: &Map<String, Value>) -> Result<(u64, Duration), String> {
    let every = text(raw, "every")?.map(length).transpose()?;
    match (raw.get("times"), every) {
        (None, None) => Ok((1, Duration::ZERO)),
        (None, Some(_)) => Err("`every` needs `times`".to_owned()),
        (Some(times), every) => match times.as_u64() {
            Some(times @ 2..=MAX_TIMES) => Ok((times, every.unwrap_or_default())),
            _ => Err(format!("`times` is {times}; write a number from 2 to {MAX_TIMES}")),
        },
    }
}

fn text<'a>(raw: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    match raw.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(format!("`{name}` is {other}; it must be a text, in quotes where it looks like a number")),
    }
}

/// The value of a column as the canonical JSON writes it.
fn cell(plane: Plane, name: &str, value: &Value) -> Result<Value, String> {
    if let Some((_, instead)) = SAID_OTHERWISE.iter().find(|(column, _)| *column == name) {
        return Err(format!("`{name}` is said by {instead}"));
    }
    let Some(position) = plane.column(name) else {
        return Err(format!("`{}` has no column `{name}`", plane.table()));
    };
    let column = &plane.columns()[position];
    if let (Some(words), Value::String(word)) = (vocabulary::closed_set(plane, name), value)
        && !words.contains(&word.as_str())
    {
        return Err(format!("`{name}` can't be `{word}`; it is one of {}", words.join(", ")));
    }
    let fits = match (column.ty, value) {
        (_, Value::Null) if column.required => return Err(format!("`{name}` can't be null")),
        (ColumnType::Timestamp, Value::String(text)) => return moment(text).map(|time| Value::from(time.to_string())),
        (_, Value::Null)
        | (ColumnType::Text, Value::String(_))
        | (ColumnType::Bool, Value::Bool(_))
        | (ColumnType::Float, Value::Number(_)) => true,
        (ColumnType::Int, Value::Number(number)) => number.is_i64(),
        (ColumnType::TextList, Value::Array(items)) => items.iter().all(Value::is_string),
        _ => false,
    };
    if fits { Ok(value.clone()) } else { Err(format!("`{name}` is {value}, but the column is a {}", column.ty.sql())) }
}
