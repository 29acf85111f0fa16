//! What the signals of one episode amount to.

use std::collections::BTreeSet;
use std::time::Duration;

use watershed_schemas::{Coverage, Mark, Origin, Plane, PlaneCoverage, PlaneScores, Severity, Timestamp, Verdict};

use super::SignalRecord;
use crate::watermark::Watermarks;

/// The judgement over a set of signals.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judgement {
    pub(super) verdict: Option<Verdict>,
    pub(super) origin: Origin,
    pub(super) scores: PlaneScores,
    pub(super) severity: Severity,
    pub(super) rules: BTreeSet<String>,
    pub(super) sessions: BTreeSet<String>,
    /// What was not whole behind any of them.
    pub(super) marks: BTreeSet<Mark>,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// Signals that were not withdrawn.
    pub(super) standing: usize,
}

/// Judges the signals of one episode. Withdrawn ones count for nothing but still hold the episode together: what was
/// merged stays merged.
pub(super) fn judge<'a>(
    signals: impl Iterator<Item = &'a SignalRecord> + Clone,
    threshold: f64,
    clock_skew: Duration,
) -> Judgement {
    let standing = signals.clone().filter(|signal| !signal.withdrawn);
    // An entity's signals are of few rules and sessions, and an incident may have thousands of signals.
    let mut by_rule: Vec<(&str, u32, PlaneScores)> = Vec::new();
    let mut session_before: Option<&str> = None;
    let mut moved: [Timestamp; 2] = [Timestamp::MAX; 2];
    let mut judgement = Judgement {
        verdict: None,
        origin: Origin::Undetermined,
        scores: PlaneScores::default(),
        severity: Severity::Info,
        rules: BTreeSet::new(),
        sessions: BTreeSet::new(),
        marks: BTreeSet::new(),
        first: Timestamp::MAX,
        last: Timestamp::MIN,
        standing: 0,
    };
    for signal in standing {
        judgement.standing += 1;
        judgement.first = judgement.first.min(signal.event_time);
        judgement.last = judgement.last.max(signal.event_time);
        judgement.severity = judgement.severity.max(signal.severity);
        judgement.marks.extend(&signal.marks);
        match by_rule.iter_mut().find(|(rule, ..)| *rule == signal.rule) {
            Some((_, count, _)) => *count += 1,
            None => by_rule.push((&signal.rule, 1, signal.weights)),
        }
        let session = signal.session_id.as_deref();
        if let Some(session) = session.filter(|_| session != session_before)
            && !judgement.sessions.contains(session)
        {
            judgement.sessions.insert(session.to_owned());
        }
        session_before = session;
        for plane in signal.plane.planes() {
            moved[plane.index()] = moved[plane.index()].min(signal.moved[plane.index()]);
        }
    }
    if judgement.standing == 0 {
        judgement.first = signals.clone().map(|signal| signal.event_time).min().unwrap_or(Timestamp::MIN);
        judgement.last = signals.map(|signal| signal.event_time).max().unwrap_or(Timestamp::MIN);
    }
    // Floats are added in one order.
    by_rule.sort_unstable_by_key(|(rule, ..)| *rule);
    judgement.rules = by_rule.iter().map(|(rule, ..)| (*rule).to_owned()).collect();
    for (_, count, weights) in by_rule {
        // A rule counts fully once, then half, a quarter, …: never more than twice its weight.
        let repeats = 2.0 - 0.5_f64.powi(i32::try_from(count.saturating_sub(1).min(40)).unwrap_or(40));
        judgement.scores.model += weights.model * repeats;
        judgement.scores.access += weights.access * repeats;
    }
    judgement.verdict = Verdict::of(judgement.scores.model >= threshold, judgement.scores.access >= threshold);
    judgement.origin = match judgement.verdict {
        Some(Verdict::ModelAbuse) => Origin::Model,
        Some(Verdict::AccessCompromise) => Origin::Access,
        _ => direction(moved, clock_skew),
    };
    judgement
}

fn direction([model, access]: [Timestamp; 2], clock_skew: Duration) -> Origin {
    if model.plus(clock_skew) < access {
        Origin::Model
    } else if access.plus(clock_skew) < model {
        Origin::Access
    } else {
        Origin::Undetermined
    }
}

/// Whether each plane was heard up to the time of the incident.
pub(super) fn coverage(watermarks: &Watermarks, last: Timestamp, silence_after: Duration) -> Coverage {
    let of = |plane: Plane| match watermarks.heard(plane) {
        Timestamp::MIN => PlaneCoverage::NeverSeen,
        heard if heard.plus(silence_after) < last => PlaneCoverage::Silent { since: heard },
        _ => PlaneCoverage::Observed,
    };
    Coverage { model: of(Plane::Model), access: of(Plane::Access) }
}
