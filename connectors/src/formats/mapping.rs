//! Field and event tables that are data: which member of a native record fills which column.
//!
//! A table is a YAML file beside its format. The code here only applies it, so that a table can be read, reviewed
//! and one day written by somebody who knows the source and not this program.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use aho_corasick::AhoCorasick;
use chrono::NaiveDateTime;
use serde::Deserialize;
use watershed_schemas::{Cell, ColumnType, Plane, Row, Timestamp};

use super::json::Json;
use super::time;

/// The part that every table has in common.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldTable {
    /// Column → paths of members; the first that has a value fills the column.
    fields: BTreeMap<String, Vec<String>>,
    /// Texts that the source writes where it has no value.
    absent: Vec<String>,
}

/// The fields of a table, resolved to columns.
pub(super) struct Fields {
    fields: Vec<Field>,
    absent: Vec<String>,
}

struct Field {
    column: usize,
    ty: ColumnType,
    paths: Vec<Vec<String>>,
}

impl Fields {
    /// Resolves the table's column names. An unknown one is a mistake in the program's own data.
    pub(super) fn new(plane: Plane, table: FieldTable) -> Self {
        let fields = table.fields.into_iter().map(|(name, paths)| {
            let column = plane.column(&name).unwrap_or_else(|| panic!("the embedded table maps to no column `{name}`"));
            Field { column, ty: plane.columns()[column].ty, paths: paths.iter().map(|path| split(path)).collect() }
        });
        Fields { fields: fields.collect(), absent: table.absent }
    }

    /// Moves the mapped members of the record into the row. A member of the wrong type stays where it is.
    pub(super) fn fill<'a>(&self, record: &mut Json<'a>, row: &mut Row<'a>) {
        for field in &self.fields {
            for path in &field.paths {
                if let Some(value) = record.at_mut(path)
                    && let Some(cell) = self.take(value, field.ty)
                {
                    row.set(field.column, cell);
                    break;
                }
            }
        }
    }

    /// Takes the text at a path, unless the source means "no value" by it.
    pub(super) fn take_text<'a>(&self, value: &mut Json<'a>) -> Option<Cow<'a, str>> {
        let absent = match value {
            Json::Text(text) => self.is_absent(text),
            Json::Number(_) | Json::Bool(_) => false,
            Json::Null | Json::List(_) | Json::Map(_) => return None,
        };
        let taken = std::mem::take(value);
        if absent { None } else { taken.into_text() }
    }

    /// Whether the source means "no value" by this text.
    pub(super) fn is_absent(&self, text: &str) -> bool {
        let text = text.trim();
        text.is_empty() || self.absent.iter().any(|absent| absent.eq_ignore_ascii_case(text))
    }

    fn take<'a>(&self, value: &mut Json<'a>, ty: ColumnType) -> Option<Cell<'a>> {
        let cell = match ty {
            ColumnType::Text => return self.take_text(value).map(Cell::Text),
            ColumnType::TextList => {
                let texts = texts(value);
                if texts.is_empty() {
                    return None;
                }
                Cell::List(texts)
            }
            ColumnType::Timestamp => Cell::Time(moment(value)?),
            ColumnType::Int => Cell::Int(value.as_int()?),
            ColumnType::Float => Cell::Float(value.as_float()?),
            ColumnType::Bool => Cell::Bool(value.as_bool()?),
        };
        *value = Json::Null;
        Some(cell)
    }
}

/// The members of a dotted path.
pub(super) fn split(path: &str) -> Vec<String> {
    path.split('.').map(str::to_owned).collect()
}

/// A moment in any of the forms that sources write.
pub(super) fn moment(value: &Json<'_>) -> Option<Timestamp> {
    match value {
        Json::Text(text) => time::parse_time(text).or_else(|| spelled(text)),
        Json::Number(number) => number.as_i64().map(time::from_number).or_else(|| time::from_float(number.as_f64()?)),
        _ => None,
    }
}

/// `Jul 10, 2023 12:09:43 PM`, as AWS writes times inside responses.
fn spelled(text: &str) -> Option<Timestamp> {
    let time = NaiveDateTime::parse_from_str(text, "%b %d, %Y %I:%M:%S %p").ok()?;
    Some(Timestamp::from_micros(time.and_utc().timestamp_micros()))
}

/// The texts of an array, or of one string that separates them by blanks or commas.
pub(super) fn texts<'a>(value: &Json<'a>) -> Vec<Cow<'a, str>> {
    match value {
        Json::List(elements) => elements.iter().filter_map(|element| element.clone().into_text()).collect(),
        Json::Text(text) => words(text),
        _ => Vec::new(),
    }
}

fn words<'a>(text: &str) -> Vec<Cow<'a, str>> {
    let words = text.split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty());
    words.map(|word| Cow::Owned(word.to_owned())).collect()
}

/// Names whose presence near the beginning of a payload tells its format.
pub(super) struct Names<const N: usize>(AhoCorasick);

/// Members that tell may come after long ones.
const RECOGNISED_PREFIX: usize = 8 << 10;

impl<const N: usize> Names<N> {
    /// A search for all of the names at once, without regard to ASCII case.
    pub(super) fn new(names: [&str; N]) -> Self {
        let search = AhoCorasick::builder().ascii_case_insensitive(true).build(names);
        Names(search.expect("a few short names make a small automaton"))
    }

    /// Which of the names there are.
    pub(super) fn found(&self, payload: &[u8]) -> [bool; N] {
        let mut found = [false; N];
        for name in self.0.find_iter(&payload[..payload.len().min(RECOGNISED_PREFIX)]) {
            found[name.pattern().as_usize()] = true;
            if found == [true; N] {
                break;
            }
        }
        found
    }
}

/// Entries by name, or by the beginning of a name where it ends in `*`. The longest match wins.
pub(super) struct Patterns<E> {
    exact: HashMap<String, E>,
    prefixes: Vec<(String, E)>,
}

impl<E> Patterns<E> {
    /// From a table's entries.
    pub(super) fn new(entries: BTreeMap<String, E>) -> Self {
        let mut patterns = Patterns { exact: HashMap::new(), prefixes: Vec::new() };
        for (pattern, entry) in entries {
            match pattern.strip_suffix('*') {
                Some(prefix) => patterns.prefixes.push((prefix.to_owned(), entry)),
                None => drop(patterns.exact.insert(pattern, entry)),
            }
        }
        patterns.prefixes.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        patterns
    }

    /// The entry for a name.
    pub(super) fn get(&self, name: &str) -> Option<&E> {
        self.exact.get(name).or_else(|| {
            self.prefixes.iter().find(|(prefix, _)| name.starts_with(prefix.as_str())).map(|(_, entry)| entry)
        })
    }

    /// All entries, in no particular order: for tests of a table.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &E> {
        self.exact.values().chain(self.prefixes.iter().map(|(_, entry)| entry))
    }
}

/// Reads a table that is part of the program.
pub(super) fn embedded<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("an embedded table is not valid: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pattern_wins() {
        let entries = [("user.*", 1), ("user.mfa.*", 2), ("user.mfa.reset", 3)];
        let patterns = Patterns::new(entries.into_iter().map(|(name, entry)| (name.to_owned(), entry)).collect());
        assert_eq!(patterns.get("user.mfa.reset"), Some(&3));
        assert_eq!(patterns.get("user.mfa.resets"), Some(&2));
        assert_eq!(patterns.get("user.x"), Some(&1));
        assert_eq!(patterns.get("users"), None);
    }

    #[test]
    fn lists_come_as_arrays_or_as_words() {
        assert_eq!(texts(&Json::Text("openid, profile  email".into())), ["openid", "profile", "email"]);
        assert_eq!(texts(&Json::parse(br#"["a b",1,null]"#).expect("valid")), ["a b", "1"]);
    }
}
