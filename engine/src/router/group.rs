//! `group`: incidents that have labels in common are told as one.

use std::collections::BTreeMap;

use watershed_schemas::Group;

use super::Router;
use super::labels::Labels;
use super::message::hashed;
use super::page::Page;
use super::tree::Target;
use crate::correlator::Telling;

/// Most incidents that a message lists.
const LISTED: usize = 50;

impl Router {
    /// The id of the page on which an incident is told, and what it has in common with others there; alone, nothing.
    pub(super) fn group(
        &self,
        target: &Target,
        incident: &str,
        labels: &Labels,
    ) -> (String, Option<BTreeMap<String, String>>) {
        let group_by = &self.routes.policy(&target.route).group_by;
        if group_by.is_empty() {
            return (incident.to_owned(), None);
        }
        let common: BTreeMap<String, String> =
            group_by.iter().map(|label| (label.name().to_owned(), labels.text(*label))).collect();
        let parts = common.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        let parts: Vec<&str> = [target.route.as_str()].into_iter().chain(parts).collect();
        (hashed("grp", &parts), Some(common))
    }
}

impl Page {
    /// The group as a message shows it.
    pub(super) fn shown_group(&self) -> Option<Group> {
        let labels = self.labels.clone()?;
        let lasting = self.lasting();
        let omitted = u32::try_from(lasting.len().saturating_sub(LISTED)).unwrap_or(u32::MAX);
        let incidents = lasting.into_iter().take(LISTED).map(str::to_owned).collect();
        Some(Group { key: self.id.clone(), labels, incidents, omitted })
    }

    /// The newest that is known of the gravest incident that lasts.
    pub(super) fn newest(&self) -> Vec<Telling> {
        let lasts = |id: &&str| {
            let halves = self.members.get(*id)?.iter().flatten().filter(|half| !half.over);
            let known: Vec<Telling> = halves.filter_map(|half| half.live.as_deref().cloned()).collect();
            (!known.is_empty()).then_some(known)
        };
        self.lasting().iter().find_map(lasts).unwrap_or_default()
    }
}
