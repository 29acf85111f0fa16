//! `take` and `tick`: what is told now, what waits, and what is due.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watershed_schemas::{IncidentStatus, NotifyReason, Timestamp};

use super::labels::Labels;
use super::page::{Hold, Key, Page, Step, urgency};
use super::tree::{FALLBACK, Target};
use super::{HeldBack, Routed, Router};
use crate::correlator::Telling;

/// How often it is looked whether an interval has ended.
const MINUTE: i64 = 60_000_000;

impl Router {
    /// Takes in what must be told, at this time; gives the messages that are to be sent now. Time never goes back.
    pub fn take(&mut self, tellings: &[Telling], now: Timestamp) -> Routed {
        self.now = self.now.max(now);
        let mut routed = Routed::default();
        let mut rest = tellings;
        while let Some(first) = rest.first() {
            let same = |telling: &&Telling| {
                telling.incident.incident_id == first.incident.incident_id
                    && telling.incident.revision == first.incident.revision
            };
            let revision = &rest[..rest.iter().take_while(same).count()];
            self.take_revision(revision, &mut routed);
            rest = &rest[revision.len()..];
        }
        self.run_due(&mut routed);
        routed
    }

    /// What has become due by this time.
    pub fn tick(&mut self, now: Timestamp) -> Routed {
        self.now = self.now.max(now);
        let mut routed = Routed::default();
        self.run_due(&mut routed);
        routed
    }

    /// Nothing more comes: what only waits for more is told now.
    pub fn finish(&mut self) -> Routed {
        let mut routed = Routed::default();
        self.hurry = true;
        let waiting: Vec<Key> = self.due.iter().map(|(_, key)| key.clone()).collect();
        for key in waiting {
            self.settle(&key, &mut routed);
        }
        self.escalate(&mut routed);
        self.hurry = false;
        routed
    }

    fn take_revision(&mut self, revision: &[Telling], routed: &mut Routed) {
        let mut touched: BTreeSet<Key> = BTreeSet::new();
        for telling in revision {
            let labels = Labels::of(telling, &self.rules, &self.owners);
            let lasts = !is_end(telling.reason) && lasts(telling.incident.status);
            let id = &telling.incident.incident_id;
            self.stirred |= self.inhibitor.learn(id, telling.plane, lasts.then_some(&labels));
            for key in self.addressed(telling, &labels, routed) {
                if let Some(page) = self.pages.get_mut(&key) {
                    page.take(telling, self.now);
                    touched.insert(key);
                }
            }
        }
        if let Some(newest) = revision.first() {
            self.bring_up_to_date(newest);
        }
        // Each says who else is told of it now: what holds them back is asked before.
        for key in &touched {
            if let Some(mut page) = self.pages.remove(key) {
                self.hold(&mut page, routed);
                self.pages.insert(key.clone(), page);
            }
        }
        for key in touched {
            self.settle(&key, routed);
        }
        self.escalate(routed);
    }

    /// What is kept of an incident's other half is of a revision before: should it be told later, it is told as it is now.
    fn bring_up_to_date(&mut self, newest: &Telling) {
        let id = newest.incident.incident_id.as_str();
        for key in self.by_incident.get(id).into_iter().flatten() {
            let Some(member) = self.pages.get_mut(key).and_then(|page| page.members.get_mut(id)) else { continue };
            // What is over is told as it was.
            let lasting = member.iter_mut().flatten().filter(|half| !half.over);
            let kept = lasting.filter_map(|half| half.live.as_deref_mut());
            for telling in kept.filter(|telling| telling.incident.revision < newest.incident.revision) {
                telling.incident = newest.incident.clone();
                self.dirty.insert(key.clone());
            }
        }
    }

    /// The pages of everybody who is to hear of it.
    fn addressed(&mut self, telling: &Telling, labels: &Labels, routed: &mut Routed) -> Vec<Key> {
        let id = telling.incident.incident_id.as_str();
        let known = self.by_incident.get(id);
        let closed = is_closed(telling);
        let is_told = |key: &&Key| {
            let Some(page) = self.pages.get(*key) else { return false };
            let half = page.members.get(id).and_then(|member| member[telling.plane.index()].as_ref());
            half.is_some_and(|half| !half.over || (closed && half.told && page.over.is_some()))
        };
        let mut keys: Vec<Key> = known.into_iter().flatten().filter(is_told).cloned().collect();
        for key in keys.iter().filter(|_| closed) {
            if let Some(page) = self.pages.get_mut(key).filter(|page| page.over.is_some()) {
                page.assume(telling, &self.routes.receivers[key.0]);
            }
        }
        let grows = !is_end(telling.reason) && telling.reason != NotifyReason::Acknowledged;
        // The end of what was told by a program that kept no pages goes where its beginning went.
        let unknown = known.is_none();
        if grows || unknown {
            let mut targets = self.routes.targets(labels, telling.plane);
            if targets.is_empty() && keys.is_empty() {
                routed.unrouted += 1;
                let fallback = self.routes.fallback();
                targets.extend(fallback.map(|receiver| Target { receiver, route: FALLBACK.to_owned() }));
            }
            for target in targets
                .into_iter()
                .filter(|target| !keys.iter().any(|key| key.0 == target.receiver))
                .collect::<Vec<_>>()
            {
                let key = self.page_for(&target, id, labels);
                if !grows && let Some(page) = self.pages.get_mut(&key) {
                    if page.over.is_none() && page.halves().next().is_some() {
                        // A group that others are in, and that has not heard of this one: it is not over.
                        self.unlink(id, &key);
                        continue;
                    }
                    page.assume(telling, &self.routes.receivers[target.receiver]);
                }
                keys.push(key);
            }
        }
        keys.sort_unstable();
        keys
    }

    /// The page on which a receiver is told of an incident by a route; a new one where there is none.
    fn page_for(&mut self, target: &Target, incident: &str, labels: &Labels) -> Key {
        let (id, group) = self.group(target, incident, labels);
        self.page_at(target, incident, &id, group)
    }

    /// The page on which a receiver knows an incident, else the one of this id, which is new where there is none.
    pub(super) fn page_at(
        &mut self,
        target: &Target,
        incident: &str,
        id: &str,
        group: Option<BTreeMap<String, String>>,
    ) -> Key {
        let mut known = self.by_incident.get(incident).into_iter().flatten();
        if let Some(key) = known.find(|key| key.0 == target.receiver) {
            return key.clone();
        }
        let key: Key = (target.receiver, Arc::from(id));
        let receiver = &self.routes.receivers[target.receiver].name;
        self.pages.entry(key.clone()).or_insert_with(|| Page::new(receiver, id, &target.route, group));
        self.by_incident.entry(Arc::from(incident)).or_default().insert(key.clone());
        key
    }

    fn run_due(&mut self, routed: &mut Routed) {
        while let Some((at, key)) = self.due.first().cloned()
            && at <= self.now
        {
            self.settle(&key, routed);
        }
        self.escalate(routed);
        if self.held.is_empty() {
            // Silences may change until something is held again.
            self.recheck = Timestamp::MIN;
        } else if self.stirred || self.now >= self.recheck {
            for key in std::mem::take(&mut self.held) {
                self.settle(&key, routed);
            }
            self.escalate(routed);
            let minute =
                Timestamp::from_micros(self.now.micros().div_euclid(MINUTE).saturating_add(1).saturating_mul(MINUTE));
            self.recheck = self.silences.next_change(self.now).map_or(minute, |change| change.min(minute));
        }
        self.stirred = false;
    }

    /// Does what is due with a page, and notes when it is due again.
    pub(super) fn settle(&mut self, key: &Key, routed: &mut Routed) {
        let Some(mut page) = self.pages.remove(key) else { return };
        if let Some(at) = page.scheduled.take() {
            self.due.remove(&(at, key.clone()));
        }
        self.dirty.insert(key.clone());
        self.hold(&mut page, routed);
        let policy = self.routes.policy(&page.route).clone();
        let mut forgotten = false;
        while let Some((at, step)) = page.next(&policy, self.hurry)
            && at <= self.now
        {
            match step {
                Step::Tell => self.tell(key, &mut page, routed),
                Step::Update => self.update(key, &mut page, routed),
                Step::End => self.end(key, &mut page, routed),
                Step::Repeat => self.repeat(key, &mut page, routed),
                Step::Escalate => {
                    let steps = self.escalation(&mut page, &policy).into_iter();
                    self.escalations.extend(steps.map(|(receiver, tellings)| (receiver, key.clone(), tellings)));
                }
                Step::Forget => {
                    forgotten = true;
                    break;
                }
            }
        }
        let members: Vec<String> = page.members.keys().cloned().collect();
        page.thin(&policy);
        for member in members.iter().filter(|member| forgotten || !page.members.contains_key(*member)) {
            self.unlink(member, key);
        }
        if !forgotten {
            page.scheduled = page.next(&policy, false).map(|(at, _)| at);
            if let Some(at) = page.scheduled {
                self.due.insert((at, key.clone()));
            }
            if page.halves().any(|half| half.held.is_some()) {
                self.held.insert(key.clone());
            } else {
                self.held.remove(key);
            }
            self.pages.insert(key.clone(), page);
        }
    }

    /// Asks of everything that is to be told whether it may be, and counts what may not.
    fn hold(&mut self, page: &mut Page, routed: &mut Routed) {
        let mute = self.muted(page);
        let receiver = page.receiver.clone();
        for half in page.halves_mut().filter(|half| half.pending.is_some()) {
            let Some(live) = half.live.as_deref() else { continue };
            let held = self.holding(live, mute.as_deref());
            if let Some(hold) = held.as_ref().filter(|held| half.held.as_ref().map(kind) != Some(kind(held))) {
                match hold {
                    Hold::Silence { .. } => routed.silenced += 1,
                    Hold::Mute { .. } => routed.muted += 1,
                    Hold::Inhibition { .. } => routed.inhibited += 1,
                }
                let (plane, revision) = (live.plane, live.incident.revision);
                let of = HeldBack { receiver: receiver.clone(), plane, revision, hold: hold.clone() };
                routed.held_back.push((live.incident.incident_id.clone(), of));
            }
            half.held = held;
            // It began and ended while nobody was to be called: nobody was.
            if half.held.is_some() && half.over {
                half.pending = None;
            }
        }
    }

    /// Why nobody is called about this half now, where that is so.
    pub(super) fn holding(&self, live: &Telling, mute: Option<&str>) -> Option<Hold> {
        let labels = Labels::of(live, &self.rules, &self.owners);
        let silence = self.silences.holding(&labels, self.now).map(|id| Hold::Silence { id: id.to_owned() });
        let inhibition = || {
            let incident = self.inhibitor.holding(&live.incident.incident_id, &labels)?;
            Some(Hold::Inhibition { incident: incident.to_owned() })
        };
        silence.or_else(inhibition).or_else(|| mute.map(|interval| Hold::Mute { interval: interval.to_owned() }))
    }

    /// The interval in which the page's route is mute now.
    pub(super) fn muted(&self, page: &Page) -> Option<String> {
        let policy = self.routes.policy(&page.route);
        let mut intervals = policy.mute.iter().filter_map(|at| self.routes.intervals.get(*at));
        intervals.find(|interval| interval.holds(self.now)).map(|interval| interval.name.clone())
    }

    fn unlink(&mut self, incident: &str, key: &Key) {
        if let Some(keys) = self.by_incident.get_mut(incident) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_incident.remove(incident);
            }
        }
    }

    /// Tells what has grown.
    fn tell(&mut self, key: &Key, page: &mut Page, routed: &mut Routed) {
        let ready = |half: &&super::page::Half| half.pending.is_some() && half.held.is_none();
        let grouped = page.labels.is_some();
        let reason = page.halves().filter(ready).filter_map(|half| half.pending).min_by_key(|reason| urgency(*reason));
        let reason = match reason {
            Some(NotifyReason::Escalated) => NotifyReason::Escalated,
            _ if page.standing.is_none() => NotifyReason::Opened,
            // Its page stands: the plane that opened has joined what it says.
            Some(NotifyReason::Opened) if !grouped => NotifyReason::VerdictGrew,
            Some(reason) => reason,
            None => return,
        };
        // About the gravest incident of which anything may be said now.
        let sayable = |half: &&super::page::Half| {
            if grouped { half.held.is_none() && (!half.over || half.pending.is_some()) } else { ready(half) }
        };
        let of_member = |id: &&str| {
            let halves = page.members.get(*id)?.iter().flatten().filter(sayable);
            let known: Vec<Telling> = halves.filter_map(|half| half.live.as_deref().cloned()).collect();
            (!known.is_empty()).then_some(known)
        };
        let tellings = page.lasting().iter().find_map(of_member).unwrap_or_default();
        // What it tells is listed as long as it waits.
        self.send(key, page, tellings, reason, routed);
        for half in page.halves_mut().filter(|half| half.pending.is_some() && half.held.is_none()) {
            half.pending = None;
            half.told = true;
        }
    }

    /// Shows that somebody has taken it, where everything that lasts is taken.
    fn update(&mut self, key: &Key, page: &mut Page, routed: &mut Routed) {
        page.halves_mut().for_each(|half| half.update = false);
        if page.standing.is_some() && page.is_acknowledged() {
            let tellings = page.newest();
            self.send(key, page, tellings, NotifyReason::Acknowledged, routed);
        }
    }

    /// Says that everything has ended, to those who heard that it began.
    fn end(&mut self, key: &Key, page: &mut Page, routed: &mut Routed) {
        if page.standing.is_some() {
            let mut ends: Vec<Telling> = page.halves_mut().filter_map(|half| half.end.take()).map(|end| *end).collect();
            let resolved = ends.iter().any(|end| end.reason == NotifyReason::Resolved);
            let reason = if resolved { NotifyReason::Resolved } else { NotifyReason::Withdrawn };
            let newest = ends.iter().map(|end| (end.incident.last_event_time, end.incident.incident_id.clone())).max();
            ends.retain(|end| newest.as_ref().is_some_and(|(_, id)| end.incident.incident_id == *id));
            let revision = ends.iter().map(|end| end.incident.revision).max();
            ends.retain(|end| Some(end.incident.revision) == revision);
            self.send(key, page, ends, reason, routed);
        }
        page.standing = None;
        (page.told, page.sent, page.since, page.retry, page.escalated) = (None, None, None, None, 0);
        page.over = Some(self.now);
    }
}

fn kind(hold: &Hold) -> std::mem::Discriminant<Hold> {
    std::mem::discriminant(hold)
}

fn is_end(reason: NotifyReason) -> bool {
    matches!(reason, NotifyReason::Resolved | NotifyReason::Withdrawn)
}

/// Whether a person says what it was: those who heard that it is over hear that too.
fn is_closed(telling: &Telling) -> bool {
    telling.reason == NotifyReason::Resolved && telling.incident.status == IncidentStatus::Closed
}

fn lasts(status: IncidentStatus) -> bool {
    matches!(status, IncidentStatus::Open | IncidentStatus::Acknowledged)
}
