//! A case as one team may see it.
//!
//! A team sees its own plane in full. Of the other plane it sees what its own findings rest on, without texts, addresses and devices,
//! and that there is more; the other team's first moves are named, not how they are done.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use watershed_schemas::{Case, Moment, Plane, TimelineEntry};

/// Who looks at a case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Viewer {
    /// Somebody who may see both planes.
    #[default]
    All,
    /// The team that owns a plane.
    Owner(Plane),
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

/// Columns of the other plane that a team may see: what was done, never with what or from where.
fn shared(plane: Plane) -> &'static [&'static str] {
    match plane {
        Plane::Model => &["tool", "agent_id", "agent_name", "credential_id", "outcome", "verdict", "category"],
        Plane::Access => &["credential_id", "credential_type", "grant_type", "client_id", "outcome", "risk"],
    }
}

/// What this viewer may see of a case. Whose finding a rule is follows from its weights; a rule without any is everybody's.
pub fn for_viewer(case: Case, viewer: Viewer) -> Case {
    let Viewer::Owner(own) = viewer else { return case };
    let mut case = case;
    let mut hidden = 0;
    let weights: BTreeMap<String, [f64; 2]> = case
        .incident
        .because
        .rules
        .iter()
        .map(|rule| (rule.rule.clone(), [rule.weight.model, rule.weight.access]))
        .collect();
    let concerns = |rule: &str| {
        weights.get(rule).is_none_or(|weights| weights[own.index()] != 0.0 || weights[own.other().index()] == 0.0)
    };
    let timeline = std::mem::take(&mut case.timeline);
    for mut moment in timeline {
        if moment.plane == own {
            case.timeline.push(moment);
        } else if moment.moment == Moment::Evidence && moment.signals.iter().any(|(_, rule)| concerns(rule)) {
            moment.columns = of_the_other(&moment);
            case.timeline.push(moment);
        } else {
            hidden += 1;
        }
    }
    case.timeline_omitted += hidden;
    let still: BTreeSet<String> =
        case.timeline.iter().flat_map(|moment| &moment.columns).map(|(_, value)| value.clone()).collect();
    for revision in case.revisions.iter_mut().chain([&mut case.incident]) {
        revision.because.rules.retain(|contribution| concerns(&contribution.rule));
        revision.rules.retain(|rule| concerns(rule));
        revision.changes.retain(|change| !matches!(change.field.as_str(), "rules" | "because" | "sessions"));
    }
    for step in case.first_moves.iter_mut().filter(|step| step.plane != own) {
        step.how = None;
        if step.object.as_ref().is_some_and(|object| !still.contains(object)) {
            step.object = None;
        }
    }
    if let Some(radius) = &mut case.blast_radius {
        match own {
            Plane::Model => {
                radius.could.sessions.clear();
                radius.could.roles.clear();
            }
            Plane::Access => radius.did.retain(|reached| reached.what != "target" && reached.what != "data"),
        }
    }
    case
}

fn of_the_other(moment: &TimelineEntry) -> BTreeMap<String, String> {
    let shared = shared(moment.plane);
    let shown = moment.columns.iter().filter(|(name, _)| shared.contains(&name.as_str()));
    shown.map(|(name, value)| (name.clone(), value.clone())).collect()
}
