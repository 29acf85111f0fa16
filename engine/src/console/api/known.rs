//! The incidents of this run, by their last revisions.

use std::collections::{BTreeMap, VecDeque};

use watershed_schemas::{Case, IncidentRevision};

use super::incidents::{Filter, Place};

/// Incidents that are kept; beyond it those that were revised longest ago are forgotten.
const INCIDENTS: usize = 20_000;
/// Earlier revisions of each.
const REVISIONS: usize = 20;

/// Incidents and their revisions.
#[derive(Debug, Default)]
pub(super) struct Known {
    incidents: BTreeMap<String, Kept>,
    /// Each incident by when it was last revised.
    order: BTreeMap<u64, String>,
    next: u64,
}

#[derive(Debug)]
struct Kept {
    last: IncidentRevision,
    before: VecDeque<IncidentRevision>,
    omitted: u32,
    at: u64,
}

impl Known {
    /// These revisions were written.
    pub(super) fn take(&mut self, revisions: &[IncidentRevision]) {
        for revision in revisions {
            let at = self.next;
            self.next += 1;
            let id = revision.incident_id.clone();
            match self.incidents.get_mut(&id) {
                Some(kept) => {
                    self.order.remove(&kept.at);
                    kept.at = at;
                    let before = std::mem::replace(&mut kept.last, revision.clone());
                    kept.before.push_back(before);
                    if kept.before.len() > REVISIONS {
                        // The first stays: it says how it began.
                        kept.before.remove(1);
                        kept.omitted += 1;
                    }
                }
                None => {
                    let kept = Kept { last: revision.clone(), before: VecDeque::new(), omitted: 0, at };
                    self.incidents.insert(id.clone(), kept);
                }
            }
            self.order.insert(at, id);
            if self.order.len() > INCIDENTS
                && let Some((_, oldest)) = self.order.pop_first()
            {
                self.incidents.remove(&oldest);
            }
        }
    }

    /// The last revision of an incident.
    pub(super) fn last(&self, id: &str) -> Option<&IncidentRevision> {
        self.incidents.get(id).map(|kept| &kept.last)
    }

    /// Everything that is known of an incident.
    pub(super) fn case(&self, id: &str) -> Option<Case> {
        let kept = self.incidents.get(id)?;
        let revisions: Vec<IncidentRevision> = kept.before.iter().cloned().collect();
        let mut handled: Vec<_> = revisions.iter().chain([&kept.last]).filter_map(|one| one.handled.clone()).collect();
        handled.dedup();
        Some(Case {
            incident: kept.last.clone(),
            revisions,
            revisions_omitted: kept.omitted,
            timeline: Vec::new(),
            timeline_omitted: 0,
            blast_radius: None,
            first_moves: Vec::new(),
            handled,
            told: Vec::new(),
            erased: None,
        })
    }

    /// Incidents that pass, the newest first, behind a place.
    pub(super) fn list(&self, filter: &Filter, behind: Option<&Place>, limit: usize) -> Vec<IncidentRevision> {
        let mut found: Vec<(Place, &IncidentRevision)> = self
            .incidents
            .values()
            .map(|kept| &kept.last)
            .filter(|incident| filter.passes(incident))
            .map(|incident| (Place::of(incident), incident))
            .filter(|(place, _)| behind.is_none_or(|behind| place > behind))
            .collect();
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        found.into_iter().take(limit).map(|(_, incident)| incident.clone()).collect()
    }
}
