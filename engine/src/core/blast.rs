//! How far incidents reach and what to do first, as the core gives it away.

use std::collections::BTreeSet;
use std::time::Duration;

use watershed_rules::ReferenceTables;
use watershed_schemas::{
    BlastRadius, EventBatch, FirstMove, IncidentRevision, IncidentStatus, NotifyReason, Plane, Timestamp,
};

use super::Core;
use crate::blast::{self, Deeds, Knowledge, Reaches, Subject};
use crate::correlator::{Evidence, SignalRecord, TOLD_SIGNALS, Telling};
use crate::playbook::{self, Scene};
use crate::registry::Registry;
use crate::store::Commit;

/// The time before the moment that is asked about in which deeds are counted, where nobody says another.
pub(crate) const WINDOW: Duration = Duration::from_secs(24 * 3_600);

/// Most remembered rows that are looked at for all tellings of one step: a thousand incidents at once must not stop the stream.
const ROWS_IN_A_STEP: u64 = 1_000_000;

/// Holds for each plane the earliest event that was accepted.
const SINCE_KEY: &[u8] = b"m/heard-since";

/// What this part of the core keeps.
#[derive(Debug, Default)]
pub(super) struct Known {
    registry: Registry,
    since: [Option<Timestamp>; 2],
}

impl Known {
    pub(super) fn refer_to(&mut self, reference: &ReferenceTables) {
        self.registry = Registry::of(reference);
    }

    pub(super) fn hear(&mut self, batch: &EventBatch, accepted: Option<&[u32]>, commit: &mut Commit) {
        let Some(oldest) = blast::oldest(batch, accepted) else { return };
        let since = &mut self.since[batch.plane.index()];
        if since.is_none_or(|since| oldest < since) {
            *since = Some(oldest);
            commit.put(|| SINCE_KEY.to_vec(), &self.since);
        }
    }

    pub(super) fn restore(&mut self, stored: &impl Fn(&[u8]) -> Vec<(Vec<u8>, Vec<u8>)>) {
        let since = stored(SINCE_KEY);
        self.since = since.first().and_then(|(_, since)| serde_json::from_slice(since).ok()).unwrap_or_default();
    }
}

impl Core {
    /// How far an identity reaches as of a moment (the newest that was heard where absent), and what it did in a
    /// window before it (a day where absent), as far as rules still remember it.
    pub fn blast_radius(&self, tenant: &str, id: &str, at: Option<Timestamp>, window: Option<Duration>) -> BlastRadius {
        let subject = self.subject(tenant, id, at, window);
        blast::reach(&subject, &self.knowledge(), self.segments.live(), &[], &mut { blast::ROWS }).radius
    }

    /// Who is asked about: `id` as it is called, in the window.
    pub fn subject(&self, tenant: &str, id: &str, at: Option<Timestamp>, window: Option<Duration>) -> Subject {
        let heard = Plane::ALL.map(|plane| self.watermarks.heard(plane)).into_iter().max().unwrap_or(Timestamp::MIN);
        let at = at.unwrap_or(heard);
        let acting = self.principals.acting(tenant, id, at);
        Subject {
            tenant: tenant.to_owned(),
            principal: Some(id.to_owned()),
            sessions: self.correlator.sessions_of(tenant, &acting.ids),
            credentials: BTreeSet::new(),
            at,
            did: at.minus(window.unwrap_or(WINDOW))..=at,
        }
    }

    /// Who counts what the subject did while history is read again: see [`blast::Collector`].
    pub fn deeds_of(&self, subject: &Subject) -> Deeds {
        blast::Could::of(subject, &self.knowledge()).deeds(subject)
    }

    /// The same as [`Core::blast_radius`] where `deeds` have counted the whole history.
    pub fn blast_radius_with(&self, subject: &Subject, deeds: &Deeds) -> BlastRadius {
        let knowledge = self.knowledge();
        blast::told(subject, &knowledge, blast::Could::of(subject, &knowledge), deeds, None).radius
    }

    /// How far an incident reaches, as of its last event, and what to do first on each plane of its verdict. What was withdrawn,
    /// merged or closed needs nothing done.
    pub fn briefing(&self, incident: &IncidentRevision) -> (BlastRadius, Vec<FirstMove>) {
        self.briefing_within(incident, &mut { blast::ROWS })
    }

    fn briefing_within(&self, incident: &IncidentRevision, budget: &mut u64) -> (BlastRadius, Vec<FirstMove>) {
        let standing = self.correlator.standing(incident);
        let Reaches { radius, over } = self.reach_of(incident, &standing, budget);
        let done =
            matches!(incident.status, IncidentStatus::Withdrawn | IncidentStatus::Merged | IncidentStatus::Closed);
        if done {
            return (radius, Vec::new());
        }
        let setups = self.evaluator.setups();
        let says = |rule: &str, plane: Plane| {
            let meta = &setups.iter().find(|setup| setup.rule.meta.id == rule)?.rule.meta;
            match plane {
                Plane::Model => meta.first_move.model.clone(),
                Plane::Access => meta.first_move.access.clone(),
            }
        };
        let scene = Scene {
            verdict: incident.verdict,
            origin: incident.origin,
            principal: incident.principal.as_deref(),
            signals: &standing,
            says: &says,
            registry: &self.known.registry,
            over: &over,
        };
        (radius, playbook::first_moves(&scene))
    }

    /// What the team of each plane in the verdict would hear of this revision if it were told now; none where its signals are
    /// forgotten.
    pub fn tellings_of(&self, incident: &IncidentRevision) -> Vec<Telling> {
        let reason = match incident.status {
            IncidentStatus::Open | IncidentStatus::Acknowledged => NotifyReason::Opened,
            IncidentStatus::Withdrawn => NotifyReason::Withdrawn,
            IncidentStatus::Resolved | IncidentStatus::Closed | IncidentStatus::Merged => NotifyReason::Resolved,
        };
        let standing = self.correlator.standing(incident);
        let of = |plane: &Plane| {
            let own = standing.iter().filter(|record| record.plane.planes().contains(plane));
            Telling {
                incident: incident.clone(),
                plane: *plane,
                reason,
                signals: own.take(TOLD_SIGNALS).map(|record| (*record).clone()).collect(),
                blast_radius: None,
                first_moves: Vec::new(),
            }
        };
        let mut tellings: Vec<Telling> = incident.verdict.planes().iter().map(of).collect();
        tellings.retain(|telling| !telling.signals.is_empty());
        self.brief(&mut tellings);
        tellings
    }

    /// Fills in what the core knows beside the incident itself.
    pub(super) fn brief(&self, tellings: &mut [Telling]) {
        let mut last: Option<(String, u32, (BlastRadius, Vec<FirstMove>))> = None;
        let mut budget = ROWS_IN_A_STEP;
        for telling in tellings {
            let incident = &telling.incident;
            let known =
                last.take().filter(|(id, revision, _)| *id == incident.incident_id && *revision == incident.revision);
            let briefing = match known {
                Some((_, _, briefing)) => briefing,
                None => {
                    let mut own = blast::ROWS.min(budget);
                    let before = own;
                    let briefing = self.briefing_within(incident, &mut own);
                    budget -= before - own;
                    briefing
                }
            };
            telling.blast_radius = Some(briefing.0.clone());
            telling.first_moves.clone_from(&briefing.1);
            last = Some((incident.incident_id.clone(), incident.revision, briefing));
        }
    }

    fn reach_of(&self, incident: &IncidentRevision, standing: &[&SignalRecord], budget: &mut u64) -> Reaches {
        let evidence: Vec<&Evidence> = standing.iter().flat_map(|signal| &signal.evidence).collect();
        let named = |column: &str| -> BTreeSet<String> {
            evidence.iter().filter_map(|event| event.columns.get(column).cloned()).collect()
        };
        let times = || evidence.iter().map(|event| event.event_time);
        let first = times().min().map_or(incident.first_event_time, |first| first.min(incident.first_event_time));
        let last = times().max().map_or(incident.last_event_time, |last| last.max(incident.last_event_time));
        let mut sessions = named("session_id");
        sessions.extend(incident.sessions.iter().cloned());
        let subject = Subject {
            tenant: incident.tenant.clone(),
            principal: incident.principal.clone(),
            sessions,
            credentials: named("credential_id"),
            at: last,
            did: first..=last,
        };
        blast::reach(&subject, &self.knowledge(), self.segments.live(), &evidence, budget)
    }

    fn knowledge(&self) -> Knowledge<'_> {
        Knowledge {
            principals: &self.principals,
            state: &self.state,
            registry: &self.known.registry,
            watermarks: &self.watermarks,
            since: self.known.since,
        }
    }
}
