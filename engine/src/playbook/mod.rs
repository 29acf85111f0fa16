//! What to do first, on each plane, as concretely as the evidence allows.
//!
//! A plane in the verdict has steps, a plane that is not has none. What a rule says in its own words comes first, for its author
//! knew what it finds; then the steps of the table in `plays` with the ids that the evidence names. Which plane begins follows from
//! the incident's origin ([`sequence`]). It is a function of what it is given, and it orders nobody: it says where to begin.

mod objects;
mod plays;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use watershed_schemas::{FirstMove, Move, Origin, Plane, Verdict};

use crate::correlator::SignalRecord;
use crate::registry::Registry;

use objects::Objects;
pub(crate) use plays::{Object, PLAYS, Play, When};

/// Most rules that are quoted for one plane.
const RULES: usize = 3;
/// Steps with ids that are named in one line.
const IN_A_LINE: usize = 2;

/// What the steps are read from.
pub(crate) struct Scene<'a> {
    pub(crate) verdict: Verdict,
    pub(crate) origin: Origin,
    /// What the identity is called, where it is known.
    pub(crate) principal: Option<&'a str>,
    /// Standing signals of both planes.
    pub(crate) signals: &'a [&'a SignalRecord],
    /// What a rule says in its own words for a plane.
    pub(crate) says: &'a dyn Fn(&str, Plane) -> Option<String>,
    pub(crate) registry: &'a Registry,
    /// Credentials and sessions that are known to be over.
    pub(crate) over: &'a BTreeSet<String>,
}

/// The planes in the order in which they are to be dealt with. The plane that moved first is where the other one's trouble comes
/// from. Where that can't be told, access begins: one revoked credential takes from an agent what it acts with, and is done
/// sooner than finding out what an agent was made to believe.
pub fn sequence(origin: Origin) -> [Plane; 2] {
    match origin {
        Origin::Model => [Plane::Model, Plane::Access],
        Origin::Access | Origin::Undetermined => [Plane::Access, Plane::Model],
    }
}

/// The steps of all planes in the verdict, the first of all first.
pub(crate) fn first_moves(scene: &Scene<'_>) -> Vec<FirstMove> {
    let planes = sequence(scene.origin).into_iter().filter(|plane| scene.verdict.planes().contains(plane));
    let mut moves: Vec<FirstMove> = planes.flat_map(|plane| of_plane(plane, scene)).collect();
    for (order, step) in (1..).zip(&mut moves) {
        step.order = order;
    }
    moves
}

fn of_plane(plane: Plane, scene: &Scene<'_>) -> Vec<FirstMove> {
    let mut moves = in_words(plane, scene);
    let objects = Objects::of(plane, scene);
    let plays = || PLAYS.iter().filter(|play| play.plane == plane);
    let concrete: Vec<FirstMove> = plays().flat_map(|play| steps(play, &objects, scene)).collect();
    if concrete.is_empty() {
        // The evidence names nothing: what is to be done is said all the same.
        let first = plays().next();
        moves.extend(first.map(|play| step(play, None, None)));
    }
    moves.extend(concrete);
    moves
}

/// What the rules of a plane's worst signals say, each once.
fn in_words(plane: Plane, scene: &Scene<'_>) -> Vec<FirstMove> {
    let mut own: Vec<&&SignalRecord> =
        scene.signals.iter().filter(|signal| signal.plane.planes().contains(&plane)).collect();
    own.sort_by(|a, b| {
        let by = |signal: &SignalRecord| (std::cmp::Reverse(signal.severity), signal.event_time);
        by(a).cmp(&by(b)).then_with(|| a.signal_id.cmp(&b.signal_id))
    });
    let mut quoted = BTreeSet::new();
    let said = own.into_iter().filter_map(|signal| {
        let text = (scene.says)(&signal.rule, plane)?;
        quoted.insert(signal.rule.as_str()).then(|| FirstMove {
            plane,
            order: 0,
            action: Move::AsTheRuleSays,
            object: None,
            text,
            how: None,
            rule: Some(signal.rule.clone()),
        })
    });
    said.take(RULES).collect()
}

fn steps(play: &Play, objects: &Objects<'_>, scene: &Scene<'_>) -> Vec<FirstMove> {
    if !objects.is_time_for(play.when) {
        return Vec::new();
    }
    let named = objects.named(play.object).into_iter().take(play.most);
    named.map(|named| step(play, Some(&named), how(play, &named, objects, scene.registry))).collect()
}

fn step(play: &Play, object: Option<&str>, how: Option<String>) -> FirstMove {
    let text = match object {
        Some(object) => play.text.replace("{}", object),
        None => play.unnamed.to_owned(),
    };
    FirstMove {
        plane: play.plane,
        order: 0,
        action: play.action,
        object: object.map(str::to_owned),
        text,
        how,
        rule: None,
    }
}

/// How it is done here, as the registry has it.
fn how(play: &Play, object: &str, objects: &Objects<'_>, registry: &Registry) -> Option<String> {
    let agent = |id: &str| registry.agents.get(id);
    match play.action {
        Move::PauseAgent => agent(object).and_then(|agent| agent.pause_path.clone().or(agent.revocation_path.clone())),
        Move::RevokeCredential => {
            objects.agents_with(object).find_map(|id| agent(id).and_then(|agent| agent.revocation_path.clone()))
        }
        Move::DisableTool => registry.disable_path.get(object).cloned(),
        Move::QuarantineSession | Move::EndSession | Move::DisableAccount | Move::AsTheRuleSays => None,
    }
}

/// A plane's first steps in one line. `seen` says whether the reader may see what the evidence names.
pub fn line(moves: &[FirstMove], plane: Plane, seen: bool) -> String {
    let own = || moves.iter().filter(|step| step.plane == plane);
    let said = own().find(|step| step.action == Move::AsTheRuleSays).map(|step| step.text.as_str());
    let concrete = own().filter(|step| seen && step.action != Move::AsTheRuleSays).take(IN_A_LINE);
    let concrete = concrete.map(|step| step.text.as_str()).collect::<Vec<_>>().join(" and ");
    let named = own().any(|step| step.object.is_some());
    match (said, concrete.is_empty() || !named) {
        (Some(said), true) => said.to_owned(),
        (Some(said), false) => format!("{said} Here: {concrete}"),
        (None, false) => concrete,
        (None, true) => in_general(plane).to_owned(),
    }
}

/// The first step of a plane where nothing is known of it.
fn in_general(plane: Plane) -> &'static str {
    match plane {
        Plane::Model => "pause the agent and quarantine its session",
        Plane::Access => "revoke the credential and end the sessions of its owner",
    }
}
