//! How far an identity reaches: what it could reach at a moment, and what it did reach in a time.
//!
//! * *Could* is read from the state tables as of the moment: credentials, sessions, scopes, roles, and who acts on its behalf.
//! * *Did* is counted over events: those behind an incident's findings, and the rows that rules still remember.
//! * What is not known is said: a plane that was never heard, versions that are folded away, credentials nobody saw issued.
//!
//! It is a function of what the core knows; lists are sorted and bounded. It is not a graph search: what an agent that acts for
//! the identity could reach with credentials of its own is not followed any further.

mod could;
mod did;
mod rows;
#[cfg(test)]
mod tests;
mod unknown;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use watershed_schemas::{BlastRadius, Timestamp};

use crate::correlator::Evidence;
use crate::evaluator::Segment;
use crate::principals::Principals;
use crate::redact::mask_reach;
use crate::registry::Registry;
use crate::state::StateTables;
use crate::watermark::Watermarks;

pub(crate) use could::Could;
pub use did::Deeds;
pub use rows::Collector;
pub(crate) use rows::{ROWS, oldest};

/// Most entries of one list.
pub const ENTRIES: usize = 64;

/// What is known, and by whom.
pub(crate) struct Knowledge<'a> {
    pub(crate) principals: &'a Principals,
    pub(crate) state: &'a StateTables,
    pub(crate) registry: &'a Registry,
    pub(crate) watermarks: &'a Watermarks,
    /// For each plane the earliest event that was accepted.
    pub(crate) since: [Option<Timestamp>; 2],
}

/// Whose reach is asked for, and of when.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The organisation.
    pub tenant: String,
    /// Any id of the identity; none where only sessions are known.
    pub principal: Option<String>,
    /// Its sessions, beside those that are known of it.
    pub sessions: BTreeSet<String>,
    /// Its credentials, beside those that are known of it.
    pub credentials: BTreeSet<String>,
    /// As of when.
    pub at: Timestamp,
    /// The time in which it did something.
    pub did: RangeInclusive<Timestamp>,
}

/// A reach, and what only the playbook needs of it.
#[derive(Clone, Debug)]
pub(crate) struct Reaches {
    pub(crate) radius: BlastRadius,
    /// Credentials and sessions that were known to be over.
    pub(crate) over: BTreeSet<String>,
}

/// How far a subject reaches. `segments` are the rows that are remembered, of which no more are looked at than the budget says;
/// `evidence` the events behind its findings.
pub(crate) fn reach(
    subject: &Subject,
    knowledge: &Knowledge<'_>,
    segments: &[Arc<Segment>],
    evidence: &[&Evidence],
    budget: &mut u64,
) -> Reaches {
    let could = Could::of(subject, knowledge);
    let mut deeds = could.deeds(subject);
    evidence.iter().for_each(|evidence| deeds.evidence(evidence));
    let left_out = deeds.remembered(segments, budget);
    told(subject, knowledge, could, &deeds, Some(left_out))
}

/// The same where what was done is told by `deeds`, made by [`Could::deeds`]; `left_out` is absent where they have seen all.
pub(crate) fn told(
    subject: &Subject,
    knowledge: &Knowledge<'_>,
    could: Could,
    deeds: &Deeds,
    left_out: Option<did::LeftOut>,
) -> Reaches {
    let unknown = unknown::unknown(subject, knowledge, &could, deeds, left_out);
    let over = could.over.clone();
    let principal = could.principal.clone();
    let (did, more) = deeds.reached();
    let mut reach = could.reach(deeds);
    reach.omitted = reach.omitted.saturating_add(more);
    let mut radius = BlastRadius { principal, at: subject.at, could: reach, did, unknown };
    mask_reach(&mut radius);
    Reaches { radius, over }
}
