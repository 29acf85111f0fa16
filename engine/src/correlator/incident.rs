//! One incident through its revisions, and what each team was told of it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use watershed_schemas::{IncidentRevision, IncidentStatus, NotifyReason, Plane, Severity, Timestamp, Verdict};

use super::entity::Entity;
use super::verdict::{Judgement, coverage};
use super::{Correlated, Settings, SignalRecord, Telling};
use crate::store::Commit;
use crate::watermark::Watermarks;

/// First bytes of the keys that hold incidents.
pub(super) const PREFIX: &[u8] = b"i/";

/// Signals up to this many are each worth a revision; beyond it a revision is written when their number has doubled.
const EACH_SIGNAL_UP_TO: usize = 16;
/// Most signals that a telling carries.
const TOLD_SIGNALS: usize = 64;

/// What settling an incident reads and writes.
pub(super) struct Scene<'a> {
    pub(super) settings: &'a Settings,
    pub(super) watermarks: &'a Watermarks,
    /// How many incidents were opened so far: their age order.
    pub(super) opened: &'a mut u64,
    pub(super) commit: &'a mut Commit,
    pub(super) correlated: &'a mut Correlated,
}

/// What a plane's team knows of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    verdict: Verdict,
    severity: Severity,
    over: bool,
}

/// An incident, from its first revision to its last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Incident {
    pub(super) id: String,
    /// Its place in the order of opening: where two become one the older survives.
    pub(super) opened: u64,
    continues: Option<String>,
    last: Option<IncidentRevision>,
    told: [Option<Told>; 2],
}

impl Incident {
    /// A new incident, named after the first of its signals.
    pub(super) fn open(
        entity: &Entity,
        first_signal: &str,
        opened: u64,
        continues: Option<String>,
        others: &[Incident],
    ) -> Incident {
        let name = |salt: u32| {
            let mut hash = Sha256::new();
            for part in [entity.tenant(), entity.principal().unwrap_or(""), first_signal, &salt.to_string()] {
                hash.update(part.as_bytes());
                hash.update([0]);
            }
            let hex: String = hash.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
            format!("inc_{hex}")
        };
        // A signal whose incident was merged or withdrawn may open another one.
        let id = (0..).map(name).find(|id| others.iter().all(|other| other.id != *id)).unwrap_or_default();
        Incident { id, opened, continues, last: None, told: [None, None] }
    }

    pub(super) fn is_live(&self) -> bool {
        self.last.as_ref().is_none_or(|last| last.status != IncidentStatus::Merged)
    }

    pub(super) fn is_open(&self) -> bool {
        self.last.as_ref().is_some_and(|last| matches!(last.status, IncidentStatus::Open | IncidentStatus::Acknowledged))
    }

    pub(super) fn last_event_time(&self) -> Timestamp {
        self.last.as_ref().map_or(Timestamp::MAX, |last| last.last_event_time)
    }

    /// Writes a revision where the signals say something new.
    pub(super) fn revise(&mut self, entity: &Entity, judgement: &Judgement, records: &[&SignalRecord], scene: &mut Scene<'_>) {
        let Some(reason) = self.news(judgement) else { return };
        let status = if judgement.verdict.is_some() { IncidentStatus::Open } else { IncidentStatus::Withdrawn };
        self.write(entity, judgement, status, reason, records, scene);
        self.tell(records, scene);
        self.store(entity, scene.commit);
    }

    /// What is new, in words; nothing where a revision would say what the last one said.
    fn news(&self, judgement: &Judgement) -> Option<String> {
        let Some(last) = &self.last else { return judgement.verdict.map(|_| "opened".to_owned()) };
        let Some(verdict) = judgement.verdict else {
            return (last.status != IncidentStatus::Withdrawn).then(|| "the evidence was withdrawn".to_owned());
        };
        if last.verdict != verdict {
            return Some(format!("verdict changed from {} to {}", last.verdict.name(), verdict.name()));
        }
        if last.status != IncidentStatus::Open {
            return Some("reopened by new evidence".to_owned());
        }
        if last.severity < judgement.severity {
            return Some(format!("severity rose from {} to {}", last.severity.name(), judgement.severity.name()));
        }
        let (before, now) = (last.signals.len(), judgement.standing);
        if now < before {
            return Some("evidence was withdrawn".to_owned());
        }
        let other = !judgement.rules.iter().eq(&last.rules)
            || !judgement.sessions.iter().eq(&last.sessions)
            || judgement.origin != last.origin;
        let grown = now > before && (now <= EACH_SIGNAL_UP_TO || now >= 2 * before);
        (other || grown).then(|| "evidence was added".to_owned())
    }

    fn write(
        &mut self,
        entity: &Entity,
        judgement: &Judgement,
        status: IncidentStatus,
        reason: String,
        records: &[&SignalRecord],
        scene: &mut Scene<'_>,
    ) {
        let Some(verdict) = judgement.verdict.or(self.last.as_ref().map(|last| last.verdict)) else { return };
        let mut signals: Vec<String> =
            records.iter().filter(|record| !record.withdrawn).map(|record| record.signal_id.clone()).collect();
        signals.sort_unstable();
        let mut owners: Vec<String> = verdict.planes().iter().map(|plane| team_of(*plane).to_owned()).collect();
        owners.sort_unstable();
        let severity = match (&self.last, judgement.verdict) {
            (Some(last), None) => last.severity,
            _ => judgement.severity,
        };
        self.put(IncidentRevision {
            incident_id: self.id.clone(),
            revision: self.last.as_ref().map_or(1, |last| last.revision + 1),
            status,
            verdict,
            origin: judgement.origin,
            coverage: coverage(scene.watermarks, judgement.last, scene.settings.silence_after),
            severity,
            tenant: entity.tenant().to_owned(),
            principal: entity.principal().map(str::to_owned),
            sessions: judgement.sessions.iter().cloned().collect(),
            first_event_time: judgement.first,
            last_event_time: judgement.last,
            scores: judgement.scores,
            rules: judgement.rules.iter().cloned().collect(),
            signals,
            owners,
            reason,
            merged_into: None,
            continues: self.continues.clone(),
        }, entity, scene);
    }

    fn put(&mut self, revision: IncidentRevision, entity: &Entity, scene: &mut Scene<'_>) {
        self.last = Some(revision.clone());
        self.store(entity, scene.commit);
        scene.correlated.revisions.push(revision);
    }

    fn store(&self, entity: &Entity, commit: &mut Commit) {
        if let Ok(value) = serde_json::to_vec(&(entity, self)) {
            commit.puts.push((key(&self.id), value));
        }
    }

    /// Decides what each plane's team has to hear of the last revision.
    fn tell(&mut self, records: &[&SignalRecord], scene: &mut Scene<'_>) {
        let Some(last) = self.last.clone() else { return };
        for plane in Plane::ALL {
            let told = self.told[plane.index()];
            let inside = last.verdict.planes().contains(&plane) && last.status == IncidentStatus::Open;
            let reason = match told {
                None if inside => NotifyReason::Opened,
                None => continue,
                Some(told) if inside && told.over => NotifyReason::Opened,
                Some(told) if inside && last.verdict == Verdict::Both && told.verdict != Verdict::Both => NotifyReason::VerdictGrew,
                Some(told) if inside && last.severity > told.severity => NotifyReason::SeverityRose,
                Some(_) if inside => continue,
                Some(told) if told.over => continue,
                Some(_) if matches!(last.status, IncidentStatus::Open | IncidentStatus::Withdrawn) => NotifyReason::Withdrawn,
                Some(_) => NotifyReason::Resolved,
            };
            let severity = told.map_or(last.severity, |told| told.severity.max(last.severity));
            self.told[plane.index()] = Some(Told { verdict: last.verdict, severity, over: !inside });
            scene.correlated.tellings.push(Telling {
                incident: last.clone(),
                plane,
                reason,
                signals: records.iter().filter(|record| !record.withdrawn).take(TOLD_SIGNALS).map(|record| (*record).clone()).collect(),
            });
        }
    }

    /// Ends the incident.
    pub(super) fn close(&mut self, status: IncidentStatus, reason: &str, records: &[&SignalRecord], scene: &mut Scene<'_>) {
        let Some(last) = &self.last else { return };
        let entity = self.entity(last);
        let mut signals: Vec<String> =
            records.iter().filter(|record| !record.withdrawn).map(|record| record.signal_id.clone()).collect();
        signals.sort_unstable();
        let revision = IncidentRevision {
            revision: last.revision + 1,
            status,
            coverage: coverage(scene.watermarks, last.last_event_time, scene.settings.silence_after),
            signals,
            reason: reason.to_owned(),
            ..last.clone()
        };
        self.put(revision, &entity, scene);
        self.tell(records, scene);
        self.store(&entity, scene.commit);
    }

    /// Becomes part of an older incident.
    pub(super) fn merge_into(&mut self, older: &str, entity: &Entity, scene: &mut Scene<'_>) {
        let Some(last) = &self.last else { return };
        let revision = IncidentRevision {
            revision: last.revision + 1,
            status: IncidentStatus::Merged,
            reason: format!("merged into {older}"),
            merged_into: Some(older.to_owned()),
            ..last.clone()
        };
        self.put(revision, entity, scene);
        self.tell(&[], scene);
        self.store(entity, scene.commit);
    }

    /// At the end of all inputs: says what the last revision left out, and tells nobody.
    pub(super) fn last_word(&mut self, entity: &Entity, judgement: &Judgement, records: &[&SignalRecord], scene: &mut Scene<'_>) {
        let Some(last) = &self.last else { return };
        if last.status == IncidentStatus::Merged || judgement.verdict.is_none() {
            return;
        }
        let coverage = coverage(scene.watermarks, judgement.last, scene.settings.silence_after);
        if last.signals.len() == judgement.standing && last.coverage == coverage && last.scores == judgement.scores {
            return;
        }
        let status = last.status;
        self.write(entity, judgement, status, "end of input".to_owned(), records, scene);
    }

    fn entity(&self, last: &IncidentRevision) -> Entity {
        let tenant = last.tenant.clone();
        match &last.principal {
            Some(principal) => Entity::Principal { tenant, principal: principal.clone() },
            None => Entity::Session { tenant, session_id: last.sessions.first().cloned().unwrap_or_default() },
        }
    }
}

/// The team that owns a plane's findings.
pub(super) fn team_of(plane: Plane) -> &'static str {
    match plane {
        Plane::Model => "ai-security",
        Plane::Access => "iam",
    }
}

/// The key of an incident in the store.
pub(super) fn key(id: &str) -> Vec<u8> {
    [PREFIX, id.as_bytes()].concat()
}
