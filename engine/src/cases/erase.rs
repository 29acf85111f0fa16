//! Erasing a principal from case files.
//!
//! Verdict, scores, rules, times, ids of events and counts stay, so that statistics and the record of what was decided remain. What
//! names the person, ties them to sessions, credentials, addresses and devices, or quotes them becomes `erased`. Files of other
//! principals lose the moments' details in which the erased one takes part. An incident may still be open: what its next revisions
//! bring of the time before the erasure is masked as well, which is known by a hash of tenant and principal.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest, Sha256};
use watershed_schemas::{Case, IncidentRevision, TimelineEntry, Timestamp};

/// What stands in the place of everything that was erased.
pub const ERASED: &str = "erased";

/// First bytes of the keys that hold whom was erased.
pub(super) const PREFIX: &[u8] = b"c/e/";

/// Columns that name a principal.
const PRINCIPALS: [&str; 4] = ["principal", "actor", "on_behalf_of", "owner"];
/// Columns whose values lead to a person wherever else they stand, beside the principal itself.
const LEADING: [&str; 4] = ["session_id", "credential_id", "ip", "device_id"];
/// Columns that say nothing of a person: all others are masked.
const HARMLESS: [&str; 16] = [
    "source",
    "provider",
    "model",
    "tool",
    "outcome",
    "verdict",
    "category",
    "detector",
    "policy",
    "principal_type",
    "credential_type",
    "grant_type",
    "auth_method",
    "risk",
    "country",
    "reason",
];
/// Shorter ids are masked where they are all of a text, not within one.
const WITHIN_A_TEXT: usize = 4;

/// What an erasure did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Erased {
    /// Files of which something was masked.
    pub cases: usize,
}

/// Who was erased: hashes of tenant and principal, with the time.
#[derive(Debug, Default)]
pub(super) struct Erasures(BTreeMap<String, Timestamp>);

impl Erasures {
    /// Remembers one, and gives what to store.
    pub(super) fn add(&mut self, tenant: &str, principal: &str, at: Timestamp) -> (Vec<u8>, Timestamp) {
        let name = name(tenant, principal);
        self.0.insert(name.clone(), at);
        ([PREFIX, name.as_bytes()].concat(), at)
    }

    /// Takes up what was stored.
    pub(super) fn restore(&mut self, pairs: Vec<(Vec<u8>, Vec<u8>)>) {
        for (key, value) in pairs {
            let name = key.strip_prefix(PREFIX).and_then(|name| String::from_utf8(name.to_vec()).ok());
            if let (Some(name), Ok(at)) = (name, serde_json::from_slice(&value)) {
                self.0.insert(name, at);
            }
        }
    }

    /// Masks again what a file has taken in since, of the time before the erasure.
    pub(super) fn hold(&self, case: &mut Case) {
        if self.0.is_empty() {
            return;
        }
        let tenant = case.incident.tenant.clone();
        let named =
            case.timeline.iter().flat_map(|moment| PRINCIPALS.iter().filter_map(|name| moment.columns.get(*name)));
        let named: BTreeSet<String> =
            case.incident.principal.iter().chain(named).filter(|name| *name != ERASED).cloned().collect();
        for principal in named {
            if let Some(at) = self.0.get(&name(&tenant, &principal))
                && case.incident.first_event_time <= *at
            {
                erase(case, &principal, *at);
            }
        }
    }
}

fn name(tenant: &str, principal: &str) -> String {
    let mut hash = Sha256::new();
    hash.update((tenant.len() as u64).to_le_bytes());
    hash.update(tenant.as_bytes());
    hash.update(principal.as_bytes());
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Masks what a file says of a principal; says whether there was anything.
pub(super) fn erase(case: &mut Case, principal: &str, at: Timestamp) -> bool {
    let own = case.incident.principal.as_deref() == Some(principal)
        || case.revisions.iter().any(|revision| revision.principal.as_deref() == Some(principal));
    let takes_part = |moment: &TimelineEntry| {
        own || PRINCIPALS.iter().any(|name| moment.columns.get(*name).is_some_and(|value| value == principal))
    };
    let mut mask = Mask::default();
    mask.add(principal);
    // What somebody else used on their behalf leads to somebody else.
    let hers = |moment: &&TimelineEntry| own || moment.columns.get("principal").is_some_and(|name| name == principal);
    for moment in case.timeline.iter().filter(hers) {
        LEADING.iter().filter_map(|name| moment.columns.get(*name)).for_each(|value| mask.add(value));
    }
    if own {
        for revision in case.revisions.iter().chain([&case.incident]) {
            revision.sessions.iter().chain(&revision.credentials).for_each(|id| mask.add(id));
        }
        if let Some(radius) = &case.blast_radius {
            radius.could.sessions.iter().chain(&radius.could.credentials).for_each(|id| mask.add(id));
        }
    }
    let before = case.clone();
    for moment in case.timeline.iter_mut().filter(|moment| takes_part(moment)) {
        for (name, value) in &mut moment.columns {
            if !HARMLESS.contains(&name.as_str()) {
                ERASED.clone_into(value);
            }
        }
    }
    for moment in &mut case.timeline {
        moment.columns.values_mut().for_each(|value| mask.text(value));
    }
    for revision in case.revisions.iter_mut().chain([&mut case.incident]) {
        mask.revision(revision);
    }
    if let Some(radius) = &mut case.blast_radius {
        mask.text(&mut radius.principal);
        let could = &mut radius.could;
        let lists = [
            &mut could.credentials,
            &mut could.sessions,
            &mut could.scopes,
            &mut could.roles,
            &mut could.delegates,
            &mut could.shared_with,
            &mut radius.unknown,
        ];
        lists.into_iter().flatten().for_each(|text| mask.text(text));
        radius.did.iter_mut().for_each(|reached| mask.text(&mut reached.name));
    }
    for step in &mut case.first_moves {
        mask.text(&mut step.text);
        step.object.iter_mut().chain(&mut step.how).for_each(|text| mask.text(text));
    }
    for handled in &mut case.handled {
        handled.note.iter_mut().for_each(|note| mask.text(note));
    }
    if *case == before {
        return false;
    }
    case.erased = Some(at);
    true
}

/// What must not be read any more.
#[derive(Default)]
struct Mask {
    /// The longest first: one may be a part of another.
    ids: BTreeSet<(std::cmp::Reverse<usize>, String)>,
}

impl Mask {
    fn add(&mut self, id: &str) {
        if !id.is_empty() && id != ERASED {
            self.ids.insert((std::cmp::Reverse(id.len()), id.to_owned()));
        }
    }

    fn text(&self, text: &mut String) {
        for (_, id) in &self.ids {
            if text == id {
                ERASED.clone_into(text);
            } else if id.chars().count() >= WITHIN_A_TEXT && text.contains(id.as_str()) {
                *text = text.replace(id.as_str(), ERASED);
            }
        }
    }

    fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.value(value)),
            Value::Object(members) => members.values_mut().for_each(|value| self.value(value)),
            _ => {}
        }
    }

    fn revision(&self, revision: &mut IncidentRevision) {
        let lists = [&mut revision.sessions, &mut revision.credentials, &mut revision.agents];
        lists.into_iter().flatten().for_each(|text| self.text(text));
        revision.principal.iter_mut().for_each(|principal| self.text(principal));
        self.text(&mut revision.reason);
        for change in &mut revision.changes {
            self.value(&mut change.before);
            self.value(&mut change.after);
        }
        revision.related.iter_mut().for_each(|related| self.text(&mut related.value));
        revision.handled.iter_mut().flat_map(|handled| &mut handled.note).for_each(|note| self.text(note));
    }
}
