//! The signals that stand behind an incident, for whoever asks.

use watershed_schemas::IncidentRevision;

use super::{Correlator, SignalRecord};

/// Most signals of one incident that are given.
const SIGNALS: usize = 512;

impl Correlator {
    /// The standing signals of a revision, those of both planes, oldest first, bounded. What is forgotten is missing.
    pub fn standing(&self, incident: &IncidentRevision) -> Vec<&SignalRecord> {
        let found = incident.signals.iter().take(SIGNALS).filter_map(|id| {
            let (entity, time) = self.places.get(id)?;
            self.entities.get(entity)?.signals.get(&(*time, id.clone()))
        });
        let mut found: Vec<&SignalRecord> = found.filter(|record| !record.withdrawn).collect();
        found.sort_by(|a, b| (a.event_time, &a.signal_id).cmp(&(b.event_time, &b.signal_id)));
        found
    }
}
