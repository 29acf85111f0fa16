//! What each plane's team is told of an incident.

use serde::{Deserialize, Serialize};
use watershed_schemas::{
    BlastRadius, FirstMove, IncidentRevision, IncidentStatus, NotifyReason, Plane, Severity, Verdict,
};

use super::SignalRecord;
use super::incident::{Incident, Scene};

/// Most signals that a telling carries, of its own plane.
pub const TOLD_SIGNALS: usize = 64;

/// Something that a plane's team must be told about an incident.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Telling {
    /// The revision that it is about.
    pub incident: IncidentRevision,
    /// Whose team.
    pub plane: Plane,
    /// Why.
    pub reason: NotifyReason,
    /// The standing signals of the incident, oldest first, bounded.
    pub signals: Vec<SignalRecord>,
    /// How far the incident reaches, where it is known.
    pub blast_radius: Option<BlastRadius>,
    /// What to do first, on both planes, in the order that the origin demands.
    pub first_moves: Vec<FirstMove>,
}

/// What a plane's team knows of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    verdict: Verdict,
    severity: Severity,
    over: bool,
}

/// The standing signals of one plane.
fn of_plane<'a>(records: &[&'a SignalRecord], plane: Plane) -> Vec<&'a SignalRecord> {
    let own = |record: &&SignalRecord| !record.withdrawn && record.plane.planes().contains(&plane);
    records.iter().copied().filter(own).collect()
}

impl Incident {
    /// Decides what each plane's team has to hear of the last revision.
    pub(super) fn tell(&mut self, records: &[&SignalRecord], scene: &mut Scene<'_>) {
        let Some(last) = self.last.clone() else { return };
        for plane in Plane::ALL {
            let told = self.told[plane.index()];
            let own = of_plane(records, plane);
            // How bad it is for this team: what the other plane's signals add is not its news.
            let severity = own.iter().map(|record| record.severity).max().unwrap_or(last.severity);
            let stands = matches!(last.status, IncidentStatus::Open | IncidentStatus::Acknowledged);
            let inside = stands && last.verdict.planes().contains(&plane);
            let reason = match told {
                None if inside => NotifyReason::Opened,
                None => continue,
                Some(told) if inside && told.over => NotifyReason::Opened,
                Some(told) if inside && last.verdict == Verdict::Both && told.verdict != Verdict::Both => {
                    NotifyReason::VerdictGrew
                }
                Some(told) if inside && severity > told.severity => NotifyReason::SeverityRose,
                Some(_) if inside => continue,
                Some(told) if told.over => continue,
                Some(_) if stands || last.status == IncidentStatus::Withdrawn => NotifyReason::Withdrawn,
                Some(_) => NotifyReason::Resolved,
            };
            let severity = told.map_or(severity, |told| told.severity.max(severity));
            self.told[plane.index()] = Some(Told { verdict: last.verdict, severity, over: !inside });
            push(&last, plane, reason, &own, scene);
        }
    }

    /// Tells that a person has closed it. Who has heard that it is over hears as what: a disposition is kept elsewhere too.
    pub(super) fn tell_closed(&mut self, records: &[&SignalRecord], scene: &mut Scene<'_>) {
        let told = self.told;
        self.tell(records, scene);
        let Some(last) = &self.last else { return };
        for plane in last.verdict.planes() {
            if told[plane.index()].is_some_and(|told| told.over) {
                push(last, *plane, NotifyReason::Resolved, &of_plane(records, *plane), scene);
            }
        }
    }

    /// Tells those who know of it that somebody has taken it.
    pub(super) fn tell_acknowledged(&self, records: &[&SignalRecord], scene: &mut Scene<'_>) {
        let Some(last) = &self.last else { return };
        for plane in last.verdict.planes() {
            if self.told[plane.index()].is_some_and(|told| !told.over) {
                push(last, *plane, NotifyReason::Acknowledged, &of_plane(records, *plane), scene);
            }
        }
    }
}

fn push(last: &IncidentRevision, plane: Plane, reason: NotifyReason, own: &[&SignalRecord], scene: &mut Scene<'_>) {
    scene.correlated.tellings.push(Telling {
        incident: last.clone(),
        plane,
        reason,
        signals: own.iter().take(TOLD_SIGNALS).map(|record| (*record).clone()).collect(),
        blast_radius: None,
        first_moves: Vec::new(),
    });
}
