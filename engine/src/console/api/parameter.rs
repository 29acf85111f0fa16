//! What a request's query may say. One declaration checks it and describes it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use watershed_schemas::Timestamp;

use super::problem::Problem;

/// The longest id or other text that is asked for, in bytes.
pub(super) const LONGEST: usize = 1_024;

/// One parameter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    /// Its name.
    pub(super) name: &'static str,
    /// What it is for.
    pub(super) what: &'static str,
    /// What it may be.
    pub(super) kind: Kind,
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Text of up to [`LONGEST`] bytes.
    Text,
    /// A time as RFC 3339 has it.
    Time,
    /// A whole number.
    Number {
        /// The least.
        least: u64,
        /// The largest.
        most: u64,
        /// What it is where it is left out.
        usual: Option<u64>,
    },
    /// One of these words.
    OneOf(&'static [&'static str]),
}

impl Parameter {
    pub(super) const fn new(name: &'static str, what: &'static str, kind: Kind) -> Self {
        Parameter { name, what, kind }
    }

    /// Its JSON Schema.
    pub(super) fn schema(&self) -> Value {
        match self.kind {
            Kind::Text => json!({"type": "string", "maxLength": LONGEST}),
            Kind::Time => json!({"type": "string", "format": "date-time"}),
            Kind::Number { least, most, usual: None } => json!({"type": "integer", "minimum": least, "maximum": most}),
            Kind::Number { least, most, usual } => {
                json!({"type": "integer", "minimum": least, "maximum": most, "default": usual})
            }
            Kind::OneOf(words) => json!({"type": "string", "enum": words}),
        }
    }

    fn check(&self, value: &str) -> Result<(), Problem> {
        let name = self.name;
        if value.len() > LONGEST {
            return Err(Problem::bad(format!("`{name}` is longer than {LONGEST} bytes")));
        }
        match self.kind {
            Kind::Text => Ok(()),
            Kind::Time => match Timestamp::parse(value) {
                Ok(_) => Ok(()),
                Err(error) => Err(Problem::bad(format!("`{name}`: {error}"))),
            },
            Kind::Number { least, most, .. } => {
                let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                match value.parse::<u64>() {
                    Ok(number) if digits && (least..=most).contains(&number) => Ok(()),
                    _ => Err(Problem::bad(format!("`{name}` is a number from {least} up to {most}"))),
                }
            }
            Kind::OneOf(words) if words.contains(&value) => Ok(()),
            Kind::OneOf(words) => Err(Problem::bad(format!("`{name}` is one of {}", words.join(", ")))),
        }
    }
}

/// What a query says: valid values of known names, each once.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(BTreeMap<&'static str, String>);

impl Query {
    /// Reads the part of an address behind the `?`.
    pub(super) fn read(text: Option<&str>, known: &'static [Parameter]) -> Result<Self, Problem> {
        let mut found = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(text.unwrap_or_default().as_bytes()) {
            let Some(parameter) = known.iter().find(|parameter| parameter.name == name) else {
                let names: Vec<&str> = known.iter().map(|parameter| parameter.name).collect();
                let there = if names.is_empty() {
                    "there is none".to_owned()
                } else {
                    format!("there is {}", names.join(", "))
                };
                let name: String = name.chars().take(100).collect();
                return Err(Problem::bad(format!("`{name}` is no parameter; {there}")));
            };
            parameter.check(&value)?;
            if found.insert(parameter.name, value.into_owned()).is_some() {
                return Err(Problem::bad(format!("`{name}` is given twice")));
            }
        }
        Ok(Query(found))
    }

    /// A text, where it was given.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    /// A time, where it was given.
    pub(super) fn time(&self, name: &str) -> Option<Timestamp> {
        self.0.get(name).and_then(|value| Timestamp::parse(value).ok())
    }

    /// A number, where it was given.
    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.0.get(name).and_then(|value| value.parse().ok())
    }

    /// A word, as what it stands for.
    pub(super) fn word<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.0.get(name).and_then(|value| serde_json::from_value(value.as_str().into()).ok())
    }
}
