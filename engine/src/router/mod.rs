//! Who is told what, and when: incident revisions become notifications.
//!
//! The stages, each in the file of its name: `route` (`tree`) finds the receivers of each half of an incident, `group` puts
//! incidents together, `inhibit`, `silence` and `mute` hold back what nobody is to be called about, `repeat` and `escalate` tell
//! again and tell others, `message` writes what a receiver may see and `send` gives it an id and a key.
//!
//! It is a state machine without input or output: [`Router::take`] and [`Router::tick`] are given the time. What it remembers is
//! a `page` for each receiver and incident, or group of incidents; it is written with the commit that the messages are in.
//!
//! * A receiver hears first that something is new, then what grows, then its end. Ends and takings are told to those who heard
//!   the beginning, to nobody else, and nothing holds them back.
//! * What is held back waits, and is told when nothing holds it back any more and the incident still lasts.
//! * No receiver gets a half of a plane that it may not see; only the fallback hears of it, and sees nothing.

mod dispatch;
mod escalate;
mod group;
mod inhibit;
mod labels;
mod matcher;
mod message;
mod mute;
mod others;
mod page;
mod persist;
pub(crate) mod reach;
mod repeat;
mod send;
mod silence;
#[cfg(test)]
mod tests;
mod tree;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watershed_rules::ReferenceTables;
use watershed_schemas::{Notification, Plane, Timestamp};

use crate::correlator::Telling;
use crate::evaluator::RuleSetup;
use crate::redact::Redaction;

use inhibit::Inhibitor;
use message::RuleBrief;
use page::{Key, Page};
use silence::Silences;

pub use inhibit::Inhibition;
pub use labels::{Label, Labels};
pub use matcher::Matcher;
pub use mute::{Days, Interval, Span, zone};
pub use page::Hold;
pub use persist::PREFIX;
pub use silence::{Fault, NewSilence, Silence, SilenceState};
pub use tree::{Escalation, Matchers, Policy, Receiver, Route, Routes, Target};

/// Turns what must be told into messages to receivers.
pub struct Router {
    routes: Routes,
    rules: BTreeMap<String, RuleBrief>,
    redaction: Redaction,
    /// Who answers for each agent, by the reference tables.
    owners: BTreeMap<String, Vec<String>>,
    /// The latest time that was heard of.
    now: Timestamp,
    pages: BTreeMap<Key, Page>,
    by_incident: BTreeMap<Arc<str>, BTreeSet<Key>>,
    /// When something is to be done with a page.
    due: BTreeSet<(Timestamp, Key)>,
    /// Pages of which something is held back.
    held: BTreeSet<Key>,
    /// When they are looked at again, where nothing stirs them before.
    recheck: Timestamp,
    stirred: bool,
    silences: Silences,
    inhibitor: Inhibitor,
    /// Pages that changed since the last commit.
    dirty: BTreeSet<Key>,
    /// Keys of the store that nobody needs.
    gone: Vec<Vec<u8>>,
    /// Nothing more comes: nothing waits for more.
    hurry: bool,
    /// Receivers who are to be told of what nobody has taken, and from which pages.
    escalations: Vec<(usize, Key, Vec<Telling>)>,
}

/// What routing gave.
#[derive(Debug, Default)]
pub struct Routed {
    /// The messages, in the order in which they are to be sent.
    pub notifications: Vec<Notification>,
    /// Tellings that no route took and that went to the fallback receiver, or, without one, to nobody.
    pub unrouted: u64,
    /// Halves of incidents that a silence began to hold back.
    pub silenced: u64,
    /// Halves of incidents that a mute interval began to hold back.
    pub muted: u64,
    /// Halves of incidents that a graver incident began to hold back.
    pub inhibited: u64,
    /// What began to be held back, by incident.
    pub held_back: Vec<(String, HeldBack)>,
    /// Messages that said something again.
    pub repeated: u64,
    /// Receivers who were told because nobody had acted.
    pub escalated: u64,
}

impl Routed {
    /// Adds what came later.
    pub fn extend(&mut self, later: Routed) {
        self.notifications.extend(later.notifications);
        self.unrouted += later.unrouted;
        self.silenced += later.silenced;
        self.muted += later.muted;
        self.inhibited += later.inhibited;
        self.held_back.extend(later.held_back);
        self.repeated += later.repeated;
        self.escalated += later.escalated;
    }
}

/// A half of an incident that a receiver is not called about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBack {
    /// The receiver.
    pub receiver: String,
    /// Whose half.
    pub plane: Plane,
    /// Of which revision.
    pub revision: u32,
    /// Why.
    pub hold: Hold,
}

impl Router {
    /// A router over these receivers and routes, which has told nobody anything.
    pub fn new(routes: Routes, setups: &[RuleSetup]) -> Self {
        let mut router = Router {
            silences: Silences::new(&routes.silences),
            inhibitor: Inhibitor::new(&routes.inhibitions),
            routes,
            rules: BTreeMap::new(),
            redaction: Redaction::default(),
            owners: BTreeMap::new(),
            now: Timestamp::MIN,
            pages: BTreeMap::new(),
            by_incident: BTreeMap::new(),
            due: BTreeSet::new(),
            held: BTreeSet::new(),
            recheck: Timestamp::MIN,
            stirred: false,
            dirty: BTreeSet::new(),
            gone: Vec::new(),
            hurry: false,
            escalations: Vec::new(),
        };
        router.learn(setups);
        router
    }

    /// The same with what this installation says about redaction.
    #[must_use]
    pub fn redacting(mut self, redaction: Redaction) -> Self {
        self.redaction = redaction;
        self
    }

    /// What may be shown to whom.
    pub fn redaction(&self) -> &Redaction {
        &self.redaction
    }

    /// Takes up what another set of rules says about itself. Rules that are gone are still mentioned by their titles.
    pub fn learn(&mut self, setups: &[RuleSetup]) {
        let brief = |setup: &RuleSetup| (setup.rule.meta.id.clone(), RuleBrief::of(setup));
        self.rules.extend(setups.iter().map(brief));
    }

    /// Takes up who answers for each agent: `owner` and `team` of the table `agents`.
    pub fn refer_to(&mut self, reference: &ReferenceTables) {
        self.owners = reference.get("agents").map(labels::owners).unwrap_or_default();
    }

    /// Asks for silence from now on.
    ///
    /// # Errors
    /// Where it can't be meant: what is wrong, and the way out.
    pub fn add_silence(&mut self, asked: NewSilence, now: Timestamp) -> Result<Silence, String> {
        self.stirred = true;
        self.silences.add(asked, now)
    }

    /// All silences, those that ended less than five days ago included, by their end.
    pub fn silences(&self, now: Timestamp) -> Vec<Silence> {
        let mut silences = self.silences.clone();
        silences.forget(now);
        silences.list()
    }

    /// Ends a silence now.
    ///
    /// # Errors
    /// Where there is none of this id, it has ended, or it is written in the configuration.
    pub fn expire_silence(&mut self, id: &str, now: Timestamp) -> Result<Silence, String> {
        self.stirred = true;
        self.silences.expire(id, now)
    }

    /// Who is not called about an incident now, and why.
    pub fn held_back(&self, incident: &str) -> Vec<HeldBack> {
        let pages = self.by_incident.get(incident).into_iter().flatten().filter_map(|key| self.pages.get(key));
        let mut held = Vec::new();
        for page in pages {
            for (plane, half) in page.members.get(incident).map(page::planes).into_iter().flatten() {
                let revision = half.live.as_ref().map_or(0, |live| live.incident.revision);
                let hold = half.held.clone();
                held.extend(hold.map(|hold| HeldBack { receiver: page.receiver.clone(), plane, revision, hold }));
            }
        }
        held
    }

    /// Pages that are open or remembered, and those of which something is held back.
    pub fn counts(&self) -> (usize, usize) {
        (self.pages.len(), self.held.len())
    }

    /// The receivers and routes.
    pub fn routes(&self) -> &Routes {
        &self.routes
    }
}
