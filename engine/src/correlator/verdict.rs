//! What the signals of one episode amount to.

use std::collections::BTreeSet;
use std::time::Duration;

use watershed_schemas::{
    Because, Contribution, FirstMoved, Mark, Origin, PlaneScores, Severity, Shared, Timestamp, Verdict,
};

use super::shares::Shares;
use super::{Settings, SignalRecord};

/// The judgement over a set of signals.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judgement {
    pub(super) verdict: Option<Verdict>,
    pub(super) origin: Origin,
    pub(super) scores: PlaneScores,
    pub(super) severity: Severity,
    /// What verdict, scores and origin were reckoned from; its rules are those of the signals, sorted.
    pub(super) because: Because,
    pub(super) sessions: BTreeSet<String>,
    /// Credentials, sessions and agents with their times.
    pub(super) shares: Shares,
    /// The principal that many share, where the signals are of such a one: the least, should there be several.
    pub(super) principal: Option<String>,
    /// What was not whole behind any of them.
    pub(super) marks: BTreeSet<Mark>,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// Signals that were not withdrawn.
    pub(super) standing: usize,
}

impl Judgement {
    fn of_nothing(settings: &Settings) -> Judgement {
        Judgement {
            verdict: None,
            origin: Origin::Undetermined,
            scores: PlaneScores::default(),
            severity: Severity::Info,
            because: Because {
                thresholds: settings.threshold,
                rules: Vec::new(),
                first_moved: FirstMoved::default(),
                clock_skew: settings.clock_skew.as_secs_f64(),
            },
            sessions: BTreeSet::new(),
            shares: Shares::default(),
            principal: None,
            marks: BTreeSet::new(),
            first: Timestamp::MAX,
            last: Timestamp::MIN,
            standing: 0,
        }
    }

    /// Ids of the rules, sorted.
    pub(super) fn rules(&self) -> impl Iterator<Item = &String> {
        self.because.rules.iter().map(|contribution| &contribution.rule)
    }

    /// The sessions, agents and credentials of one more signal.
    pub(super) fn see_names(&mut self, signal: &SignalRecord, gap: Duration) {
        if let Some(session) = &signal.session_id {
            if !self.sessions.contains(session) {
                self.sessions.insert(session.clone());
            }
            self.shares.see(Shared::Session, session, signal.event_time, gap);
        }
        for agent in &signal.agents {
            self.shares.see(Shared::Agent, agent, signal.event_time, gap);
        }
        for credential in &signal.credentials {
            self.shares.see(Shared::Credential, credential, signal.event_time, gap);
        }
    }
}

/// Judges the signals of one episode, which come in the order of their times. Withdrawn ones count for nothing but still
/// hold the episode together: what was merged stays merged.
pub(super) fn judge<'a>(signals: impl Iterator<Item = &'a SignalRecord> + Clone, settings: &Settings) -> Judgement {
    let standing = signals.clone().filter(|signal| !signal.withdrawn);
    // An entity's signals are of few rules, and an incident may have thousands of signals.
    let mut by_rule: Vec<(&str, Contribution)> = Vec::new();
    let mut moved = FirstMoved::default();
    let mut judgement = Judgement::of_nothing(settings);
    for signal in standing {
        judgement.standing += 1;
        judgement.first = judgement.first.min(signal.event_time);
        judgement.last = judgement.last.max(signal.event_time);
        judgement.severity = judgement.severity.max(signal.severity);
        judgement.marks.extend(&signal.marks);
        match by_rule.iter_mut().find(|(rule, ..)| *rule == signal.rule) {
            Some((_, rule)) => add(rule, signal),
            None => by_rule.push((&signal.rule, first_of(signal))),
        }
        judgement.see_names(signal, settings.gap);
        if let Some(apart) = &signal.apart
            && judgement.principal.as_ref().is_none_or(|least| apart < least)
        {
            judgement.principal = Some(apart.clone());
        }
        for plane in signal.plane.planes() {
            let first = match plane {
                watershed_schemas::Plane::Model => &mut moved.model,
                watershed_schemas::Plane::Access => &mut moved.access,
            };
            let time = signal.moved[plane.index()];
            *first = Some(first.map_or(time, |first| first.min(time)));
        }
    }
    if judgement.standing == 0 {
        judgement.first = signals.clone().map(|signal| signal.event_time).min().unwrap_or(Timestamp::MIN);
        judgement.last = signals.map(|signal| signal.event_time).max().unwrap_or(Timestamp::MIN);
    }
    // Numbers are added in one order.
    by_rule.sort_unstable_by_key(|(rule, ..)| *rule);
    judgement.because.rules = by_rule.into_iter().map(|(_, rule)| weighed(rule, settings.repeat_factor)).collect();
    let sum = |of: fn(&PlaneScores) -> f64| {
        rounded(judgement.because.rules.iter().map(|contribution| of(&contribution.score)).sum())
    };
    judgement.scores = PlaneScores { model: sum(|score| score.model), access: sum(|score| score.access) };
    judgement.because.first_moved = moved;
    if judgement.because.is_empty() {
        judgement.because = Because::default();
    }
    let PlaneScores { model, access } = settings.threshold;
    judgement.verdict = Verdict::of(judgement.scores.model >= model, judgement.scores.access >= access);
    judgement.origin = match judgement.verdict {
        Some(Verdict::ModelAbuse) => Origin::Model,
        Some(Verdict::AccessCompromise) => Origin::Access,
        Some(Verdict::Both) => direction(moved, settings.clock_skew),
        None => Origin::Undetermined,
    };
    judgement
}

fn first_of(signal: &SignalRecord) -> Contribution {
    Contribution {
        rule: signal.rule.clone(),
        severity: signal.severity,
        count: 1,
        weight: signal.weights,
        factor: 1.0,
        score: PlaneScores::default(),
    }
}

/// Versions of a rule may weigh differently: the heaviest counts, so that a new version takes nothing away.
fn add(rule: &mut Contribution, signal: &SignalRecord) {
    rule.count += 1;
    rule.severity = rule.severity.max(signal.severity);
    rule.weight.model = rule.weight.model.max(signal.weights.model);
    rule.weight.access = rule.weight.access.max(signal.weights.access);
}

fn weighed(rule: Contribution, repeat_factor: f64) -> Contribution {
    let factor = factor(rule.count, repeat_factor);
    let score =
        PlaneScores { model: rounded(rule.weight.model * factor), access: rounded(rule.weight.access * factor) };
    Contribution { factor, score, ..rule }
}

/// What so many signals of one rule count, the first as 1 and each further one `repeat` times the one before.
pub(super) fn factor(count: u32, repeat: f64) -> f64 {
    if repeat >= 1.0 {
        return f64::from(count);
    }
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    rounded((1.0 - repeat.powi(count)) / (1.0 - repeat))
}

/// To a millionth: what is said is what is compared, and a reader who adds up the parts comes to the sum.
fn rounded(number: f64) -> f64 {
    // An empty sum is -0.
    (number * 1e6).round() / 1e6 + 0.0
}

fn direction(moved: FirstMoved, clock_skew: Duration) -> Origin {
    match (moved.model, moved.access) {
        (Some(model), Some(access)) if model.plus(clock_skew) < access => Origin::Model,
        (Some(model), Some(access)) if access.plus(clock_skew) < model => Origin::Access,
        _ => Origin::Undetermined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_count_ever_less() {
        for (count, repeat, expected) in [
            (1, 0.5, 1.0),
            (2, 0.5, 1.5),
            (3, 0.5, 1.75),
            (10_000, 0.5, 2.0),
            (4, 0.0, 1.0),
            (4, 1.0, 4.0),
            (3, 0.1, 1.11),
        ] {
            assert!((factor(count, repeat) - expected).abs() < 1e-9, "{count} at {repeat}: {}", factor(count, repeat));
        }
    }

    #[test]
    fn moves_that_are_as_near_as_clocks_differ_say_nothing() {
        let skew = Duration::from_secs(30);
        let check = |model: Option<i64>, access: Option<i64>, expected: Origin| {
            let moved = FirstMoved { model: model.map(Timestamp::from_secs), access: access.map(Timestamp::from_secs) };
            assert_eq!(direction(moved, skew), expected, "{moved:?}");
        };
        check(Some(0), Some(31), Origin::Model);
        check(Some(0), Some(30), Origin::Undetermined);
        check(Some(60), Some(60), Origin::Undetermined);
        check(Some(91), Some(60), Origin::Access);
        check(None, Some(60), Origin::Undetermined);
    }
}
