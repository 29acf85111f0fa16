//! The credentials, sessions, agents and tools that an incident's evidence names.

use std::collections::{BTreeMap, BTreeSet};

use watershed_schemas::{Plane, Timestamp};

use super::plays::{HARMLESS, OF_THE_ACCOUNT};
use super::{Object, Scene, When};
use crate::correlator::{Evidence, SignalRecord};

/// What one plane's steps can be done to.
pub(super) struct Objects<'a> {
    plane: Plane,
    scene: &'a Scene<'a>,
    /// Signals of the plane itself.
    own: Vec<&'a SignalRecord>,
    /// What is known to be over is not among them.
    credentials: Vec<String>,
}

impl<'a> Objects<'a> {
    pub(super) fn of(plane: Plane, scene: &'a Scene<'a>) -> Self {
        let own = scene.signals.iter().copied().filter(|signal| signal.plane.planes().contains(&plane)).collect();
        let mut objects = Objects { plane, scene, own, credentials: Vec::new() };
        objects.credentials = objects.credentials();
        objects
    }

    /// The ids of this kind, those that most signals name first.
    pub(super) fn named(&self, object: Object) -> Vec<String> {
        match object {
            Object::Credential => self.credentials.clone(),
            Object::IdentitySession => {
                let sessions = ranked(&self.own, |event| text(event, Plane::Access, "session_id"));
                sessions.into_iter().filter(|id| !self.scene.over.contains(id)).collect()
            }
            Object::Account => self.scene.principal.map(str::to_owned).into_iter().collect(),
            Object::Agent => {
                let of = |plane| {
                    let agent = move |event: &'a Evidence| {
                        text(event, plane, "agent_id").or_else(|| text(event, plane, "agent_name"))
                    };
                    ranked(&self.own, agent)
                };
                Some(of(Plane::Model)).filter(|agents| !agents.is_empty()).unwrap_or_else(|| of(Plane::Access))
            }
            Object::Tool => {
                let called = |event: &'a Evidence| {
                    let calls = matches!(event.kind.as_str(), "tool_call" | "tool_result");
                    text(event, Plane::Model, "tool").filter(|_| calls)
                };
                ranked(&self.own, called).into_iter().filter(|tool| !self.is_harmless(tool)).collect()
            }
            Object::AgentSession => ranked(&self.own, |event| text(event, Plane::Model, "session_id")),
            Object::Memory => {
                let memory =
                    |event: &'a Evidence| text(event, Plane::Model, "target").filter(|_| event.kind == "memory");
                ranked(&self.own, memory)
            }
        }
    }

    /// Credentials behind the plane's own signals; where they name none, those that the other plane's events name.
    fn credentials(&self) -> Vec<String> {
        let used = |event: &'a Evidence| event.columns.get("credential_id").map(String::as_str);
        let own = ranked(&self.own, used);
        let all = if own.is_empty() { ranked(self.scene.signals, used) } else { own };
        all.into_iter().filter(|id| !self.scene.over.contains(id)).collect()
    }

    fn is_harmless(&self, tool: &str) -> bool {
        let known = self.scene.registry.sensitivity.get(tool);
        known.is_some_and(|word| HARMLESS.contains(&word.to_lowercase().as_str()))
    }

    /// Whether a step is worth its price.
    pub(super) fn is_time_for(&self, when: When) -> bool {
        match when {
            When::Named => true,
            When::LessWouldNotDo => {
                let changed =
                    |event: &Evidence| event.plane == self.plane && OF_THE_ACCOUNT.contains(&event.kind.as_str());
                let account = self.own.iter().flat_map(|signal| &signal.evidence).any(changed);
                let nothing_left = self.credentials.is_empty() && self.named(Object::IdentitySession).is_empty();
                account || nothing_left || self.credentials.len() > 1
            }
        }
    }

    /// The agents that events name together with a credential.
    pub(super) fn agents_with(&self, credential: &str) -> impl Iterator<Item = &str> {
        let events = self.scene.signals.iter().flat_map(|signal| &signal.evidence);
        let with = events.filter(move |event| event.columns.get("credential_id").is_some_and(|id| id == credential));
        let agents: BTreeSet<&str> =
            with.filter_map(|event| event.columns.get("agent_id").map(String::as_str)).collect();
        agents.into_iter()
    }
}

/// A column of an event of this plane.
fn text<'e>(event: &'e Evidence, plane: Plane, column: &str) -> Option<&'e str> {
    event.columns.get(column).filter(|_| event.plane == plane).map(String::as_str)
}

/// What these signals' events name, by how many signals name it, then when it was named first.
fn ranked<'e>(signals: &[&'e SignalRecord], name: impl Fn(&'e Evidence) -> Option<&'e str>) -> Vec<String> {
    let mut found: BTreeMap<&str, (usize, Timestamp)> = BTreeMap::new();
    for signal in signals {
        let mut once = BTreeSet::new();
        for event in &signal.evidence {
            let Some(name) = name(event) else { continue };
            let (count, first) = found.entry(name).or_insert((0, event.event_time));
            *count += usize::from(once.insert(name));
            *first = (*first).min(event.event_time);
        }
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by(|(a, (many, at)), (b, (others, then))| others.cmp(many).then(at.cmp(then)).then(a.cmp(b)));
    found.into_iter().map(|(name, _)| name.to_owned()).collect()
}
