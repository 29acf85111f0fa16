//! Incidents of different entities that have something in common: they name each other and stay apart.
//!
//! Two are related where a signal of the one and a signal of the other name the same credential, session or agent, no
//! farther apart than the gap. A value that too many incidents have in common at one time (an address translator's
//! session, a service account's credential) relates none of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use watershed_schemas::{RelatedIncident, Shared, Timestamp};

use super::entity::Entity;
use super::shares::Shares;

/// Most other incidents and values that one names.
const RELATED: usize = 16;

/// What is known of one incident here.
#[derive(Debug)]
struct Party {
    entity: Entity,
    opened: u64,
    last: Timestamp,
    shares: Shares,
}

/// Who has what in common.
#[derive(Debug)]
pub(super) struct Related {
    gap: Duration,
    limit: usize,
    /// Until when it has forgotten.
    forgotten: Timestamp,
    parties: BTreeMap<String, Party>,
    /// Ids of incidents by tenant and value, sorted: mostly one.
    by_value: BTreeMap<(String, Shared, String), Vec<String>>,
    /// How often an incident named a value that as many others as may be related by it named already.
    pub(super) too_common: u64,
}

impl Related {
    pub(super) fn new(gap: Duration, limit: usize) -> Self {
        Related {
            gap,
            limit,
            forgotten: Timestamp::MIN,
            parties: BTreeMap::new(),
            by_value: BTreeMap::new(),
            too_common: 0,
        }
    }

    /// An incident stands and names these values.
    pub(super) fn put(&mut self, id: &str, entity: &Entity, opened: u64, last: Timestamp, shares: &Shares) {
        if let Some(party) = self.parties.get_mut(id)
            && party.shares.iter().eq(shares.iter())
            && party.entity == *entity
        {
            party.last = last;
            party.shares.clone_from(shares);
            return;
        }
        self.remove(id);
        for (kind, value) in shares.iter() {
            let key = (entity.tenant().to_owned(), kind, value.clone());
            let ids = self.by_value.entry(key).or_default();
            if let Err(at) = ids.binary_search_by(|known| known.as_str().cmp(id)) {
                ids.reserve_exact(usize::from(ids.len() < 4));
                ids.insert(at, id.to_owned());
            }
            self.too_common += u64::from(ids.len() > self.limit);
        }
        let party = Party { entity: entity.clone(), opened, last, shares: shares.clone() };
        self.parties.insert(id.to_owned(), party);
    }

    /// An incident stands no more, or is too old for anything to be near it.
    pub(super) fn remove(&mut self, id: &str) {
        let Some(party) = self.parties.remove(id) else { return };
        for (kind, value) in party.shares.iter() {
            let key = (party.entity.tenant().to_owned(), kind, value.clone());
            if let Some(ids) = self.by_value.get_mut(&key) {
                ids.retain(|known| known != id);
                if ids.is_empty() {
                    self.by_value.remove(&key);
                }
            }
        }
    }

    /// Forgets incidents whose last event lies before `over`: some time later, because all are looked at.
    pub(super) fn forget(&mut self, over: Timestamp) {
        if over < self.forgotten.plus(self.gap) {
            return;
        }
        self.forgotten = over;
        let gone: Vec<String> =
            self.parties.iter().filter(|(_, party)| party.last < over).map(|(id, _)| id.clone()).collect();
        gone.iter().for_each(|id| self.remove(id));
    }

    /// The incidents that an incident is related to, sorted, bounded.
    pub(super) fn of(&self, id: &str) -> Vec<RelatedIncident> {
        let mut related = Vec::new();
        let Some(party) = self.parties.get(id) else { return related };
        for (shares, value) in party.shares.iter() {
            let near = self.near(id, party, shares, value);
            related.extend(near.into_iter().flatten().map(|other| RelatedIncident {
                incident_id: other.clone(),
                shares,
                value: value.clone(),
            }));
        }
        related.sort_unstable();
        related.truncate(RELATED);
        related
    }

    /// Incidents of others that name the value near to this one; none at all where they are too many.
    fn near(&self, id: &str, party: &Party, kind: Shared, value: &str) -> Option<Vec<&String>> {
        let key = (party.entity.tenant().to_owned(), kind, value.to_owned());
        let mut near = Vec::new();
        for other in self.by_value.get(&key).into_iter().flatten().filter(|other| *other != id) {
            let Some(found) = self.parties.get(other) else { continue };
            if found.entity != party.entity && party.shares.meet(&found.shares, kind, value, self.gap) {
                near.push(other);
                if near.len() >= self.limit {
                    return None;
                }
            }
        }
        Some(near)
    }

    /// Of a revised incident and those that it is related to, for each two the newer: it is the newer that says so at once.
    pub(super) fn newer(&self, id: &str) -> BTreeSet<String> {
        let Some(party) = self.parties.get(id) else { return BTreeSet::new() };
        let others = self.of(id).into_iter().filter_map(|related| {
            let other = self.parties.get(&related.incident_id)?;
            Some(if other.opened > party.opened { related.incident_id } else { id.to_owned() })
        });
        others.collect()
    }

    /// Whose an incident is.
    pub(super) fn entity(&self, id: &str) -> Option<&Entity> {
        self.parties.get(id).map(|party| &party.entity)
    }
}
