//! A TOML file, read as far as it can be: every problem of its shape is found, not only the first.
//!
//! serde stops at the first error. Here the entry that an error points at is reported and taken out, and the rest is
//! read again, until it reads.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer};

use super::problem::{Level, Problem};

/// Rounds of reading before giving up: more problems than anybody reads.
const ROUNDS: usize = 200;

/// One step of the way to an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// A file and where its settings are.
#[derive(Debug)]
pub(super) struct Document {
    path: PathBuf,
    text: String,
    /// Place of each entry that was read, by its path such as `receivers[1].url`, counted without what was taken out.
    places: BTreeMap<String, Range<usize>>,
    /// Path of each entry of the file, by its place.
    paths: BTreeMap<(usize, usize), String>,
    /// Top-level sections of which something was taken out.
    dropped: Vec<String>,
    /// Names of all receivers, also of those that could not be read.
    receiver_names: Vec<String>,
}

impl Document {
    /// Reads a file into `T`, with every problem of its shape. Without `T` nothing could be read.
    pub(super) fn read<T: DeserializeOwned>(path: &Path, text: String) -> (Document, Option<T>, Vec<Problem>) {
        let mut document = Document {
            path: path.to_owned(),
            text,
            places: BTreeMap::new(),
            paths: BTreeMap::new(),
            dropped: Vec::new(),
            receiver_names: Vec::new(),
        };
        let text = document.text.clone();
        let (mut tree, errors) = DeTable::parse_recoverable(&text);
        if !errors.is_empty() {
            let problems = errors.iter().map(|error| {
                let message = format!("{}; the file is not TOML here", error.message());
                document.at(Level::Error, String::new(), error.span(), message)
            });
            let problems = problems.collect();
            return (document, None, problems);
        }
        document.receiver_names = receiver_names(tree.get_ref());
        walk(tree.get_ref(), &mut Vec::new(), &mut |way, key, value| {
            let place = key.unwrap_or(value);
            document.paths.insert((place.start, place.end), shown(way));
        });
        let mut problems = Vec::new();
        let read = document.peel(&mut tree, &mut problems);
        walk(tree.get_ref(), &mut Vec::new(), &mut |way, key, value| {
            document.places.insert(shown(way), key.unwrap_or(value));
        });
        (document, read, problems)
    }

    fn peel<T: DeserializeOwned>(&mut self, tree: &mut Spanned<DeTable<'_>>, problems: &mut Vec<Problem>) -> Option<T> {
        for _ in 0..ROUNDS {
            let error = match T::deserialize(Deserializer::from(tree.clone())) {
                Ok(read) => return Some(read),
                Err(error) => error,
            };
            let mut way = error.span().and_then(|span| locate(tree.get_ref(), &span)).unwrap_or_default();
            if let Some(name) = quoted_after(error.message(), "unknown field ")
                && has_key(tree.get_ref(), &way, name)
            {
                way.push(Step::Key(name.to_owned()));
            }
            let place = span_of(tree.get_ref(), &way);
            let setting = place.as_ref().and_then(|place| self.path_at(place)).unwrap_or_default();
            problems.push(self.at(Level::Error, setting, place.or_else(|| error.span()), reworded(error.message())));
            match way.first() {
                Some(Step::Key(section)) => self.dropped.push(section.clone()),
                _ => return None,
            }
            remove(tree.get_mut(), &way);
        }
        None
    }

    /// A problem of the setting at this path, or of the nearest entry around it that the file has.
    pub(super) fn problem(&self, level: Level, setting: &str, message: String) -> Problem {
        let mut around = setting;
        let place = loop {
            if let Some(place) = self.places.get(around) {
                break Some(place);
            }
            match around.rfind(['.', '[']) {
                Some(cut) => around = &around[..cut],
                None => break None,
            }
        };
        // Elements of a list count from the file's first, whether they could be read or not.
        let written = place.and_then(|place| self.path_at(place));
        let setting =
            written.map_or_else(|| setting.to_owned(), |written| format!("{written}{}", &setting[around.len()..]));
        self.at(level, setting, place.cloned(), message)
    }

    fn path_at(&self, place: &Range<usize>) -> Option<String> {
        self.paths.get(&(place.start, place.end)).cloned()
    }

    /// Whether something of this section could not be read, so that what is missing may only be unreadable.
    pub(super) fn incomplete(&self, section: &str) -> bool {
        self.dropped.iter().any(|dropped| dropped == section)
    }

    /// Whether the file has a receiver of this name, readable or not.
    pub(super) fn names_receiver(&self, name: &str) -> bool {
        self.receiver_names.iter().any(|known| known == name)
    }

    /// Whether the file has this setting.
    pub(super) fn has(&self, setting: &str) -> bool {
        self.places.contains_key(setting)
    }

    fn at(&self, level: Level, setting: String, span: Option<Range<usize>>, message: String) -> Problem {
        let before = span.and_then(|span| self.text.get(..span.start));
        let line = before.map(|before| before.matches('\n').count() + 1);
        let column = before.map(|before| before.chars().rev().take_while(|letter| *letter != '\n').count() + 1);
        Problem { level, file: self.path.clone(), line, column, setting, message }
    }
}

/// serde's words, with what it leaves out. A secret that stands in the file is not repeated.
fn reworded(message: &str) -> String {
    if message.contains("expected `env` or `file`") || message.contains("SecretRef") {
        return "a secret can't stand in the file: write { env = \"NAME\" } or { file = \"path\" }".to_owned();
    }
    match quoted_after(message, "missing field ") {
        Some(field) => format!("`{field}` is missing; add it"),
        None => message.trim_end().to_owned(),
    }
}

/// The text in backticks right after `before` at the start of the message.
fn quoted_after<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    message.strip_prefix(before)?.strip_prefix('`')?.split('`').next()
}

/// Is shown the way to an entry, the place of its key (elements of lists have none) and that of its value.
type Visitor<'a> = dyn FnMut(&[Step], Option<Range<usize>>, Range<usize>) + 'a;

/// The way to the smallest entry whose key or value covers the span.
fn locate(table: &DeTable<'_>, span: &Range<usize>) -> Option<Vec<Step>> {
    let mut best: Option<(usize, Vec<Step>)> = None;
    walk(table, &mut Vec::new(), &mut |way, key, value| {
        for place in key.into_iter().chain([value]) {
            let covers = place.start <= span.start && span.end <= place.end;
            let length = place.len();
            // Of two equal places the inner is visited later and is the better one.
            if covers && best.as_ref().is_none_or(|(least, _)| length <= *least) {
                best = Some((length, way.to_vec()));
            }
        }
    });
    best.map(|(_, way)| way)
}

fn walk(table: &DeTable<'_>, way: &mut Vec<Step>, see: &mut Visitor<'_>) {
    for (key, value) in table {
        way.push(Step::Key(key.get_ref().to_string()));
        see(way, Some(key.span()), value.span());
        walk_value(value.get_ref(), way, see);
        way.pop();
    }
}

fn walk_value(value: &DeValue<'_>, way: &mut Vec<Step>, see: &mut Visitor<'_>) {
    match value {
        DeValue::Table(table) => walk(table, way, see),
        DeValue::Array(array) => {
            for (index, element) in array.iter().enumerate() {
                way.push(Step::Index(index));
                see(way, None, element.span());
                walk_value(element.get_ref(), way, see);
                way.pop();
            }
        }
        _ => {}
    }
}

fn shown(way: &[Step]) -> String {
    let mut text = String::new();
    for step in way {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

fn value_at<'a, 'i>(table: &'a DeTable<'i>, way: &[Step]) -> Option<&'a Spanned<DeValue<'i>>> {
    let (first, rest) = way.split_first()?;
    let Step::Key(key) = first else { return None };
    let mut value = table.get(key.as_str())?;
    for step in rest {
        value = match (step, value.get_ref()) {
            (Step::Key(key), DeValue::Table(table)) => table.get(key.as_str())?,
            (Step::Index(index), DeValue::Array(array)) => array.get(*index)?,
            _ => return None,
        };
    }
    Some(value)
}

fn has_key(table: &DeTable<'_>, way: &[Step], key: &str) -> bool {
    match value_at(table, way).map(Spanned::get_ref) {
        Some(DeValue::Table(inner)) => inner.contains_key(key),
        Some(_) => false,
        None => way.is_empty() && table.contains_key(key),
    }
}

fn span_of(table: &DeTable<'_>, way: &[Step]) -> Option<Range<usize>> {
    let mut found = None;
    walk(table, &mut Vec::new(), &mut |at, key, value| {
        if at == way {
            found = Some(key.unwrap_or(value));
        }
    });
    found
}

fn remove(table: &mut DeTable<'_>, way: &[Step]) {
    let Some((Step::Key(key), rest)) = way.split_first() else { return };
    if rest.is_empty() {
        table.remove(key.as_str());
    } else if let Some(value) = table.get_mut(key.as_str()) {
        remove_within(value.get_mut(), rest);
    }
}

fn remove_within(value: &mut DeValue<'_>, way: &[Step]) {
    match (value, way) {
        (DeValue::Table(table), way) => remove(table, way),
        (DeValue::Array(array), [Step::Index(gone)]) => {
            let mut kept = DeArray::new();
            for (index, element) in array.iter().enumerate() {
                if index != *gone {
                    kept.push(element.clone());
                }
            }
            *array = kept;
        }
        (DeValue::Array(array), [Step::Index(index), rest @ ..]) => {
            if let Some(element) = array.get_mut(*index) {
                remove_within(element.get_mut(), rest);
            }
        }
        _ => {}
    }
}

fn receiver_names(table: &DeTable<'_>) -> Vec<String> {
    let Some(DeValue::Array(receivers)) = table.get("receivers").map(Spanned::get_ref) else { return Vec::new() };
    let name = |receiver: &Spanned<DeValue<'_>>| match receiver.get_ref() {
        DeValue::Table(receiver) => match receiver.get("name").map(Spanned::get_ref) {
            Some(DeValue::String(name)) => Some(name.to_string()),
            _ => None,
        },
        _ => None,
    };
    receivers.iter().filter_map(name).collect()
}
