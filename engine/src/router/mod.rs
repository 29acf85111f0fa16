//! Who is told what: incident revisions become notifications.
//!
//! Each team gets its own view of an incident: the findings of its plane, their evidence, its first move. Evidence of the
//! other plane appears only where a finding of the own plane rests on it, and then without its payload.

mod message;
mod routes;
mod view;

use std::collections::BTreeMap;

use watershed_schemas::Notification;

use crate::correlator::Telling;
use crate::evaluator::RuleSetup;
use crate::redact::Redaction;

use message::{RuleBrief, Writer};

pub use routes::{Matchers, Receiver, Route, Routes};

/// Turns what must be told into messages to receivers.
pub struct Router {
    routes: Routes,
    rules: BTreeMap<String, RuleBrief>,
    redaction: Redaction,
}

/// What routing one step's tellings gave.
#[derive(Debug, Default)]
pub struct Routed {
    /// The messages, in the order in which they are to be sent.
    pub notifications: Vec<Notification>,
    /// Tellings that no route took and that went to the fallback receiver, or, without one, to nobody.
    pub unrouted: u64,
}

impl Router {
    /// A router over these receivers and routes.
    pub fn new(routes: Routes, setups: &[RuleSetup]) -> Self {
        let mut router = Router { routes, rules: BTreeMap::new(), redaction: Redaction::default() };
        router.learn(setups);
        router
    }

    /// The same with what this installation says about redaction.
    #[must_use]
    pub fn redacting(mut self, redaction: Redaction) -> Self {
        self.redaction = redaction;
        self
    }

    /// Takes up what another set of rules says about itself. Rules that are gone are still mentioned by their titles.
    pub fn learn(&mut self, setups: &[RuleSetup]) {
        let brief = |setup: &RuleSetup| (setup.rule.meta.id.clone(), RuleBrief::of(setup));
        self.rules.extend(setups.iter().map(brief));
    }

    /// The messages that these tellings amount to.
    pub fn route(&self, tellings: &[Telling]) -> Routed {
        let mut routed = Routed::default();
        let mut rest = tellings;
        while let Some(first) = rest.first() {
            let same = |telling: &&Telling| {
                telling.incident.incident_id == first.incident.incident_id
                    && telling.incident.revision == first.incident.revision
            };
            let group = &rest[..rest.iter().take_while(same).count()];
            self.route_revision(group, &mut routed);
            rest = &rest[group.len()..];
        }
        routed
    }

    fn route_revision(&self, group: &[Telling], routed: &mut Routed) {
        let mut addressed: BTreeMap<usize, Vec<&Telling>> = BTreeMap::new();
        for telling in group {
            let tags: Vec<&str> = telling
                .incident
                .rules
                .iter()
                .filter_map(|rule| self.rules.get(rule))
                .flat_map(|brief| brief.tags.iter().map(String::as_str))
                .collect();
            let mut receivers = self.routes.receivers_of(telling, &tags);
            if receivers.is_empty() {
                routed.unrouted += 1;
                receivers.extend(self.routes.fallback());
            }
            for receiver in receivers {
                addressed.entry(receiver).or_default().push(telling);
            }
        }
        let writer = Writer { routes: &self.routes, rules: &self.rules, redaction: &self.redaction };
        for (receiver, tellings) in addressed {
            let receiver = &self.routes.receivers[receiver];
            routed.notifications.push(writer.notification(receiver, &tellings));
        }
    }
}
