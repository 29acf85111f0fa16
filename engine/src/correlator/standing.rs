//! The signals that stand behind an incident, for whoever asks.

use std::collections::BTreeSet;

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

    /// The sessions that are remembered as those of one of these ids.
    pub fn sessions_of(&self, tenant: &str, ids: &BTreeSet<String>) -> BTreeSet<String> {
        let own = self.links.each().filter(|(session, of)| session.tenant == tenant && ids.contains(*of));
        own.map(|(session, _)| session.session_id.clone()).collect()
    }
}
