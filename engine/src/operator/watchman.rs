//! Notices of conditions: when something begins, while it stands, when it ends.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watershed_schemas::{Notice, NoticeKind, NoticeState, Timestamp};

use super::Condition;

/// A notice that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What it says.
    pub notice: Notice,
    /// Whether the same was said before and still stands.
    pub again: bool,
}

/// What stands, and what was told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watchman {
    known: Vec<Known>,
}

/// One thing that is wrong, or was so lately.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    kind: NoticeKind,
    subject: String,
    text: String,
    /// Since when it stands; absent where it is over.
    since: Option<Timestamp>,
    /// When it was last said to stand.
    told: Option<Timestamp>,
    /// Whether the last that was said is that it stands.
    open: bool,
}

impl Watchman {
    /// Takes in everything that is wrong now, and gives what is to be told of it. `now` never goes back.
    pub fn observe(&mut self, now: Timestamp, wrong: &[Condition], repeat: Duration) -> Vec<Told> {
        let mut wrong: BTreeMap<(NoticeKind, &str), &str> =
            wrong.iter().map(|one| ((one.kind, one.subject.as_str()), one.text.as_str())).collect();
        let mut told = Vec::new();
        for known in &mut self.known {
            let stands = wrong.keys().find(|(kind, subject)| *kind == known.kind && *subject == known.subject).copied();
            match stands.and_then(|key| wrong.remove(&key)) {
                Some(text) => {
                    known.text.clear();
                    known.text.push_str(text);
                    known.since.get_or_insert(now);
                    if known.told.is_none_or(|last| last.plus(repeat) <= now) {
                        let again = known.open;
                        known.told = Some(now);
                        known.open = true;
                        told.extend(known.notice(NoticeState::Firing, now).map(|notice| Told { notice, again }));
                    }
                }
                None if known.since.is_some() => {
                    if known.open {
                        let notice = known.notice(NoticeState::Resolved, now);
                        told.extend(notice.map(|notice| Told { notice, again: false }));
                    }
                    known.since = None;
                    known.open = false;
                }
                None => {}
            }
        }
        for ((kind, subject), text) in wrong {
            let known = Known {
                kind,
                subject: subject.to_owned(),
                text: text.to_owned(),
                since: Some(now),
                told: Some(now),
                open: true,
            };
            told.extend(known.notice(NoticeState::Firing, now).map(|notice| Told { notice, again: false }));
            self.known.push(known);
        }
        // What is over is remembered only for as long as it may not be told again.
        self.known.retain(|known| known.since.is_some() || known.told.is_some_and(|last| last.plus(repeat) > now));
        self.known.sort_by(|a, b| (a.kind, &a.subject).cmp(&(b.kind, &b.subject)));
        told
    }

    /// Everything that stands.
    pub fn standing(&self) -> impl Iterator<Item = Notice> {
        self.known.iter().filter_map(|known| known.notice(NoticeState::Firing, known.since?))
    }
}

impl Known {
    fn notice(&self, state: NoticeState, now: Timestamp) -> Option<Notice> {
        let text = match state {
            NoticeState::Firing => self.text.clone(),
            NoticeState::Resolved => format!("over since {now}: {}", self.text),
        };
        let (kind, subject, since) = (self.kind, self.subject.clone(), self.since?);
        Some(Notice { kind, subject, state, since, text })
    }
}
