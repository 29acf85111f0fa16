//! One incident through its revisions.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use watershed_schemas::{Handled, IncidentRevision, IncidentStatus, Plane, Severity, Shared, Timestamp, Verdict};

use super::briefs::Briefs;
use super::changes;
use super::coverage::coverage;
use super::entity::Entity;
use super::news::{EACH_UP_TO, News, news};
use super::over;
use super::related::Related;
use super::shares::Shares;
use super::telling::Told;
use super::verdict::Judgement;
use super::{Correlated, Settings, SignalRecord};
use crate::store::Commit;
use crate::watermark::Watermarks;

/// First bytes of the keys that hold incidents.
pub(super) const PREFIX: &[u8] = b"i/";

/// What settling an incident reads and writes.
pub(super) struct Scene<'a> {
    pub(super) settings: &'a Settings,
    pub(super) watermarks: &'a Watermarks,
    pub(super) briefs: &'a Briefs,
    pub(super) related: &'a mut Related,
    /// How many incidents were opened so far: their age order.
    pub(super) opened: &'a mut u64,
    pub(super) commit: &'a mut Commit,
    pub(super) correlated: &'a mut Correlated,
}

/// An incident, from its first revision to its last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Incident {
    pub(super) id: String,
    /// Its place in the order of opening: where two become one the older survives.
    pub(super) opened: u64,
    continues: Option<String>,
    pub(super) last: Option<IncidentRevision>,
    pub(super) told: [Option<Told>; 2],
    /// What people said of it, oldest first, bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) acts: Vec<Handled>,
    /// What a person closed it as: only more than that opens it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) closed_at: Option<(Verdict, Severity)>,
    /// A person took it up again: it is theirs to close, and quiet alone does not resolve it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) kept_open: bool,
    /// Known from the journal alone: its signals are still to be read again, and until they are it stays as it was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) awaits_signals: bool,
    /// What it had to do with, once its signals are forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) shared: Option<Shares>,
    /// What is known since the last revision; a restart finds it out again.
    #[serde(skip)]
    settled: Option<Settled>,
}

/// An incident's signals as they were last looked at.
#[derive(Clone, Debug, PartialEq)]
struct Settled {
    /// When the episode began, withdrawn signals included.
    start: Timestamp,
    judgement: Judgement,
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
        Incident {
            id,
            opened,
            continues,
            last: None,
            told: [None, None],
            acts: Vec::new(),
            closed_at: None,
            kept_open: false,
            awaits_signals: false,
            shared: None,
            settled: None,
        }
    }

    /// Becomes an incident of another entity, with all of its signals.
    pub(super) fn adopted(self, entity: &Entity, commit: &mut Commit) -> Incident {
        self.store(entity, commit);
        self
    }

    pub(super) fn is_live(&self) -> bool {
        self.last.as_ref().is_none_or(|last| last.status != IncidentStatus::Merged)
    }

    pub(super) fn is_open(&self) -> bool {
        self.last
            .as_ref()
            .is_some_and(|last| matches!(last.status, IncidentStatus::Open | IncidentStatus::Acknowledged))
    }

    /// Whether it says something now: not merged, and not withdrawn.
    pub(super) fn has_verdict(&self) -> bool {
        self.last
            .as_ref()
            .is_some_and(|last| !matches!(last.status, IncidentStatus::Merged | IncidentStatus::Withdrawn))
    }

    /// Whether quiet alone resolves it.
    pub(super) fn awaits_quiet(&self) -> bool {
        self.is_open() && !self.kept_open
    }

    pub(super) fn last_event_time(&self) -> Timestamp {
        let said = self.last.as_ref().map(|last| last.last_event_time);
        let found = self.settled.as_ref().map(|settled| settled.judgement.last);
        let last = if self.awaits_signals { found.max(said) } else { found.or(said) };
        last.unwrap_or(Timestamp::MAX)
    }

    /// Writes a revision where the signals say something new.
    pub(super) fn revise(
        &mut self,
        entity: &Entity,
        start: Timestamp,
        judgement: Judgement,
        records: &[&SignalRecord],
        scene: &mut Scene<'_>,
    ) {
        if judgement.verdict.is_some() {
            scene.related.put(&self.id, entity, self.opened, judgement.last, &judgement.shares);
        } else {
            scene.related.remove(&self.id);
        }
        if self.awaits_signals {
            self.awaits_signals = self.is_less_than_it_was(&judgement, records);
            self.store(entity, scene.commit);
            if self.awaits_signals {
                self.settled = Some(Settled { start, judgement });
                return;
            }
        }
        let principal = principal_of(entity, &judgement);
        let news = news(self.last.as_ref(), self.closed_at, principal, &judgement);
        if let Some(News { reason, status }) = news {
            if matches!(status, IncidentStatus::Open | IncidentStatus::Acknowledged) {
                self.closed_at = None;
            }
            self.write(entity, &judgement, status, reason, records, scene);
            self.tell(records, scene);
            self.store(entity, scene.commit);
        }
        self.settled = Some(Settled { start, judgement });
    }

    /// Whether some signals have not been read again yet, and what has been says no more than what was said.
    fn is_less_than_it_was(&self, judgement: &Judgement, records: &[&SignalRecord]) -> bool {
        let Some(last) = &self.last else { return false };
        let found = |id: &String| records.iter().any(|record| record.signal_id == *id);
        let grown = judgement.verdict.is_some_and(|verdict| {
            judgement.severity > last.severity
                || verdict.planes().iter().any(|plane| !last.verdict.planes().contains(plane))
        });
        !grown && !last.signals.iter().all(found)
    }

    /// Whether a signal within the episode, or right after it, changes nothing that a revision would say; it is counted.
    pub(super) fn absorbs(&mut self, record: &SignalRecord, settings: &Settings) -> bool {
        let (Some(last), Some(Settled { start, judgement })) = (&self.last, &mut self.settled) else { return false };
        let Some(verdict) = judgement.verdict else { return false };
        let weightless = |plane: &Plane| match plane {
            Plane::Model => record.weights.model == 0.0,
            Plane::Access => record.weights.access == 0.0,
        };
        let moved = judgement.because.first_moved;
        let moved_before = |plane: &Plane| {
            let first = match plane {
                Plane::Model => moved.model,
                Plane::Access => moved.access,
            };
            first.is_some_and(|first| first <= record.moved[plane.index()])
        };
        let same_verdict = Plane::ALL.iter().all(|plane| verdict.planes().contains(plane) || weightless(plane));
        let known = |kind: Shared, value: &String| {
            let mut values = judgement.shares.of(kind);
            values.len() >= EACH_UP_TO || values.any(|known| known == value)
        };
        let known_session =
            |session: &String| judgement.sessions.len() >= EACH_UP_TO || judgement.sessions.contains(session);
        let many = last.signals.len() >= EACH_UP_TO && judgement.standing + 1 < 2 * last.signals.len();
        let stays = match last.status {
            IncidentStatus::Open | IncidentStatus::Acknowledged | IncidentStatus::Closed => true,
            // Nothing newer opens it again.
            IncidentStatus::Resolved => record.event_time <= last.last_event_time,
            IncidentStatus::Merged | IncidentStatus::Withdrawn => false,
        };
        let same_principal = record.apart.as_ref().is_none_or(|apart| Some(apart) >= judgement.principal.as_ref());
        let absorbed = stays
            && !self.awaits_signals
            && same_verdict
            && many
            && same_principal
            && record.event_time >= judgement.first
            && record.plane.planes().iter().all(moved_before)
            && start.plus(settings.max_duration) >= record.event_time
            && judgement.severity >= record.severity
            && judgement.rules().any(|rule| *rule == record.rule)
            && record.marks.is_subset(&judgement.marks)
            && record.session_id.as_ref().is_none_or(known_session)
            && record.agents.iter().all(|agent| known(Shared::Agent, agent))
            && record.credentials.iter().all(|credential| known(Shared::Credential, credential));
        if absorbed {
            judgement.standing += 1;
            judgement.last = judgement.last.max(record.event_time);
            judgement.see_names(record, settings.gap);
        }
        absorbed
    }

    /// What it has to do with, as far as is known.
    pub(super) fn shares(&self) -> Option<&Shares> {
        self.settled.as_ref().map(|settled| &settled.judgement.shares).or(self.shared.as_ref())
    }

    pub(super) fn write(
        &mut self,
        entity: &Entity,
        judgement: &Judgement,
        status: IncidentStatus,
        reason: String,
        records: &[&SignalRecord],
        scene: &mut Scene<'_>,
    ) {
        if let Some(revision) = self.revision(entity, judgement, status, reason, records, scene) {
            self.put(revision, scene);
        }
    }

    /// The next revision, as the signals have it.
    fn revision(
        &self,
        entity: &Entity,
        judgement: &Judgement,
        status: IncidentStatus,
        reason: String,
        records: &[&SignalRecord],
        scene: &Scene<'_>,
    ) -> Option<IncidentRevision> {
        let last = self.last.as_ref();
        let verdict = judgement.verdict.or(last.map(|last| last.verdict))?;
        let mut signals: Vec<String> =
            records.iter().filter(|record| !record.withdrawn).map(|record| record.signal_id.clone()).collect();
        signals.sort_unstable();
        let names = |kind: Shared| judgement.shares.of(kind).cloned().collect();
        let [tags, frameworks] = scene.briefs.of(judgement.rules(), last);
        let revision = IncidentRevision {
            revision: last.map_or(1, |last| last.revision + 1),
            status,
            origin: judgement.origin,
            coverage: coverage(scene.watermarks, judgement.last, scene.settings.silence_after),
            severity: judgement.severity,
            principal: principal_of(entity, judgement).map(str::to_owned),
            sessions: judgement.sessions.iter().cloned().collect(),
            last_event_time: judgement.last,
            scores: judgement.scores,
            rules: judgement.rules().cloned().collect(),
            signals,
            reason,
            continues: self.continues.clone(),
            marks: judgement.marks.clone(),
            agents: names(Shared::Agent),
            credentials: names(Shared::Credential),
            tags,
            frameworks,
            because: judgement.because.clone(),
            related: scene.related.of(&self.id),
            handled: self.acts.last().cloned(),
            ..IncidentRevision::opened(&self.id, entity.tenant(), verdict, judgement.first)
        };
        match (last, judgement.verdict) {
            // Taken back, it still says what it had been about, so that whoever heard of it knows what is over.
            (Some(last), None) => Some(IncidentRevision {
                severity: last.severity,
                agents: last.agents.clone(),
                credentials: last.credentials.clone(),
                tags: last.tags.clone(),
                frameworks: last.frameworks.clone(),
                ..revision
            }),
            _ => Some(revision),
        }
    }

    /// Makes it the last revision, with what it says otherwise than the one before. Storing it is left to the caller.
    pub(super) fn put(&mut self, revision: IncidentRevision, scene: &mut Scene<'_>) {
        let changes = self.last.as_ref().map(|last| changes::between(last, &revision)).unwrap_or_default();
        let revision = IncidentRevision { changes, ..revision };
        self.last = Some(revision.clone());
        scene.correlated.revisions.push(revision);
    }

    pub(super) fn store(&self, entity: &Entity, commit: &mut Commit) {
        commit.put(|| self.key(), &(entity, self));
    }

    /// Its key in the store.
    pub(super) fn key(&self) -> Vec<u8> {
        let prefix = if self.shared.is_some() { over::PREFIX } else { PREFIX };
        [prefix, self.id.as_bytes()].concat()
    }

    /// The same once its signals are forgotten.
    pub(super) fn over(mut self) -> Incident {
        self.shared = Some(self.shares().cloned().unwrap_or_default());
        self.settled = None;
        self
    }

    /// Ends the incident: it has been quiet for the gap.
    pub(super) fn resolve(
        &mut self,
        entity: &Entity,
        judgement: &Judgement,
        records: &[&SignalRecord],
        scene: &mut Scene<'_>,
    ) {
        let reason = "quiet for the gap".to_owned();
        match &self.last {
            // Its signals went to another incident under another version of their rule, or can't be had again.
            Some(last) if records.is_empty() || self.awaits_signals => {
                let status = IncidentStatus::Resolved;
                let revision = IncidentRevision { revision: last.revision + 1, status, reason, ..last.clone() };
                self.put(revision, scene);
            }
            _ => self.write(entity, judgement, IncidentStatus::Resolved, reason, records, scene),
        }
        self.tell(records, scene);
        self.store(entity, scene.commit);
    }

    /// Becomes part of an older incident.
    pub(super) fn merge_into(&mut self, older: &str, entity: &Entity, scene: &mut Scene<'_>) {
        scene.related.remove(&self.id);
        let Some(last) = &self.last else { return };
        let revision = IncidentRevision {
            revision: last.revision + 1,
            status: IncidentStatus::Merged,
            reason: format!("merged into {older}"),
            merged_into: Some(older.to_owned()),
            related: Vec::new(),
            ..last.clone()
        };
        self.put(revision, scene);
        self.tell(&[], scene);
        self.store(entity, scene.commit);
    }

    /// Names incidents that it is related to and did not name yet, and tells nobody: somebody else's news.
    pub(super) fn relate(
        &mut self,
        entity: &Entity,
        judgement: &Judgement,
        records: &[&SignalRecord],
        scene: &mut Scene<'_>,
    ) {
        let speaks = self.is_open() && !self.awaits_signals;
        let Some(last) = self.last.as_ref().filter(|_| speaks) else { return };
        let related = scene.related.of(&self.id);
        let Some(new) = related.iter().find(|related| !last.related.contains(related)) else { return };
        let reason = format!("related to {}", new.incident_id);
        let status = last.status;
        self.write(entity, judgement, status, reason, records, scene);
        self.store(entity, scene.commit);
    }

    /// At the end of all inputs, and before it is forgotten: says what the last revision left out, and tells nobody.
    pub(super) fn last_word(
        &mut self,
        entity: &Entity,
        judgement: &Judgement,
        records: &[&SignalRecord],
        scene: &mut Scene<'_>,
    ) {
        let Some(last) = &self.last else { return };
        if last.status == IncidentStatus::Merged || judgement.verdict.is_none() || self.awaits_signals {
            return;
        }
        let reason = "what earlier revisions left out".to_owned();
        let Some(whole) = self.revision(entity, judgement, last.status, reason, records, scene) else { return };
        let (revision, changes) = (last.revision, last.changes.clone());
        let same = IncidentRevision { revision, changes, reason: last.reason.clone(), ..whole.clone() } == *last;
        if !same {
            self.put(whole, scene);
            self.store(entity, scene.commit);
        }
    }
}

/// Whose it is: the entity's principal, or the one that the signals of a session share with others.
fn principal_of<'a>(entity: &'a Entity, judgement: &'a Judgement) -> Option<&'a str> {
    entity.principal().or(judgement.principal.as_deref())
}
