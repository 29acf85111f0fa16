//! Whose signals belong together, and how they are cut into incidents.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watershed_schemas::{IncidentStatus, Timestamp};

use super::episode::episodes;
use super::incident::{self, Incident, Scene};
use super::links::{Session, SessionLinks};
use super::verdict::judge;
use super::{SIGNAL_PREFIX, SignalRecord, store_signal};
use crate::store::Commit;

/// Whom signals are gathered by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) enum Entity {
    Principal { tenant: String, principal: String },
    Session { tenant: String, session_id: String },
}

impl Entity {
    /// The principal where the rule named one or the session's is known, else the session.
    pub(super) fn of(record: &SignalRecord, links: &SessionLinks) -> Entity {
        let tenant = record.tenant.clone();
        let session_id = record.session_id.clone().unwrap_or_default();
        let session = Session { tenant: tenant.clone(), session_id: session_id.clone() };
        match record.principal.as_deref().or_else(|| links.principal(&session)) {
            Some(principal) => Entity::Principal { tenant, principal: principal.to_owned() },
            None => Entity::Session { tenant, session_id },
        }
    }

    pub(super) fn tenant(&self) -> &str {
        match self {
            Entity::Principal { tenant, .. } | Entity::Session { tenant, .. } => tenant,
        }
    }

    pub(super) fn principal(&self) -> Option<&str> {
        match self {
            Entity::Principal { principal, .. } => Some(principal),
            Entity::Session { .. } => None,
        }
    }
}

/// The signals and incidents of one entity.
#[derive(Default)]
pub(super) struct EntityState {
    /// By time and id.
    pub(super) signals: BTreeMap<(Timestamp, String), SignalRecord>,
    /// In the order in which they were opened.
    pub(super) incidents: Vec<Incident>,
    /// The event time that must lie before the quiet watermark for anything here to age.
    pub(super) next_change: Timestamp,
}

impl EntityState {
    pub(super) fn is_empty(&self) -> bool {
        self.signals.is_empty() && self.incidents.is_empty()
    }

    /// Takes out the incidents that have no signal here any more.
    pub(super) fn take_orphans(&mut self) -> Vec<Incident> {
        let signals = &self.signals;
        let has_signal = |incident: &Incident| signals.values().any(|record| record.incident.as_ref() == Some(&incident.id));
        let (kept, orphans) = std::mem::take(&mut self.incidents).into_iter().partition(has_signal);
        self.incidents = kept;
        orphans
    }

    /// Cuts the signals into episodes, ties each to the oldest incident among its signals, and revises those.
    pub(super) fn settle(&mut self, entity: &Entity, scene: &mut Scene<'_>) {
        self.incidents.sort_by_key(|incident| incident.opened);
        let keys: Vec<(Timestamp, String)> = self.signals.keys().cloned().collect();
        let times: Vec<Timestamp> = keys.iter().map(|(time, _)| *time).collect();
        let mut taken: Vec<String> = Vec::new();
        let mut before: Option<String> = None;
        for episode in episodes(&times, scene.settings.gap, scene.settings.max_duration) {
            let keys = &keys[episode.signals];
            let claimed = |incident: &Incident| {
                !taken.contains(&incident.id)
                    && keys.iter().any(|key| self.signals.get(key).is_some_and(|record| record.incident.as_ref() == Some(&incident.id)))
            };
            let claims: Vec<usize> =
                (0..self.incidents.len()).filter(|at| self.incidents[*at].is_live() && claimed(&self.incidents[*at])).collect();
            let records = keys.iter().filter_map(|key| self.signals.get(key));
            let judgement = judge(records, scene.settings.threshold, scene.settings.clock_skew);
            let at = match claims.first() {
                Some(at) => *at,
                None if judgement.verdict.is_none() => {
                    before = None;
                    continue;
                }
                None => {
                    let first = keys.first().map_or("", |(_, id)| id.as_str());
                    let continues = before.clone().filter(|_| episode.continues);
                    let incident = Incident::open(entity, first, *scene.opened, continues, &self.incidents);
                    *scene.opened += 1;
                    self.incidents.push(incident);
                    self.incidents.len() - 1
                }
            };
            let id = self.incidents[at].id.clone();
            for key in keys {
                if let Some(record) = self.signals.get_mut(key)
                    && record.incident.as_ref() != Some(&id)
                {
                    record.incident = Some(id.clone());
                    store_signal(record, scene.commit);
                }
            }
            for other in claims.iter().skip(1) {
                self.incidents[*other].merge_into(&id, entity, scene);
                taken.push(self.incidents[*other].id.clone());
            }
            let records: Vec<&SignalRecord> = keys.iter().filter_map(|key| self.signals.get(key)).collect();
            self.incidents[at].revise(entity, &judgement, &records, scene);
            taken.push(id.clone());
            before = Some(id);
        }
        self.note_next_change(scene.settings.signal_lag);
    }

    /// Resolves open incidents whose last event lies before `quiet`.
    pub(super) fn resolve(&mut self, quiet: Timestamp, scene: &mut Scene<'_>) {
        for at in 0..self.incidents.len() {
            if self.incidents[at].is_open() && self.incidents[at].last_event_time() < quiet {
                let id = self.incidents[at].id.clone();
                let records: Vec<&SignalRecord> =
                    self.signals.values().filter(|record| record.incident.as_ref() == Some(&id)).collect();
                self.incidents[at].close(IncidentStatus::Resolved, "quiet for the gap", &records, scene);
            }
        }
    }

    /// Forgets signals and incidents whose last event lies before `over`: nothing acceptable can join them any more.
    pub(super) fn forget(&mut self, over: Timestamp, lag: Duration, commit: &mut Commit) -> Vec<SignalRecord> {
        let live: Vec<String> = self
            .incidents
            .iter()
            .filter(|incident| incident.last_event_time() >= over)
            .map(|incident| incident.id.clone())
            .collect();
        let mut forgotten = Vec::new();
        self.signals.retain(|(time, id), record| {
            let keep = match &record.incident {
                Some(incident) => live.contains(incident),
                None => *time >= over,
            };
            if !keep {
                commit.deletes.push([SIGNAL_PREFIX, id.as_bytes()].concat());
                forgotten.push(record.clone());
            }
            keep
        });
        self.incidents.retain(|incident| {
            let keep = live.contains(&incident.id);
            if !keep {
                commit.deletes.push(incident::key(&incident.id));
            }
            keep
        });
        self.note_next_change(lag);
        forgotten
    }

    /// States what the last revision of each incident left out.
    pub(super) fn last_word(&mut self, entity: &Entity, scene: &mut Scene<'_>) {
        for at in 0..self.incidents.len() {
            let id = self.incidents[at].id.clone();
            let records: Vec<&SignalRecord> =
                self.signals.values().filter(|record| record.incident.as_ref() == Some(&id)).collect();
            let judgement =
                judge(records.iter().copied(), scene.settings.threshold, scene.settings.clock_skew);
            self.incidents[at].last_word(entity, &judgement, &records, scene);
        }
    }

    /// An open incident may resolve once its last event is quiet; everything else may be forgotten a lag later.
    fn note_next_change(&mut self, lag: Duration) {
        let incidents = self.incidents.iter().map(|incident| {
            let last = incident.last_event_time();
            if incident.is_open() { last } else { last.plus(lag) }
        });
        let loose = self.signals.iter().find(|(_, record)| record.incident.is_none()).map(|((time, _), _)| time.plus(lag));
        self.next_change = incidents.chain(loose).min().unwrap_or(Timestamp::MIN);
    }
}
