//! One line of a timeline into canonical events.

use serde_json::{Map, Value};
use watershed_schemas::{ColumnType, Plane, Timestamp};

use super::TestEvent;
use super::time::{duration, moment};

/// The most events that one line may stand for.
const MAX_TIMES: u64 = 10_000;
/// Columns that a line says in another way.
const SAID_OTHERWISE: [(&str, &str); 4] = [
    ("event_id", "`id`"),
    ("event_time", "`at`"),
    ("ingest_time", "`arrive`"),
    ("kind", "`runtime: <kind>` or `identity: <kind>`"),
];

/// What lines of each plane have where they don't say otherwise.
#[derive(Clone, Debug, Default)]
pub(super) struct Defaults {
    pub(super) tenant: Option<String>,
    pub(super) columns: [Map<String, Value>; 2],
}

impl Defaults {
    /// Every default must be a column of its plane, with a fitting value.
    pub(super) fn check(&self, start: Timestamp) -> Result<(), String> {
        for plane in Plane::ALL {
            for (name, value) in &self.columns[plane.index()] {
                cell(plane, name, value, start)?;
            }
        }
        Ok(())
    }
}

/// The events that a line stands for. `position` names those that have no `id`.
pub(super) fn expand(
    line: &Map<String, Value>,
    position: usize,
    start: Timestamp,
    defaults: &Defaults,
) -> Result<Vec<TestEvent>, String> {
    let (plane, kind) = plane_and_kind(line)?;
    let at = match line.get("at") {
        Some(Value::String(text)) => moment(start, text)?,
        Some(other) => return Err(format!("`at` is {other}; write a time such as `0s` or `5m`")),
        None => return Err("`at` is missing; say when it happened, such as `at: 5m`".to_owned()),
    };
    let arrive = match text(line, "arrive")? {
        Some(text) => moment(start, text)?,
        None => at,
    };
    let id = text(line, "id")?.map_or_else(|| format!("e{position}"), str::to_owned);
    let (times, every) = repetition(line)?;

    let mut row = Map::new();
    let said = |name: &str| matches!(name, "at" | "arrive" | "id" | "times" | "every" | "runtime" | "identity");
    let tenant = defaults.tenant.as_deref().unwrap_or("default");
    row.insert("tenant".to_owned(), Value::from(tenant));
    row.insert("source".to_owned(), Value::from("test"));
    let columns = line.iter().filter(|(name, _)| !said(name));
    for (name, value) in defaults.columns[plane.index()].iter().chain(columns) {
        match cell(plane, name, value, start)? {
            // `session_id: null` takes a default back.
            Value::Null => row.remove(name),
            value => row.insert(name.clone(), value),
        };
    }
    row.insert("kind".to_owned(), Value::from(kind));
    let events = (0..times).map(|n| {
        let later = every.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX));
        let mut row = row.clone();
        if times > 1 {
            row.values_mut().for_each(|value| number(value, n + 1));
        }
        let id = if times == 1 { id.clone() } else { format!("{id}-{}", n + 1) };
        row.insert("event_id".to_owned(), Value::from(id));
        row.insert("event_time".to_owned(), Value::from(at.plus(later).to_string()));
        row.insert("ingest_time".to_owned(), Value::from(arrive.plus(later).to_string()));
        TestEvent { plane, arrive: arrive.plus(later), row }
    });
    Ok(events.collect())
}

/// In a line that stands for several events `{n}` is the number of the event, from 1 on.
fn number(value: &mut Value, n: u64) {
    if let Value::String(text) = value
        && text.contains("{n}")
    {
        *text = text.replace("{n}", &n.to_string());
    }
}

fn plane_and_kind(line: &Map<String, Value>) -> Result<(Plane, &str), String> {
    let named: Vec<Plane> = Plane::ALL.into_iter().filter(|plane| line.contains_key(plane.table())).collect();
    let [plane] = named[..] else {
        return Err("an event has either `runtime: <kind>` or `identity: <kind>`".to_owned());
    };
    match text(line, plane.table())? {
        Some(kind) if known_kinds(plane).contains(&kind) => Ok((plane, kind)),
        Some(kind) => {
            Err(format!("`{kind}` is not a kind of `{}`; kinds are {}", plane.table(), known_kinds(plane).join(", ")))
        }
        None => Err(format!("`{}` names no kind", plane.table())),
    }
}

/// The closed set that the column's documentation gives: "One of: a, b, c".
fn known_kinds(plane: Plane) -> Vec<&'static str> {
    let doc = plane.column("kind").map_or("", |at| plane.columns()[at].doc);
    doc.strip_prefix("One of: ").unwrap_or(doc).split(", ").collect()
}

fn repetition(line: &Map<String, Value>) -> Result<(u64, std::time::Duration), String> {
    let every = text(line, "every")?.map(duration).transpose()?;
    match line.get("times") {
        None if every.is_some() => Err("`every` needs `times`".to_owned()),
        None => Ok((1, std::time::Duration::ZERO)),
        Some(times) => match times.as_u64() {
            Some(times @ 2..=MAX_TIMES) => Ok((times, every.unwrap_or_default())),
            _ => Err(format!("`times` is {times}; write a number from 2 to {MAX_TIMES}")),
        },
    }
}

fn text<'a>(line: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    match line.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(format!("`{name}` is {other}; it must be a text, in quotes where it looks like a number")),
    }
}

/// The value of a column as the canonical JSON writes it.
fn cell(plane: Plane, name: &str, value: &Value, start: Timestamp) -> Result<Value, String> {
    if let Some((_, instead)) = SAID_OTHERWISE.iter().find(|(column, _)| *column == name) {
        return Err(format!("`{name}` is said by {instead}"));
    }
    let Some(position) = plane.column(name) else {
        return Err(format!("`{}` has no column `{name}`", plane.table()));
    };
    let column = plane.columns()[position];
    let fits = match (column.ty, value) {
        (_, Value::Null) if column.required => return Err(format!("`{name}` can't be null")),
        (ColumnType::Timestamp, Value::String(text)) => {
            return moment(start, text).map(|time| Value::from(time.to_string()));
        }
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
