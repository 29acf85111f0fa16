//! Incidents that no evidence can join any more. People still close and reopen them.

use std::collections::{BTreeMap, BTreeSet};

use watershed_schemas::Timestamp;

use super::entity::Entity;
use super::incident::Incident;
use crate::store::Commit;

/// First bytes of the keys that hold them.
pub(super) const PREFIX: &[u8] = b"i/over/";

/// Them, by id.
#[derive(Debug, Default)]
pub(super) struct Over {
    incidents: BTreeMap<String, (Entity, Incident)>,
    /// By the time of their last event.
    by_time: BTreeSet<(Timestamp, String)>,
}

impl Over {
    /// Takes an incident that its entity forgets.
    pub(super) fn take(&mut self, entity: &Entity, incident: Incident, commit: &mut Commit) {
        let incident = incident.over();
        incident.store(entity, commit);
        self.hold(entity.clone(), incident);
    }

    fn hold(&mut self, entity: Entity, incident: Incident) {
        self.by_time.insert((incident.last_event_time(), incident.id.clone()));
        self.incidents.insert(incident.id.clone(), (entity, incident));
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<(&Entity, &mut Incident)> {
        self.incidents.get_mut(id).map(|(entity, incident)| (&*entity, incident))
    }

    /// Lets go of those whose last event lies before `oldest`, and of the oldest where there are more than `limit`.
    pub(super) fn forget(&mut self, oldest: Timestamp, limit: usize, commit: &mut Commit) {
        let mut gone = Vec::new();
        while let Some((time, _)) = self.by_time.first()
            && (*time < oldest || self.by_time.len() > limit)
            && let Some((_, id)) = self.by_time.pop_first()
        {
            gone.extend(self.incidents.remove(&id).map(|(_, incident)| incident.key()));
        }
        commit.forget(gone);
    }

    /// Takes up what was durable.
    pub(super) fn restore(&mut self, entity: Entity, incident: Incident) {
        self.hold(entity, incident);
    }
}
