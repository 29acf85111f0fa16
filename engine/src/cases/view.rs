//! A case as one team may see it.
//!
//! A team sees its own plane. Of the other plane it sees what its own findings rest on, and that there is more; the other team's
//! first moves are named, not how they are done. Of every event it is shown what a receiver of its own plane would be told.

use std::collections::BTreeSet;
use std::str::FromStr;

use watershed_schemas::{Case, IncidentRevision, Moment, Plane};

use crate::redact::{Event, Lens, Policy, Redaction};
use crate::router::HeldBack;

/// Who looks at a case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Viewer {
    /// Somebody who may see both planes.
    #[default]
    All,
    /// The team that owns a plane.
    Owner(Plane),
}

impl Viewer {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Viewer::All => "all",
            Viewer::Owner(plane) => plane.team(),
        }
    }
}

impl FromStr for Viewer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Viewer::All);
        }
        let plane = Plane::ALL.into_iter().find(|plane| plane.team() == text);
        plane.map(Viewer::Owner).ok_or_else(|| {
            let teams: Vec<&str> = Plane::ALL.iter().map(|plane| plane.team()).collect();
            format!("there is no team of this name; write one of {}, all", teams.join(", "))
        })
    }
}

/// What this viewer may see of a case. Whose finding a rule is follows from its weights; a rule without any is everybody's.
///
/// Columns are decided by the same policy as those of messages ([`Lens`]).
pub fn for_viewer(case: Case, viewer: Viewer, redaction: &Redaction) -> Case {
    let Viewer::Owner(own) = viewer else { return case };
    let mut case = case;
    let mut hidden = 0;
    let theirs = of_the_other(&case.incident, own);
    let principal = case.incident.principal.clone();
    let mut lens = Lens::new(Policy::of(&[own]), &redaction.key)
        .about(principal.as_deref())
        .compared(case.incident.verdict.planes().len() > 1);
    for mut moment in std::mem::take(&mut case.timeline) {
        let is_own = moment.plane == own;
        let rests = moment.moment == Moment::Evidence && moment.signals.iter().any(|(_, rule)| !theirs.contains(rule));
        if is_own || rests {
            let event = Event { plane: moment.plane, kind: &moment.kind, columns: &moment.columns, own: is_own };
            let seen = moment.columns.keys().filter_map(|column| lens.column(&event, column));
            moment.columns = seen.map(|(label, value)| (label.to_owned(), value)).collect();
            case.timeline.push(moment);
        } else {
            hidden += 1;
        }
    }
    case.timeline_omitted += hidden;
    for revision in case.revisions.iter_mut().chain([&mut case.incident]) {
        narrow(revision, &theirs);
    }
    for step in case.first_moves.iter_mut().filter(|step| step.plane != own) {
        step.how = None;
        step.object = None;
    }
    case.blast_radius = case.blast_radius.map(|radius| lens.blast_radius(&radius));
    case.withheld = lens.tally(0);
    case
}

/// Marks what of a case is held back now, as the router says.
pub fn mark_held(case: &mut Case, now: &[HeldBack]) {
    for held in now {
        let of = |said: &&mut watershed_schemas::HeldBack| said.receiver == held.receiver && said.plane == held.plane;
        if let Some(last) = case.held_back.iter_mut().rev().find(of) {
            last.lasts = true;
        }
    }
}

/// What this viewer may see of a revision.
pub fn revision_for(mut revision: IncidentRevision, viewer: Viewer) -> IncidentRevision {
    if let Viewer::Owner(own) = viewer {
        let theirs = of_the_other(&revision, own);
        narrow(&mut revision, &theirs);
    }
    revision
}

/// Rules whose findings are the other team's alone.
fn of_the_other(revision: &IncidentRevision, own: Plane) -> BTreeSet<String> {
    let theirs = revision.because.rules.iter().filter(|contribution| {
        let weights = [contribution.weight.model, contribution.weight.access];
        weights[own.index()] == 0.0 && weights[own.other().index()] != 0.0
    });
    theirs.map(|contribution| contribution.rule.clone()).collect()
}

fn narrow(revision: &mut IncidentRevision, theirs: &BTreeSet<String>) {
    revision.because.rules.retain(|contribution| !theirs.contains(&contribution.rule));
    revision.rules.retain(|rule| !theirs.contains(rule));
    revision.changes.retain(|change| !matches!(change.field.as_str(), "rules" | "because" | "sessions"));
}
