//! `silence`: what somebody has asked not to be called about, until when and why.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use watershed_schemas::Timestamp;

use super::labels::Labels;
use super::matcher::Matcher;
use super::reach;

/// First bytes of the keys that hold silences.
pub(super) const PREFIX: &[u8] = b"n/s/";
/// How long a silence that has ended is still shown.
const SHOWN_AFTER: Duration = Duration::from_secs(5 * 24 * 60 * 60);
/// Most silences at once.
const MOST: usize = 1_000;
/// Most matchers of one silence.
const MATCHERS: usize = 16;
/// Longest author and reason, in characters.
const LONGEST: usize = 500;
/// Longest that a silence may hold: what is to be quiet for ever belongs into the configuration.
const LONGEST_SILENCE: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// A silence as it is kept and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Silence {
    /// Its id.
    pub id: String,
    /// Matchers such as `agent="payments"`, all of which must hold.
    #[schemars(with = "Vec<String>")]
    pub matchers: Vec<Matcher>,
    /// Who asked for it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// From when on.
    pub starts: Timestamp,
    /// Until when.
    pub ends: Timestamp,
    /// Whether it is written in the configuration: it can be changed there only.
    #[serde(default)]
    pub configured: bool,
}

/// A silence that somebody asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSilence {
    /// Matchers such as `agent="payments"`, all of which must hold.
    pub matchers: Vec<String>,
    /// Who asks for it.
    #[serde(default)]
    pub author: String,
    /// Why.
    pub reason: String,
    /// From when on; absent: from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<Timestamp>,
    /// Until when.
    pub ends: Timestamp,
}

/// How a silence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SilenceState {
    /// It has not begun.
    Pending,
    /// It holds.
    Active,
    /// It is over.
    Expired,
}

/// What is wrong with a silence that somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where, such as `matchers[0]`; empty: all of it.
    pub at: String,
    /// What, and the way out.
    pub message: String,
}

impl Silence {
    /// How it stands at a moment.
    pub fn state(&self, now: Timestamp) -> SilenceState {
        if now >= self.ends {
            SilenceState::Expired
        } else if now < self.starts {
            SilenceState::Pending
        } else {
            SilenceState::Active
        }
    }

    /// What is asked for, made whole. It holds from now on where it does not say otherwise.
    ///
    /// # Errors
    /// Where it can't be meant: all that is wrong, and the ways out.
    pub fn of(asked: NewSilence, now: Timestamp) -> Result<Silence, String> {
        let all = |faults: Vec<Fault>| faults.into_iter().map(|fault| fault.message).collect::<Vec<_>>().join("; ");
        let mut silence = Silence::read(asked, now).map_err(all)?;
        if silence.ends <= now {
            return Err(format!("it ends in the past, at {}; give it a later end", silence.ends));
        }
        if silence.ends > silence.starts.max(now).plus(LONGEST_SILENCE) {
            return Err(format!(
                "it ends more than a year after it starts, at {}; disable the rule or change the route instead",
                silence.ends
            ));
        }
        silence.id = silence.name(now);
        Ok(silence)
    }

    /// A silence that is written in the configuration. It holds from ever where it does not say otherwise, and it may be over:
    /// nobody has to change a file because time goes by. Its id depends on what it says alone.
    ///
    /// # Errors
    /// Where it can't be meant: everything that is wrong, with the ways out.
    pub fn configured(written: NewSilence) -> Result<Silence, Vec<Fault>> {
        let mut silence = Silence::read(written, Timestamp::MIN)?;
        silence.configured = true;
        silence.id = silence.name(Timestamp::MIN);
        Ok(silence)
    }

    fn read(asked: NewSilence, starts: Timestamp) -> Result<Silence, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut fault = |at: &str, message: String| faults.push(Fault { at: at.to_owned(), message });
        if asked.matchers.len() > MATCHERS {
            fault("matchers", format!("it has more than {MATCHERS} matchers; make several silences of it"));
        }
        let mut matchers: Vec<Matcher> = Vec::new();
        for (at, text) in asked.matchers.iter().take(MATCHERS).enumerate() {
            match text.parse::<Matcher>() {
                Ok(matcher) => {
                    if let Some(never) = reach::never(&matcher) {
                        fault(&format!("matchers[{at}]"), never);
                    }
                    matchers.push(matcher);
                }
                Err(reason) => fault(&format!("matchers[{at}]"), reason),
            }
        }
        if matchers.len() == asked.matchers.len() && matchers.iter().all(Matcher::asks_nothing) {
            let message = "it would silence everything; give it a matcher such as tenant=\"acme\"";
            fault("matchers", message.to_owned());
        }
        if let Some(never) = reach::excluded(&matchers) {
            fault("matchers", format!("it can never match: {never}"));
        }
        for (name, text) in [("author", &asked.author), ("reason", &asked.reason)] {
            if text.trim().is_empty() {
                fault(name, format!("its {name} is missing; the next reader must know"));
            }
            if text.chars().count() > LONGEST {
                fault(name, format!("its {name} is longer than {LONGEST} characters; make it shorter"));
            }
        }
        let starts = asked.starts.unwrap_or(starts);
        if asked.ends <= starts {
            fault("ends", format!("it ends at {}, before it starts at {starts}; give it a later end", asked.ends));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let NewSilence { author, reason, ends, .. } = asked;
        Ok(Silence { id: String::new(), matchers, author, reason, starts, ends, configured: false })
    }

    /// An id from what it says, and when that was asked.
    fn name(&self, now: Timestamp) -> String {
        let mut hash = Sha256::new();
        for part in [&self.author, &self.reason, &self.starts.to_string(), &self.ends.to_string(), &now.to_string()] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        for matcher in &self.matchers {
            hash.update(matcher.to_string().as_bytes());
            hash.update([1]);
        }
        let hex: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("sil_{hex}")
    }
}

/// All silences.
#[derive(Clone, Debug, Default)]
pub(super) struct Silences {
    by_id: BTreeMap<String, Silence>,
    /// What must be written, or deleted, with the next commit.
    changed: Vec<String>,
}

impl Silences {
    pub(super) fn new(configured: &[Silence]) -> Self {
        let by_id = configured.iter().map(|silence| (silence.id.clone(), silence.clone())).collect();
        Silences { by_id, changed: Vec::new() }
    }

    /// The active silence that holds for these labels, by id.
    pub(super) fn holding(&self, labels: &Labels, now: Timestamp) -> Option<&str> {
        let holds = |silence: &&Silence| {
            silence.state(now) == SilenceState::Active && silence.matchers.iter().all(|matcher| matcher.matches(labels))
        };
        self.by_id.values().find(holds).map(|silence| silence.id.as_str())
    }

    /// When the next silence begins or ends.
    pub(super) fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let moments = self.by_id.values().flat_map(|silence| [silence.starts, silence.ends]);
        moments.filter(|moment| *moment > now).min()
    }

    pub(super) fn add(&mut self, asked: NewSilence, now: Timestamp) -> Result<Silence, String> {
        self.forget(now);
        if self.by_id.len() >= MOST {
            return Err(format!("there are {MOST} silences already; expire some, or change the routes"));
        }
        let silence = Silence::of(asked, now)?;
        self.changed.push(silence.id.clone());
        self.by_id.insert(silence.id.clone(), silence.clone());
        Ok(silence)
    }

    pub(super) fn expire(&mut self, id: &str, now: Timestamp) -> Result<Silence, String> {
        let shown: String = id.chars().take(64).collect();
        let Some(silence) = self.by_id.get_mut(id) else {
            return Err(format!("there is no silence `{}`", shown.escape_debug()));
        };
        if silence.configured {
            return Err(format!("silence `{id}` is written in the configuration; take it out there"));
        }
        if silence.state(now) == SilenceState::Expired {
            return Err(format!("silence `{id}` ended at {} already", silence.ends));
        }
        silence.ends = now;
        silence.starts = silence.starts.min(now);
        self.changed.push(id.to_owned());
        Ok(silence.clone())
    }

    /// All of them, by end and id.
    pub(super) fn list(&self) -> Vec<Silence> {
        let mut all: Vec<Silence> = self.by_id.values().cloned().collect();
        all.sort_by(|a, b| (a.ends, &a.id).cmp(&(b.ends, &b.id)));
        all
    }

    /// Drops what ended long ago.
    pub(super) fn forget(&mut self, now: Timestamp) {
        let (changed, keep) =
            (&mut self.changed, |silence: &Silence| silence.configured || silence.ends.plus(SHOWN_AFTER) > now);
        self.by_id.retain(|id, silence| {
            let kept = keep(silence);
            if !kept {
                changed.push(id.clone());
            }
            kept
        });
    }

    /// Pairs to write and keys to delete since the last time.
    pub(super) fn take_changes(&mut self) -> Vec<(Vec<u8>, Option<Silence>)> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        let change = |id: String| ([PREFIX, id.as_bytes()].concat(), self.by_id.get(&id).cloned());
        changed.into_iter().map(change).collect()
    }

    pub(super) fn is_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    pub(super) fn restore(&mut self, value: &[u8]) {
        if let Ok(silence) = serde_json::from_slice::<Silence>(value)
            && !silence.configured
        {
            self.by_id.insert(silence.id.clone(), silence);
        }
    }
}
