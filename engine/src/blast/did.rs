//! What an identity did reach, counted over events.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use watershed_schemas::{Plane, Reached, Timestamp};

use super::{ENTRIES, Subject};
use crate::correlator::Evidence;

/// What a verdict can be about that is an attack and not a kind of data.
const ATTACKS: [&str; 8] = [
    "prompt_injection",
    "jailbreak",
    "model_extraction",
    "data_poisoning",
    "adversarial_input",
    "unsafe_output",
    "tool_misuse",
    "policy_override",
];

/// Most credentials that are remembered as used.
const USED: usize = 1_000;

/// What is left out of a count, for whoever reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// Rows that were not looked at because there were too many.
    pub rows: u64,
    /// Rows that could not be had back from their shelf.
    pub unreadable: u64,
}

/// One event as it is looked at: `text` gives a column, with ids as they are called.
pub(super) struct Event<'a> {
    pub(super) plane: Plane,
    pub(super) event_id: &'a str,
    pub(super) event_time: Timestamp,
    pub(super) kind: &'a str,
    pub(super) text: &'a dyn Fn(&str) -> Option<Cow<'a, str>>,
}

/// Counts what a subject did, and who else used its credentials.
#[derive(Clone, Debug)]
pub struct Deeds {
    pub(super) tenant: String,
    pub(super) window: RangeInclusive<Timestamp>,
    principal: String,
    ids: BTreeSet<String>,
    sessions: BTreeSet<String>,
    credentials: BTreeSet<String>,
    reached: BTreeMap<(&'static str, String), Times>,
    /// For each credential the agents that used it.
    agents: BTreeMap<String, BTreeSet<String>>,
    others: BTreeSet<String>,
    /// Events that were counted: one may be evidence and remembered.
    events: BTreeSet<(Plane, String)>,
    /// Credentials that these were done with.
    used: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct Times {
    /// What was counted: calls by their ids, everything else by events.
    each: BTreeSet<String>,
    first: Timestamp,
    last: Timestamp,
}

impl Deeds {
    pub(super) fn new(
        subject: &Subject,
        ids: BTreeSet<String>,
        principal: String,
        sessions: BTreeSet<String>,
        credentials: BTreeSet<String>,
    ) -> Self {
        Deeds {
            tenant: subject.tenant.clone(),
            window: subject.did.clone(),
            principal,
            ids,
            sessions,
            credentials,
            reached: BTreeMap::new(),
            agents: BTreeMap::new(),
            others: BTreeSet::new(),
            events: BTreeSet::new(),
            used: BTreeSet::new(),
        }
    }

    /// An event behind a finding: it is the subject's, whatever it names.
    pub(super) fn evidence(&mut self, evidence: &Evidence) {
        let columns = &evidence.columns;
        let event = Event {
            plane: evidence.plane,
            event_id: &evidence.event_id,
            event_time: evidence.event_time,
            kind: &evidence.kind,
            text: &|name| columns.get(name).map(|text| Cow::Borrowed(text.as_str())),
        };
        self.shares(&event);
        self.count(&event);
    }

    /// Any event of the tenant in the window.
    pub(super) fn see(&mut self, event: &Event<'_>) {
        self.shares(event);
        if self.is_own(event) {
            self.count(event);
        }
    }

    /// Whether the subject, its session or its credential did it. A credential in other hands is not the subject.
    fn is_own(&self, event: &Event<'_>) -> bool {
        let names = |id: &Cow<'_, str>| **id == *self.principal || self.ids.contains(&**id);
        let principal = (event.text)("principal");
        let own = principal.as_ref().is_some_and(names) || (event.text)("on_behalf_of").as_ref().is_some_and(names);
        let has = |name: &str, known: &BTreeSet<String>| (event.text)(name).is_some_and(|id| known.contains(&*id));
        own || has("session_id", &self.sessions) || (principal.is_none() && has("credential_id", &self.credentials))
    }

    /// Who else uses a credential of the subject.
    fn shares(&mut self, event: &Event<'_>) {
        let Some(credential) = (event.text)("credential_id") else { return };
        if !self.credentials.contains(&*credential) {
            return;
        }
        if let Some(agent) = (event.text)("agent_id") {
            self.agents.entry(credential.into_owned()).or_default().insert(agent.into_owned());
        }
        if self.ids.is_empty() {
            return;
        }
        let behalf = (event.text)("on_behalf_of");
        if behalf.is_some_and(|id| *id == *self.principal || self.ids.contains(&*id)) {
            return;
        }
        if let Some(principal) = (event.text)("principal")
            && *principal != *self.principal
            && !self.ids.contains(&*principal)
        {
            self.others.insert(principal.into_owned());
        }
    }

    fn count(&mut self, event: &Event<'_>) {
        if !self.events.insert((event.plane, event.event_id.to_owned())) {
            return;
        }
        let text = |name: &str| (event.text)(name).map(Cow::into_owned);
        if self.used.len() < USED {
            self.used.extend(text("credential_id"));
        }
        // What failed, or was not let through, was not reached.
        if text("outcome").as_deref() == Some("failure") {
            return;
        }
        let once = |name: Option<String>| name.unwrap_or_else(|| event.event_id.to_owned());
        let mut found: Vec<(&'static str, Option<String>, String)> = Vec::new();
        match (event.plane, event.kind) {
            (Plane::Model, "tool_call" | "tool_result") => {
                found.push(("tool", text("tool"), once(text("tool_call_id"))));
                found.push(("target", text("target"), once(text("tool_call_id"))));
            }
            (Plane::Model, "retrieval" | "memory") => found.push(("target", text("target"), once(None))),
            (Plane::Model, "prompt" | "completion") => found.push(("model", text("model"), once(None))),
            (Plane::Model, "guardrail") if text("verdict").as_deref() != Some("deny") => {
                let data = text("category").filter(|category| !ATTACKS.contains(&category.as_str()));
                found.push(("data", data, once(None)));
            }
            (Plane::Access, "access_allowed" | "token_used") => {
                found.push(("resource", text("resource"), once(None)));
            }
            _ => {}
        }
        for (what, name, once) in found {
            let Some(name) = name else { continue };
            let at = event.event_time;
            let times = self.reached.entry((what, name)).or_insert_with(|| Times {
                each: BTreeSet::new(),
                first: at,
                last: at,
            });
            times.each.insert(once);
            times.first = times.first.min(at);
            times.last = times.last.max(at);
        }
    }

    /// Credentials that own events name.
    pub(super) fn used(&self) -> &BTreeSet<String> {
        &self.used
    }

    /// How many events were counted.
    pub(super) fn counted(&self) -> usize {
        self.events.len()
    }

    /// What was reached, by what and name, and how much is left out: of each kind the most used stay.
    pub(super) fn reached(&self) -> (Vec<Reached>, u32) {
        let mut by_kind: BTreeMap<&'static str, Vec<Reached>> = BTreeMap::new();
        for ((what, name), times) in &self.reached {
            by_kind.entry(what).or_default().push(Reached {
                what: (*what).to_owned(),
                name: name.clone(),
                times: u32::try_from(times.each.len()).unwrap_or(u32::MAX),
                first: times.first,
                last: times.last,
            });
        }
        let mut omitted = 0_u32;
        let mut all = Vec::new();
        for mut some in by_kind.into_values() {
            some.sort_by(|a, b| b.times.cmp(&a.times).then_with(|| a.name.cmp(&b.name)));
            omitted = omitted.saturating_add(u32::try_from(some.len().saturating_sub(ENTRIES)).unwrap_or(u32::MAX));
            some.truncate(ENTRIES);
            all.append(&mut some);
        }
        all.sort();
        (all, omitted)
    }

    /// Who else was seen with a credential of the subject: other identities, and agents where several use one.
    pub(super) fn sharing(&self) -> impl Iterator<Item = String> {
        let several = self.agents.values().filter(|agents| agents.len() > 1).flatten();
        self.others.iter().cloned().chain(several.cloned())
    }
}
