//! The signals that an incident rests on, for its case file.

use std::collections::{BTreeMap, BTreeSet};

use watershed_schemas::{IncidentRevision, Plane, PlaneScores};

use super::verdict::factor;
use super::{Correlator, SignalRecord};

/// Most signals of one incident that are given.
const SIGNALS: usize = 512;

impl Correlator {
    /// The standing signals of a revision that are still remembered, or were until this step, those of both planes, oldest first, bounded.
    pub fn standing(&self, incident: &IncidentRevision) -> Vec<&SignalRecord> {
        let record = |id: &String| match self.places.get(id) {
            Some((entity, time)) => {
                self.entities.get(entity)?.signals.get(&(*time, id.clone())).map(|record| &**record)
            }
            // An incident may come and go within one step.
            None => self.leaving.get(id),
        };
        let mut records: Vec<&SignalRecord> =
            incident.signals.iter().take(SIGNALS).filter_map(record).filter(|record| !record.withdrawn).collect();
        records.sort_by(|a, b| (a.event_time, &a.signal_id).cmp(&(b.event_time, &b.signal_id)));
        records
    }

    /// For each plane that these signals, oldest first, bring into the verdict: the one with which its score reaches the
    /// threshold.
    pub fn deciding<'a>(&self, records: &[&'a SignalRecord]) -> Vec<(Plane, &'a SignalRecord)> {
        let of = |scores: PlaneScores, plane: Plane| match plane {
            Plane::Model => scores.model,
            Plane::Access => scores.access,
        };
        let first = |plane: Plane| {
            let mut scores: BTreeMap<&str, (u32, f64)> = BTreeMap::new();
            let reaches = |record: &&&'a SignalRecord| {
                let (count, score) = scores.entry(record.rule.as_str()).or_default();
                *count += 1;
                *score = of(record.weights, plane) * factor(*count, self.settings.repeat_factor);
                scores.values().map(|(_, score)| score).sum::<f64>() >= of(self.settings.threshold, plane)
            };
            records.iter().find(reaches).map(|record| (plane, *record))
        };
        Plane::ALL.into_iter().filter_map(first).collect()
    }

    /// The sessions that are remembered as those of one of these ids.
    pub fn sessions_of(&self, tenant: &str, ids: &BTreeSet<String>) -> BTreeSet<String> {
        let own = self.links.each().filter(|(session, of)| session.tenant == tenant && ids.contains(*of));
        own.map(|(session, _)| session.session_id.clone()).collect()
    }
}
