//! What there is: every agent, workload, credential, scope and tool that the two streams have named.
//!
//! A fold over accepted rows of both planes, whether a rule matched them or not. Every fact is a least, a greatest or a set,
//! so that neither the order of arrival nor repeats change anything (`facts`); sets and numbers of entries are bounded in a
//! way that doesn't depend on the order either, and what a bound has cut is in the report (`limited`).
//!
//! * `Inventory::learn` takes rows in; what it changed goes into the step's commit.
//! * [`Inventory::report`] holds it against the registry of agents and tools and lists the gaps.
//!
//! It is not: a directory, or a count of events. What no event named isn't there, but for agents and tools that the registry
//! names and nobody saw.

mod facts;
mod gaps;
mod learn;
pub(crate) mod limited;
mod report;
pub(crate) mod said;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use watershed_schemas::Timestamp;

use crate::lifecycle::HeldBy;
use crate::store::Commit;

use facts::{Facts, Key, Kind, Tie, Times};
use limited::{Sample, digest};
use said::Said;

pub use gaps::Gap;
pub(crate) use report::seconds;
pub use report::{Cut, Entry, Found, Intended, Options, Report, What};

/// First bytes of the keys under which the inventory is stored.
pub const PREFIX: &[u8] = b"y/i/";

/// Which one principal an id belongs to, by tenant and id. Until links between ids are known every id is its own.
pub type Resolve<'a> = &'a dyn Fn(&str, &str) -> String;

/// Everything that was seen.
#[derive(Debug)]
pub struct Inventory {
    things: [Sample<Thing>; Kind::ALL.len()],
    /// The newest event heard: what "now" is.
    newest: Option<Timestamp>,
    oldest: Option<Timestamp>,
    /// What the store doesn't know yet.
    dirty: BTreeSet<(Kind, u128)>,
    span_dirty: bool,
    /// Keys of what had to go.
    gone: Vec<Vec<u8>>,
}

/// One thing and what is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Thing {
    #[serde(flatten)]
    pub(crate) key: Key,
    #[serde(flatten)]
    pub(crate) facts: Facts,
}

/// What is stored under one key.
#[derive(Serialize, Deserialize)]
enum Stored {
    #[serde(rename = "t")]
    Thing(Thing),
    /// Of the thing before it, whose key is a part of this one's.
    #[serde(rename = "w")]
    Times(Kind, String, Times),
    /// The oldest and the newest event, and of which kinds there were more than are kept.
    #[serde(rename = "s")]
    Span(Option<Timestamp>, Option<Timestamp>, Vec<Kind>),
}

impl Inventory {
    /// One that has seen nothing, with at most so many entries of each kind.
    pub fn new(entries: usize) -> Self {
        Inventory {
            things: std::array::from_fn(|_| Sample::new(entries)),
            newest: None,
            oldest: None,
            dirty: BTreeSet::new(),
            span_dirty: false,
            gone: Vec::new(),
        }
    }

    /// Takes a row in.
    pub(crate) fn learn(&mut self, said: &Said<'_>, commit: &Commit) {
        if self.newest.is_none_or(|newest| said.time > newest) {
            self.newest = Some(said.time);
            self.span_dirty = true;
        }
        if self.oldest.is_none_or(|oldest| said.time < oldest) {
            self.oldest = Some(said.time);
            self.span_dirty = true;
        }
        learn::learn(self, said, commit);
    }

    /// Lets `tell` state facts of one thing; where it says that there was news, the store hears of it.
    fn of(
        &mut self,
        (kind, said, id): (Kind, &Said<'_>, &str),
        commit: &Commit,
        tell: impl FnOnce(&mut Facts) -> bool,
    ) {
        let digest = digest(&(said.tenant, kind, id));
        let make =
            || Thing { key: Key { tenant: said.tenant.to_owned(), kind, id: id.to_owned() }, facts: Facts::default() };
        let (dirty, keys) = (&mut self.dirty, &mut self.gone);
        let gone = |digest| {
            dirty.remove(&(kind, digest));
            if !commit.unkept {
                keys.extend([stored_key(kind, digest), times_key(kind, digest)]);
            }
        };
        let sample = &mut self.things[kind as usize];
        let was_cut = sample.is_cut();
        let thing = sample.entry(digest, make, gone);
        let news = thing.is_some_and(|thing| tell(&mut thing.facts));
        self.span_dirty |= sample.is_cut() != was_cut;
        if news && !commit.unkept {
            self.dirty.insert((kind, digest));
        }
    }

    /// Puts what has changed into the commit.
    pub(crate) fn write(&mut self, commit: &mut Commit) {
        commit.forget(std::mem::take(&mut self.gone));
        for (kind, digest) in std::mem::take(&mut self.dirty) {
            let Some(thing) = self.things[kind as usize].get_mut(digest) else { continue };
            if std::mem::take(&mut thing.facts.changed) {
                commit.put(|| stored_key(kind, digest), &Stored::Thing(thing.clone()));
            }
            let times = thing.facts.times.clone();
            commit.put(|| times_key(kind, digest), &Stored::Times(kind, format!("{digest:032x}"), times));
        }
        if std::mem::take(&mut self.span_dirty) {
            let cut = Kind::ALL.into_iter().filter(|kind| self.things[*kind as usize].is_cut()).collect();
            commit.put(|| [PREFIX, b"span"].concat(), &Stored::Span(self.oldest, self.newest, cut));
        }
    }

    /// Takes up what was durable before a restart.
    pub(crate) fn restore(&mut self, stored: &[(Vec<u8>, Vec<u8>)]) {
        for (_, value) in stored {
            match serde_json::from_slice(value) {
                Ok(Stored::Thing(Thing { key, facts })) => {
                    let digest = digest(&(key.tenant.as_str(), key.kind, key.id.as_str()));
                    let sample = &mut self.things[key.kind as usize];
                    sample.entry(digest, || Thing { key, facts }, |_| {});
                }
                Ok(Stored::Times(kind, digest, times)) => {
                    let digest = u128::from_str_radix(&digest, 16).unwrap_or_default();
                    if let Some(thing) = self.things[kind as usize].get_mut(digest) {
                        thing.facts.times = times;
                    }
                }
                Ok(Stored::Span(oldest, newest, cut)) => {
                    (self.oldest, self.newest) = (oldest, newest);
                    cut.into_iter().for_each(|kind| self.things[kind as usize].was_cut(true));
                }
                Err(_) => {}
            }
        }
    }

    /// Entries of all kinds.
    pub fn len(&self) -> usize {
        self.things.iter().map(Sample::len).sum()
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The last use of each credential that one principal alone holds and uses.
    pub(crate) fn held_by(&self, resolve: Resolve<'_>) -> HeldBy {
        let mut held = HeldBy::new();
        for Thing { key, facts } in self.things(Kind::Credential) {
            let holders = facts.tied(Tie::Principal).chain(facts.tied(Tie::UsedByPrincipal));
            let holders = holders.map(|id| resolve(&key.tenant, id));
            let mut holders: BTreeSet<String> = holders.collect();
            let (Some(holder), Some((time, event_id)), true) =
                (holders.pop_first(), &facts.times.last_use, holders.is_empty())
            else {
                continue;
            };
            held.entry((key.tenant.clone(), holder)).or_default().push((key.id.clone(), *time, event_id.clone()));
        }
        held
    }

    /// All things of a kind.
    fn things(&self, kind: Kind) -> impl Iterator<Item = &Thing> {
        self.things[kind as usize].values()
    }
}

fn stored_key(kind: Kind, digest: u128) -> Vec<u8> {
    [PREFIX, kind.name().as_bytes(), b"/", format!("{digest:032x}").as_bytes()].concat()
}

/// Comes after the thing's own key.
fn times_key(kind: Kind, digest: u128) -> Vec<u8> {
    [&stored_key(kind, digest)[..], b"t"].concat()
}
