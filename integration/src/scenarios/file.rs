//! A scenario as its file says it.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use super::deed::RawDeed;
use super::expect::RawExpected;
use super::never::RawNever;

/// A place in a scenario that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub path: PathBuf,
    /// The line, counted from 1.
    pub line: u64,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.message)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    pub(super) id: Spanned<String>,
    pub(super) title: String,
    /// What a good analyst makes of it: for readers only.
    #[serde(rename = "story")]
    pub(super) _story: String,
    #[serde(default)]
    pub(super) kafka: bool,
    #[serde(default)]
    pub(super) config: String,
    #[serde(default)]
    pub(super) defaults: Option<Spanned<RawDefaults>>,
    #[serde(default)]
    pub(super) silent: Vec<Spanned<RawSilent>>,
    #[serde(default)]
    pub(super) until: Option<Spanned<String>>,
    pub(super) events: Spanned<Vec<Spanned<Map<String, Value>>>>,
    #[serde(default)]
    pub(super) acts: Vec<Spanned<RawDeed>>,
    #[serde(default)]
    pub(super) expect: Vec<Spanned<RawExpected>>,
    /// Whether nobody is to be told anything.
    #[serde(default)]
    pub(super) nothing: bool,
    /// How many rows come too late, or from the future.
    #[serde(default)]
    pub(super) refused: u64,
    pub(super) never: Vec<Spanned<RawNever>>,
    pub(super) twin: Spanned<RawTwin>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawDefaults {
    pub(super) runtime: Map<String, Value>,
    pub(super) identity: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSilent {
    pub(super) plane: watershed_schemas::Plane,
    #[serde(default)]
    pub(super) from: Option<String>,
    #[serde(default)]
    pub(super) to: Option<String>,
    /// Whether the broker still answers, so that it is known that nothing has come.
    #[serde(default)]
    pub(super) broker_answers: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTwin {
    pub(super) title: String,
    #[serde(default)]
    pub(super) without: Vec<String>,
    /// Names of `silent` entries can't be given: this takes them all back.
    #[serde(default)]
    pub(super) all_heard: bool,
    #[serde(default)]
    pub(super) events: Vec<Spanned<Map<String, Value>>>,
    /// Instead of the story's own, where there are any.
    #[serde(default)]
    pub(super) acts: Option<Vec<Spanned<RawDeed>>>,
    #[serde(default)]
    pub(super) until: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) expect: Vec<Spanned<RawExpected>>,
    #[serde(default)]
    pub(super) nothing: bool,
    #[serde(default)]
    pub(super) refused: u64,
    #[serde(default)]
    pub(super) never: Vec<Spanned<RawNever>>,
}

/// Reads the text of a file.
pub(super) fn read(path: &Path, text: &str) -> Result<RawFile, Fault> {
    // Without it the country `NO` would be a boolean.
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(1, |location| location.line());
        let message = error.without_snippet().to_string();
        Fault { path: path.to_owned(), line, message: message.lines().next().unwrap_or_default().to_owned() }
    })
}

/// The line on which something begins.
pub(super) fn line_of<T>(spanned: &Spanned<T>) -> u64 {
    spanned.referenced.line().max(1)
}
