//! The signals that an incident rests on, for its case file.

use std::collections::BTreeMap;

use watershed_schemas::{IncidentRevision, Plane, PlaneScores};

use super::{Correlator, SignalRecord};

/// Most signals of one incident that are given.
const SIGNALS: usize = 512;

impl Correlator {
    /// The standing signals of a revision that are still remembered, those of both planes, oldest first, bounded.
    pub fn standing(&self, incident: &IncidentRevision) -> Vec<&SignalRecord> {
        let record = |id: &String| {
            let (entity, time) = self.places.get(id)?;
            self.entities.get(entity)?.signals.get(&(*time, id.clone()))
        };
        let mut records: Vec<&SignalRecord> =
            incident.signals.iter().take(SIGNALS).filter_map(record).filter(|record| !record.withdrawn).collect();
        records.sort_by(|a, b| (a.event_time, &a.signal_id).cmp(&(b.event_time, &b.signal_id)));
        records
    }

    /// The score at which each plane is in the verdict.
    pub fn thresholds(&self) -> PlaneScores {
        PlaneScores { model: self.settings.threshold, access: self.settings.threshold }
    }
}

/// For each plane that these signals, oldest first, bring into the verdict: the one with which its score reaches the threshold.
pub fn deciding<'a>(records: &[&'a SignalRecord], thresholds: PlaneScores) -> Vec<(Plane, &'a SignalRecord)> {
    let of = |scores: PlaneScores, plane: Plane| match plane {
        Plane::Model => scores.model,
        Plane::Access => scores.access,
    };
    let first = |plane: Plane| {
        let mut counts: BTreeMap<&str, (i32, f64)> = BTreeMap::new();
        let reaches = |record: &&&'a SignalRecord| {
            let (count, _) = counts.get(record.rule.as_str()).copied().unwrap_or_default();
            // As the verdict is reckoned: a rule counts fully once, then half, a quarter, ….
            let score = of(record.weights, plane) * (2.0 - 0.5_f64.powi(count.min(40)));
            counts.insert(&record.rule, (count + 1, score));
            counts.values().map(|(_, score)| score).sum::<f64>() >= of(thresholds, plane)
        };
        records.iter().find(reaches).map(|record| (plane, *record))
    };
    Plane::ALL.into_iter().filter_map(first).collect()
}
