//! Histories of incidents as the correlator tells them, from dice.

use std::collections::BTreeMap;

use proptest::prelude::*;
use watershed_schemas::{IncidentRevision, IncidentStatus, NotifyReason, Plane, Severity, Verdict};

use super::{acknowledged, revision, telling};
use crate::correlator::Telling;

/// What happens next.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// Nothing, for so many seconds.
    Wait(i64),
    /// Something about an incident.
    Move(u8, Move),
    /// Somebody silences a principal for so many seconds.
    Silence(u8, i64),
    /// The program is started again.
    Restart,
}

/// What happens to an incident.
#[derive(Clone, Copy, Debug)]
pub(super) enum Move {
    /// It opens on a plane, or the other plane joins.
    Join(Plane),
    Rise,
    Acknowledge,
    /// The evidence of a plane is withdrawn.
    Withdraw(Plane),
    Resolve,
    /// A person says of what is over what it was.
    Judge,
}

pub(super) fn events(silences: bool) -> impl Strategy<Value = Vec<Event>> {
    let plane = || prop::sample::select(Plane::ALL.to_vec());
    let moves = prop_oneof![
        4 => plane().prop_map(Move::Join),
        3 => Just(Move::Rise),
        1 => Just(Move::Acknowledge),
        1 => plane().prop_map(Move::Withdraw),
        2 => Just(Move::Resolve),
        1 => Just(Move::Judge),
    ];
    let silence = if silences { 1 } else { 0 };
    let event = prop_oneof![
        8 => (0..4_u8, moves).prop_map(|(incident, what)| Event::Move(incident, what)),
        4 => (1..90_i64).prop_map(Event::Wait),
        1 => (600..4_000_i64).prop_map(Event::Wait),
        silence => (0..4_u8, 1..2_000_i64).prop_map(|(incident, seconds)| Event::Silence(incident, seconds)),
        1 => Just(Event::Restart),
    ];
    prop::collection::vec(event, 1..40)
}

/// An incident as it stands.
#[derive(Clone, Debug)]
struct Standing {
    last: IncidentRevision,
    inside: [bool; 2],
    /// What was inside when it was resolved.
    ended: [bool; 2],
}

/// All incidents as they stand, and which of their halves were to be told.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    incidents: BTreeMap<u8, Standing>,
    /// Halves that opened and were never withdrawn: somebody must hear of each.
    pub(super) news: Vec<(String, Plane)>,
}

impl World {
    /// What the correlator tells of this.
    pub(super) fn act(&mut self, number: u8, what: Move) -> Vec<Telling> {
        let id = format!("inc{number}");
        let fresh = || Standing {
            last: revision(&id, 0, Verdict::Both, Severity::Info),
            inside: [false; 2],
            ended: [false; 2],
        };
        let mut standing = self.incidents.remove(&number).unwrap_or_else(fresh);
        let before = standing.inside;
        let open = before.contains(&true);
        let mut reasons: Vec<(Plane, NotifyReason)> = Vec::new();
        let others = |inside: [bool; 2]| Plane::ALL.into_iter().filter(move |plane| inside[plane.index()]);
        match what {
            Move::Join(plane) if !before[plane.index()] => {
                reasons.extend(others(before).map(|other| (other, NotifyReason::VerdictGrew)));
                reasons.push((plane, NotifyReason::Opened));
                standing.inside[plane.index()] = true;
                if !open {
                    standing.last.status = IncidentStatus::Open;
                }
                self.news.push((id.clone(), plane));
            }
            Move::Rise if open && standing.last.severity < Severity::Critical => {
                standing.last.severity = worse(standing.last.severity);
                reasons.extend(others(before).map(|plane| (plane, NotifyReason::SeverityRose)));
            }
            Move::Acknowledge if open => {
                standing.last = IncidentRevision { revision: standing.last.revision, ..acknowledged(&standing.last) };
                reasons.extend(others(before).map(|plane| (plane, NotifyReason::Acknowledged)));
            }
            Move::Withdraw(plane) if before[plane.index()] => {
                standing.inside[plane.index()] = false;
                reasons.push((plane, NotifyReason::Withdrawn));
                self.news.retain(|(told, of)| (told, *of) != (&id, plane));
            }
            Move::Resolve if open => {
                (standing.inside, standing.ended) = ([false; 2], before);
                standing.last.status = IncidentStatus::Resolved;
                reasons.extend(others(before).map(|plane| (plane, NotifyReason::Resolved)));
            }
            Move::Judge if !open && standing.ended.contains(&true) => {
                standing.last.status = IncidentStatus::Closed;
                reasons.extend(others(standing.ended).map(|plane| (plane, NotifyReason::Resolved)));
            }
            _ => {}
        }
        if !reasons.is_empty() {
            standing.last.revision += 1;
            let [model, access] = standing.inside;
            standing.last.verdict = Verdict::of(model, access).unwrap_or(standing.last.verdict);
        }
        reasons.sort_by_key(|(plane, _)| *plane);
        let told = reasons.into_iter().map(|(plane, reason)| telling(&standing.last, plane, reason)).collect();
        self.incidents.insert(number, standing);
        told
    }

    /// Halves that last.
    pub(super) fn lasting(&self) -> Vec<(String, Plane)> {
        let each = self.incidents.iter().flat_map(|(number, standing)| {
            let inside = Plane::ALL.into_iter().filter(|plane| standing.inside[plane.index()]);
            inside.map(move |plane| (format!("inc{number}"), plane))
        });
        each.collect()
    }
}

fn worse(severity: Severity) -> Severity {
    match severity {
        Severity::Info => Severity::Low,
        Severity::Low => Severity::Medium,
        Severity::Medium => Severity::High,
        Severity::High | Severity::Critical => Severity::Critical,
    }
}
