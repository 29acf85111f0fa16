//! What a person does with an incident.

use serde::Deserialize;
use watershed_schemas::{Act, Disposition, Handled, Timestamp};

use super::expect::Whom;
use super::offset::moment;

/// One entry of `acts`.
#[derive(Clone, Debug)]
pub struct Deed {
    /// Its line.
    pub line: u64,
    /// Whom the incident is about.
    pub whom: Whom,
    /// Which of them: 1 for the first.
    pub number: usize,
    /// What is done, by whom and when.
    pub handled: Handled,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDeed {
    at: String,
    who: String,
    incident: String,
    #[serde(default)]
    number: Option<usize>,
    act: Word,
    #[serde(default)]
    disposition: Option<Disposition>,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Acknowledge,
    Close,
    Reopen,
    Comment,
}

impl RawDeed {
    pub(super) fn read(self, line: u64) -> Result<Deed, String> {
        let at = moment(&self.at)?;
        let act = match (self.act, self.disposition) {
            (Word::Close, Some(disposition)) => Act::Close { disposition },
            (Word::Close, None) => return Err("say as what it is closed: `disposition`".to_owned()),
            (_, Some(_)) => return Err("only what is closed has a `disposition`".to_owned()),
            (Word::Acknowledge, None) => Act::Acknowledge,
            (Word::Reopen, None) => Act::Reopen,
            (Word::Comment, None) => Act::Comment,
        };
        Ok(Deed {
            line,
            whom: Whom::Principal(self.incident),
            number: self.number.unwrap_or(1),
            handled: Handled { act, by: self.who, at, note: self.note },
        })
    }
}

impl Deed {
    /// When it is done.
    pub fn at(&self) -> Timestamp {
        self.handled.at
    }
}
