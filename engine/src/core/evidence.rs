//! What is gathered for the case files of the incidents that a step revised: the evidence, and what happened around it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{Array, AsArray};
use watershed_schemas::{IncidentRevision, IncidentStatus, Moment, Plane, TimelineEntry, Timestamp};

use super::Core;
use crate::correlator::{Correlator, Evidence, SignalRecord};
use crate::evaluator::{EvidenceText, RowRef, Segment};

/// How far around the findings of an incident something counts as its context.
const AROUND: Duration = Duration::from_secs(5 * 60);
/// Most moments of context that one look gives.
const CONTEXT: usize = 20;
/// Most remembered rows that are looked at for context in one step, the newest first: a storm of incidents must not cost the
/// product of both.
const LOOKS: usize = 50_000;

/// What was gathered of an incident: all of its evidence that is remembered, and some context.
#[derive(Clone, Debug, PartialEq)]
pub struct Gathered {
    /// Which incident.
    pub incident_id: String,
    /// In event time.
    pub moments: Vec<TimelineEntry>,
}

/// What tells moments apart: ids are unique within a source.
pub(crate) type MomentKey = (Timestamp, Plane, String, Option<String>);

/// The key of a moment.
pub(crate) fn key_of(moment: &TimelineEntry) -> MomentKey {
    (moment.event_time, moment.plane, moment.event_id.clone(), moment.columns.get("source").cloned())
}

impl Core {
    /// From now on gathers what case files are made of.
    pub fn gather_evidence(&mut self) {
        self.gathers = true;
    }

    /// What there is of each of these incidents.
    pub(super) fn gather(&self, revisions: &[IncidentRevision]) -> Vec<Gathered> {
        if !self.gathers {
            return Vec::new();
        }
        // The last revision of each, in the order in which they were first revised.
        let mut last: Vec<&IncidentRevision> = Vec::new();
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for revision in revisions {
            match places.get(revision.incident_id.as_str()) {
                Some(place) => last[*place] = revision,
                None => {
                    places.insert(&revision.incident_id, last.len());
                    last.push(revision);
                }
            }
        }
        let mut looks = LOOKS;
        let mut gathered = Vec::new();
        for revision in last {
            if matches!(revision.status, IncidentStatus::Merged) {
                continue;
            }
            let records = self.correlator.standing(revision);
            if records.is_empty() {
                continue;
            }
            let mut moments = evidence(&records, &self.correlator);
            let texts = self.settings.incidents.evidence_text;
            for moment in context(self.segments.live(), revision, &records, texts, &mut looks) {
                moments.entry(key_of(&moment)).or_insert(moment);
            }
            gathered
                .push(Gathered { incident_id: revision.incident_id.clone(), moments: moments.into_values().collect() });
        }
        gathered
    }
}

/// The events behind signals, each once.
fn evidence(records: &[&SignalRecord], correlator: &Correlator) -> BTreeMap<MomentKey, TimelineEntry> {
    let mut moments: BTreeMap<MomentKey, TimelineEntry> = BTreeMap::new();
    for record in records {
        for evidence in &record.evidence {
            let moment = entry(evidence, Moment::Evidence);
            let moment = moments.entry(key_of(&moment)).or_insert(moment);
            moment.signals.push((record.signal_id.clone(), record.rule.clone()));
        }
    }
    for (plane, record) in correlator.deciding(records) {
        // The finding is about one moment: its own event of that plane, else the last that led to it.
        let own = |evidence: &&Evidence| evidence.plane == plane && evidence.event_time == record.event_time;
        let last = || record.evidence.iter().rev().find(|evidence| evidence.plane == plane);
        let decided = record.evidence.iter().find(own).or_else(last).or(record.evidence.last());
        if let Some(moment) = decided.and_then(|evidence| moments.get_mut(&key_of(&entry(evidence, Moment::Evidence))))
            && !moment.decided.contains(&record.rule)
        {
            moment.decided.push(record.rule.clone());
        }
    }
    moments
}

fn entry(evidence: &Evidence, moment: Moment) -> TimelineEntry {
    TimelineEntry {
        event_time: evidence.event_time,
        plane: evidence.plane,
        event_id: evidence.event_id.clone(),
        kind: evidence.kind.clone(),
        moment,
        columns: evidence.columns.clone(),
        signals: Vec::new(),
        decided: Vec::new(),
        source: evidence.source.clone(),
    }
}

/// Remembered rows of the same identity or session, the nearest to the findings first found.
fn context(
    segments: &[Arc<Segment>],
    incident: &IncidentRevision,
    records: &[&SignalRecord],
    texts: EvidenceText,
    looks: &mut usize,
) -> Vec<TimelineEntry> {
    let found: BTreeSet<Timestamp> = records.iter().map(|record| record.event_time).collect();
    let (Some(first), Some(last)) = (found.first(), found.last()) else { return Vec::new() };
    let (from, to) = (first.minus(AROUND), last.plus(AROUND));
    let distance = |time: Timestamp| {
        let before = found.range(..=time).next_back().map(|at| time.micros() - at.micros());
        let after = found.range(time..).next().map(|at| at.micros() - time.micros());
        before.into_iter().chain(after).min().unwrap_or(i64::MAX)
    };
    let within = i64::try_from(AROUND.as_micros()).unwrap_or(i64::MAX);
    let mut near: BTreeSet<(i64, Timestamp, usize, u32)> = BTreeSet::new();
    for (at, segment) in segments.iter().enumerate().rev() {
        let (oldest, newest) = segment.span();
        // What is on a shelf stays there: context is not worth a read of the disk.
        if *looks == 0 || newest < from || oldest > to || segment.is_cold() {
            continue;
        }
        let rows = u32::try_from(segment.row_count().min(*looks)).unwrap_or(u32::MAX);
        *looks = looks.saturating_sub(segment.row_count());
        for row in 0..rows {
            let time = segment.event_time(row);
            let distance = distance(time);
            if distance > within || (near.len() >= CONTEXT && near.last().is_some_and(|far| distance > far.0)) {
                continue;
            }
            if concerns(segment, row, incident) {
                near.insert((distance, time, at, row));
                if near.len() > CONTEXT {
                    near.pop_last();
                }
            }
        }
    }
    let row = |(_, _, at, row): (i64, Timestamp, usize, u32)| {
        let evidence = Evidence::of(&RowRef { segment: Arc::clone(&segments[at]), row }, texts)?;
        Some(entry(&evidence, Moment::Context))
    };
    near.into_iter().filter_map(row).collect()
}

/// Whether a row is of the incident's identity or of one of its sessions.
fn concerns(segment: &Segment, row: u32, incident: &IncidentRevision) -> bool {
    let Some(plane) = segment.table.plane() else { return false };
    let Ok(rows) = segment.rows() else { return false };
    let text = |name: &str| {
        let column = plane.column(name)?;
        let texts = rows.column(column).as_string_opt::<i32>()?;
        (!texts.is_null(row as usize)).then(|| (column, texts.value(row as usize)))
    };
    if text("tenant").is_none_or(|(_, tenant)| tenant != incident.tenant) {
        return false;
    }
    let session = text("session_id")
        .is_some_and(|(_, session)| incident.sessions.binary_search_by(|known| known.as_str().cmp(session)).is_ok());
    let same =
        |(column, id): (usize, &str)| incident.principal.as_deref() == Some(&*segment.called_in(column, row, id));
    session || text("principal").is_some_and(same)
}

/// Of the moments those that a case file keeps: all that decided something, then evidence, then context; the earliest and the
/// latest of each rather than the middle.
pub(crate) fn bounded(moments: BTreeMap<MomentKey, TimelineEntry>, most: [usize; 2]) -> (Vec<TimelineEntry>, usize) {
    let all = moments.len();
    let [evidence, context] = most;
    let keep = |wanted: Moment, most: usize| -> BTreeSet<&MomentKey> {
        let of = || moments.iter().filter(move |(_, moment)| moment.moment == wanted);
        let count = of().count();
        let mut ranked: Vec<_> = of()
            .enumerate()
            .map(|(at, (key, moment))| (Reverse(!moment.decided.is_empty()), at.min(count - 1 - at), key))
            .collect();
        ranked.sort();
        ranked.into_iter().take(most).map(|(.., key)| key).collect()
    };
    let kept: BTreeSet<MomentKey> =
        keep(Moment::Evidence, evidence).union(&keep(Moment::Context, context)).map(|key| (*key).clone()).collect();
    let moments: Vec<TimelineEntry> =
        moments.into_iter().filter(|(key, _)| kept.contains(key)).map(|(_, moment)| moment).collect();
    let omitted = all - moments.len();
    (moments, omitted)
}
