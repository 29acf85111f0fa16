//! One line of a timeline, as rule tests and scenarios write it: `{at: 5m, runtime: tool_call, tool: send_mail, times: 3}`.

use std::time::Duration;

use serde_json::{Map, Value};
use watershed_schemas::{ColumnType, Plane, Timestamp, vocabulary};

/// How a kind of file says what is no column.
pub trait Dialect {
    /// Members of a line that are no columns, those named by its plane apart.
    const MEMBERS: &'static [&'static str];
    /// Columns that a line says in another way, and in which.
    const SAID_OTHERWISE: &'static [(&'static str, &'static str)];
    /// The most events that one line may stand for.
    const MAX_TIMES: u64;

    /// A time, such as the value of `at`.
    ///
    /// # Errors
    /// What is wrong with it, and how it is written.
    fn moment(&self, text: &str) -> Result<Timestamp, String>;

    /// A length of time, such as the value of `every`.
    ///
    /// # Errors
    /// What is wrong with it, and how it is written.
    fn length(&self, text: &str) -> Result<Duration, String>;

    /// Every default must be a column of its plane, with a fitting value.
    ///
    /// # Errors
    /// What does not fit.
    fn check(&self, defaults: &Defaults) -> Result<(), String> {
        for plane in Plane::ALL {
            defaults[plane.index()].iter().try_for_each(|(name, value)| self.cell(plane, name, value).map(|_| ()))?;
        }
        Ok(())
    }

    /// The plane of a line, and its columns as the canonical JSON writes them: the defaults, and what it says itself.
    ///
    /// # Errors
    /// What is no column of the plane, or does not fit into it.
    fn row(&self, line: &Map<String, Value>, defaults: &Defaults) -> Result<(Plane, Map<String, Value>), String> {
        let (plane, kind) = plane_and_kind(line)?;
        let is_column =
            |name: &str| !Self::MEMBERS.contains(&name) && Plane::ALL.iter().all(|plane| plane.table() != name);
        let columns = line.iter().filter(|(name, _)| is_column(name));
        let mut row = Map::new();
        for (name, value) in defaults[plane.index()].iter().chain(columns) {
            match self.cell(plane, name, value)? {
                // `session_id: null` takes a default back.
                Value::Null => row.remove(name),
                value => row.insert(name.clone(), value),
            };
        }
        row.insert("kind".to_owned(), Value::from(kind));
        Ok((plane, row))
    }

    /// How many events a line stands for, and how far apart they are.
    ///
    /// # Errors
    /// What is wrong with `times` or `every`.
    fn repetition(&self, line: &Map<String, Value>) -> Result<(u64, Duration), String> {
        let every = text(line, "every")?.map(|every| self.length(every)).transpose()?;
        match (line.get("times"), every) {
            (None, None) => Ok((1, Duration::ZERO)),
            (None, Some(_)) => Err("`every` needs `times`".to_owned()),
            (Some(times), every) => match times.as_u64().filter(|times| (2..=Self::MAX_TIMES).contains(times)) {
                Some(times) => Ok((times, every.unwrap_or_default())),
                None => Err(format!("`times` is {times}; write a number from 2 to {}", Self::MAX_TIMES)),
            },
        }
    }

    /// The value of a column as the canonical JSON writes it.
    ///
    /// # Errors
    /// What is wrong with it.
    fn cell(&self, plane: Plane, name: &str, value: &Value) -> Result<Value, String> {
        if let Some((_, instead)) = Self::SAID_OTHERWISE.iter().find(|(column, _)| *column == name) {
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
            (ColumnType::Timestamp, Value::String(text)) => {
                return self.moment(text).map(|time| Value::from(time.to_string()));
            }
            (_, Value::Null)
            | (ColumnType::Text, Value::String(_))
            | (ColumnType::Bool, Value::Bool(_))
            | (ColumnType::Float, Value::Number(_)) => true,
            (ColumnType::Int, Value::Number(number)) => number.is_i64(),
            (ColumnType::TextList, Value::Array(items)) => items.iter().all(Value::is_string),
            _ => false,
        };
        if fits {
            Ok(value.clone())
        } else {
            Err(format!("`{name}` is {value}, but the column is a {}", column.ty.sql()))
        }
    }
}

/// What lines of each plane have where they don't say otherwise.
pub type Defaults = [Map<String, Value>; 2];

/// A member of a line that is a text.
///
/// # Errors
/// Where it is something else.
pub fn text<'a>(line: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    match line.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(format!("`{name}` is {other}; it must be a text, in quotes where it looks like a number")),
    }
}

/// The row of one of several events that a line stands for: in its texts `{n}` is the number of the event, from 1 on.
#[must_use]
pub fn numbered(row: &Map<String, Value>, n: u64) -> Map<String, Value> {
    let mut row = row.clone();
    for value in row.values_mut() {
        if let Value::String(text) = value
            && text.contains("{n}")
        {
            *text = text.replace("{n}", &n.to_string());
        }
    }
    row
}

fn plane_and_kind(line: &Map<String, Value>) -> Result<(Plane, &str), String> {
    let named: Vec<Plane> = Plane::ALL.into_iter().filter(|plane| line.contains_key(plane.table())).collect();
    let [plane] = named[..] else {
        return Err("an event has either `runtime: <kind>` or `identity: <kind>`".to_owned());
    };
    let kinds = vocabulary::closed_set(plane, "kind").unwrap_or_default();
    match text(line, plane.table())? {
        Some(kind) if kinds.contains(&kind) => Ok((plane, kind)),
        kind => Err(format!(
            "`{}` is not a kind of `{}`; kinds are {}",
            kind.unwrap_or_default(),
            plane.table(),
            kinds.join(", ")
        )),
    }
}
