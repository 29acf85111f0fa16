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
/// Most signals that a telling carries, of its own plane.
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

/// What a revision has to say.
struct News {
    reason: String,
    /// Whether it opens an incident that was over.
    reopens: bool,
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
        Incident { id, opened, continues, last: None, told: [None, None], settled: None }
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

    pub(super) fn last_event_time(&self) -> Timestamp {
        let said = self.last.as_ref().map(|last| last.last_event_time);
        self.settled.as_ref().map(|settled| settled.judgement.last).or(said).unwrap_or(Timestamp::MAX)
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
        self.settled = Some(Settled { start, judgement: judgement.clone() });
        let judgement = &judgement;
        let Some(news) = self.news(entity, judgement) else { return };
        let status = match (&self.last, judgement.verdict) {
            (_, None) => IncidentStatus::Withdrawn,
            (Some(last), _) if !news.reopens => last.status,
            _ => IncidentStatus::Open,
        };
        self.write(entity, judgement, status, news.reason, records, scene);
        self.tell(records, scene);
        self.store(entity, scene.commit);
    }

    /// Whether a signal after all others changes nothing that a revision would say; it is counted.
    pub(super) fn absorbs(&mut self, record: &SignalRecord, settings: &Settings) -> bool {
        let (Some(last), Some(Settled { start, judgement })) = (&self.last, &mut self.settled) else { return false };
        let Some(verdict) = judgement.verdict else { return false };
        let weightless = |plane: &Plane| match plane {
            Plane::Model => record.weights.model == 0.0,
            Plane::Access => record.weights.access == 0.0,
        };
        // Where both planes are in, it might still show who moved first.
        let same_verdict = verdict != Verdict::Both
            && Plane::ALL.iter().all(|plane| verdict.planes().contains(plane) || weightless(plane));
        let many = last.signals.len() >= EACH_SIGNAL_UP_TO && judgement.standing + 1 < 2 * last.signals.len();
        let absorbed = last.status == IncidentStatus::Open
            && same_verdict
            && many
            && start.plus(settings.max_duration) >= record.event_time
            && judgement.severity >= record.severity
            && judgement.rules.contains(&record.rule)
            && record.marks.is_subset(&judgement.marks)
            && record.session_id.as_ref().is_none_or(|session| judgement.sessions.contains(session));
        if absorbed {
            judgement.standing += 1;
            judgement.last = judgement.last.max(record.event_time);
        }
        absorbed
    }

    /// What is new, in words; nothing where a revision would say what the last one said.
    fn news(&self, entity: &Entity, judgement: &Judgement) -> Option<News> {
        let opens = |reason: &str| Some(News { reason: reason.to_owned(), reopens: true });
        let adds = |reason: &str| Some(News { reason: reason.to_owned(), reopens: false });
        let Some(last) = &self.last else { return judgement.verdict.and_then(|_| opens("opened")) };
        let Some(verdict) = judgement.verdict else {
            return adds("the evidence was withdrawn").filter(|_| last.status != IncidentStatus::Withdrawn);
        };
        let grown = judgement.standing > last.signals.len() || judgement.last > last.last_event_time;
        if last.verdict != verdict {
            let reason = format!("verdict changed from {} to {}", last.verdict.name(), verdict.name());
            return Some(News { reason, reopens: grown || last.status == IncidentStatus::Withdrawn });
        }
        // Resolved, it stays so until there is more; a correction is no reason to wake anybody.
        if last.status == IncidentStatus::Withdrawn || (last.status == IncidentStatus::Resolved && grown) {
            return opens("reopened by new evidence");
        }
        if last.severity < judgement.severity {
            return adds(&format!("severity rose from {} to {}", last.severity.name(), judgement.severity.name()));
        }
        let (before, now) = (last.signals.len(), judgement.standing);
        if now < before {
            return adds("evidence was withdrawn");
        }
        if last.principal.as_deref() != entity.principal() {
            return adds("its principal became known");
        }
        if !judgement.marks.is_subset(&last.marks) {
            let marks: Vec<&str> = judgement.marks.difference(&last.marks).map(|mark| mark.name()).collect();
            return adds(&format!("its evidence is {}", marks.join(" and ")));
        }
        let other = !judgement.rules.iter().eq(&last.rules)
            || !judgement.sessions.iter().eq(&last.sessions)
            || judgement.origin != last.origin;
        let many = now > before && (now <= EACH_SIGNAL_UP_TO || now >= 2 * before);
        adds("evidence was added").filter(|_| other || many)
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
        if let Some(revision) = self.revision(entity, judgement, status, reason, records, scene) {
            self.put(revision, entity, scene);
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
        let verdict = judgement.verdict.or(self.last.as_ref().map(|last| last.verdict))?;
        let mut signals: Vec<String> =
            records.iter().filter(|record| !record.withdrawn).map(|record| record.signal_id.clone()).collect();
        signals.sort_unstable();
        let severity = match (&self.last, judgement.verdict) {
            (Some(last), None) => last.severity,
            _ => judgement.severity,
        };
        Some(IncidentRevision {
            revision: self.last.as_ref().map_or(1, |last| last.revision + 1),
            status,
            origin: judgement.origin,
            coverage: coverage(scene.watermarks, judgement.last, scene.settings.silence_after),
            severity,
            principal: entity.principal().map(str::to_owned),
            sessions: judgement.sessions.iter().cloned().collect(),
            last_event_time: judgement.last,
            scores: judgement.scores,
            rules: judgement.rules.iter().cloned().collect(),
            signals,
            reason,
            continues: self.continues.clone(),
            marks: judgement.marks.clone(),
            ..IncidentRevision::opened(&self.id, entity.tenant(), verdict, judgement.first)
        })
    }

    fn put(&mut self, revision: IncidentRevision, entity: &Entity, scene: &mut Scene<'_>) {
        self.last = Some(revision.clone());
        self.store(entity, scene.commit);
        scene.correlated.revisions.push(revision);
    }

    fn store(&self, entity: &Entity, commit: &mut Commit) {
        commit.put(|| key(&self.id), &(entity, self));
    }

    /// Decides what each plane's team has to hear of the last revision.
    fn tell(&mut self, records: &[&SignalRecord], scene: &mut Scene<'_>) {
        let Some(last) = self.last.clone() else { return };
        for plane in Plane::ALL {
            let told = self.told[plane.index()];
            let own: Vec<&SignalRecord> = records
                .iter()
                .copied()
                .filter(|record| !record.withdrawn && record.plane.planes().contains(&plane))
                .collect();
            // How bad it is for this team: what the other plane's signals add is not its news.
            let severity = own.iter().map(|record| record.severity).max().unwrap_or(last.severity);
            let inside = last.verdict.planes().contains(&plane) && last.status == IncidentStatus::Open;
            let reason = match told {
                None if inside => NotifyReason::Opened,
                None => continue,
                Some(told) if inside && told.over => NotifyReason::Opened,
                Some(told) if inside && last.verdict == Verdict::Both && told.verdict != Verdict::Both => {
                    NotifyReason::VerdictGrew
                }
                Some(told) if inside && severity > told.severity => NotifyReason::SeverityRose,
                Some(_) if inside => continue,
                Some(told) if told.over => continue,
                Some(_) if matches!(last.status, IncidentStatus::Open | IncidentStatus::Withdrawn) => {
                    NotifyReason::Withdrawn
                }
                Some(_) => NotifyReason::Resolved,
            };
            let severity = told.map_or(severity, |told| told.severity.max(severity));
            self.told[plane.index()] = Some(Told { verdict: last.verdict, severity, over: !inside });
            scene.correlated.tellings.push(Telling {
                incident: last.clone(),
                plane,
                reason,
                signals: own.into_iter().take(TOLD_SIGNALS).cloned().collect(),
                blast_radius: None,
                first_moves: Vec::new(),
            });
        }
    }

    /// Ends the incident: it has been quiet for the gap.
    pub(super) fn resolve(
        &mut self,
        entity: &Entity,
        judgement: &Judgement,
        records: &[&SignalRecord],
        scene: &mut Scene<'_>,
    ) {
        self.write(entity, judgement, IncidentStatus::Resolved, "quiet for the gap".to_owned(), records, scene);
        self.tell(records, scene);
        self.store(entity, scene.commit);
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

    /// At the end of all inputs, and before it is forgotten: says what the last revision left out, and tells nobody.
    pub(super) fn last_word(
        &mut self,
        entity: &Entity,
        judgement: &Judgement,
        records: &[&SignalRecord],
        scene: &mut Scene<'_>,
    ) {
        let Some(last) = &self.last else { return };
        if last.status == IncidentStatus::Merged || judgement.verdict.is_none() {
            return;
        }
        let reason = "what earlier revisions left out".to_owned();
        let Some(whole) = self.revision(entity, judgement, last.status, reason, records, scene) else { return };
        let same = IncidentRevision { revision: last.revision, reason: last.reason.clone(), ..whole.clone() } == *last;
        if !same {
            self.put(whole, entity, scene);
        }
    }
}

/// The key of an incident in the store.
pub(super) fn key(id: &str) -> Vec<u8> {
    [PREFIX, id.as_bytes()].concat()
}
