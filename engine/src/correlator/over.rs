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

#[cfg(test)]
mod tests {
    use watershed_schemas::{IncidentRevision, Verdict};

    use super::*;

    fn ended(minute: i64) -> (Entity, Incident) {
        let entity = Entity::Session { tenant: "acme".to_owned(), session_id: minute.to_string() };
        let mut incident = Incident::open(&entity, &minute.to_string(), 0, None, &[]);
        let at = Timestamp::from_secs(minute * 60);
        incident.last = Some(IncidentRevision::opened(&incident.id, "acme", Verdict::ModelAbuse, at));
        (entity, incident)
    }

    #[test]
    fn the_oldest_go_where_they_are_too_many_or_too_old() {
        let mut over = Over::default();
        let ids: Vec<String> = [30, 10, 20, 40]
            .into_iter()
            .map(|minute| {
                let (entity, incident) = ended(minute);
                let id = incident.id.clone();
                over.take(&entity, incident, &mut Commit::default());
                id
            })
            .collect();
        let mut left = |oldest: i64, limit: usize| {
            over.forget(Timestamp::from_secs(oldest * 60), limit, &mut Commit::default());
            ids.iter().map(|id| over.get_mut(id).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(left(10, 4), [true; 4]);
        assert_eq!(left(0, 3), [true, false, true, true]);
        assert_eq!(left(21, 3), [true, false, false, true]);
        assert_eq!(left(0, 1), [false, false, false, true]);
    }
}
