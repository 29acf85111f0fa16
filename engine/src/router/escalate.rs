//! `escalate`: when nobody takes an incident in time, somebody else is told.

use std::collections::BTreeSet;

use watershed_schemas::NotifyReason;

use super::page::{Half, Key, Page};
use super::tree::{ESCALATED, Policy, Target};
use super::{Routed, Router};
use crate::correlator::Telling;

impl Router {
    /// Takes the next step of the chain: who is told, and of what.
    pub(super) fn escalation(&self, page: &mut Page, policy: &Policy) -> Vec<(usize, Vec<Telling>)> {
        let open = page.halves().filter(|half| half.told && !half.over && !half.acknowledged);
        let open = open.filter_map(|half| half.live.as_deref().cloned()).collect();
        let open = self.free(page, open);
        if open.is_empty() {
            page.retry = Some(self.later());
            return Vec::new();
        }
        let to = policy.escalate.get(page.escalated).map(|step| step.to.as_slice()).unwrap_or_default();
        page.escalated += 1;
        let seen = |receiver: usize| {
            open.iter().filter(|telling| self.routes.may_see(receiver, telling.plane)).cloned().collect::<Vec<_>>()
        };
        to.iter().map(|receiver| (*receiver, seen(*receiver))).filter(|(_, seen)| !seen.is_empty()).collect()
    }

    /// Tells the receivers that are due of what nobody has taken, both halves at once where both are due.
    pub(super) fn escalate(&mut self, routed: &mut Routed) {
        while !self.escalations.is_empty() {
            let mut keys = BTreeSet::new();
            for (receiver, from, tellings) in std::mem::take(&mut self.escalations) {
                self.tell_of(receiver, &from, &tellings, &mut keys);
            }
            routed.escalated += keys.len() as u64;
            for key in keys {
                self.settle(&key, routed);
            }
        }
    }

    /// Puts it on the receiver's pages. From then on it hears what becomes of it.
    fn tell_of(&mut self, receiver: usize, from: &Key, tellings: &[Telling], keys: &mut BTreeSet<Key>) {
        let labels = self.pages.get(from).and_then(|page| page.labels.clone());
        for telling in tellings {
            let target = Target { receiver, route: ESCALATED.to_owned() };
            let key = self.page_at(&target, &telling.incident.incident_id, &from.1, labels.clone());
            if let Some(page) = self.pages.get_mut(&key) {
                let member = page.members.entry(telling.incident.incident_id.clone()).or_default();
                let half = member[telling.plane.index()].get_or_insert_default();
                // It may wait for the end of what began again since.
                if half.over {
                    *half = Half::default();
                }
                // It may know more already than those who did not take it.
                let known = half.live.as_ref().map_or(0, |live| live.incident.revision);
                if known <= telling.incident.revision {
                    half.live = Some(Box::new(telling.clone()));
                }
                half.ask(NotifyReason::Escalated);
                page.since.get_or_insert(self.now);
                page.over = None;
            }
            keys.insert(key);
        }
    }
}
