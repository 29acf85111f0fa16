//! `inhibit`: incidents that keep others quiet while they last.

use std::collections::{BTreeMap, BTreeSet};

use watershed_schemas::Plane;

use super::labels::{Label, Labels};
use super::matcher::Matcher;

/// First bytes of the keys that hold what is known of incidents that last.
pub(super) const PREFIX: &[u8] = b"n/l/";

/// While an incident lasts that the source matchers hold for, nobody is called about others that the target matchers hold for
/// and that are equal in some labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inhibition {
    /// Of the one that keeps others quiet.
    pub source: Vec<Matcher>,
    /// Of those that are kept quiet.
    pub target: Vec<Matcher>,
    /// What both have in common.
    pub equal: Vec<Label>,
}

impl Inhibition {
    fn is_source(&self, labels: &Labels) -> bool {
        self.source.iter().all(|matcher| matcher.matches(labels))
    }

    fn is_target(&self, labels: &Labels) -> bool {
        self.target.iter().all(|matcher| matcher.matches(labels))
    }

    fn common(&self, labels: &Labels) -> Vec<String> {
        self.equal.iter().map(|label| labels.text(*label)).collect()
    }
}

/// A half of an incident.
type Half = (String, Plane);

/// Which incidents last, as far as inhibitions ask for them.
#[derive(Clone, Debug, Default)]
pub(super) struct Inhibitor {
    rules: Vec<Inhibition>,
    live: BTreeMap<Half, Labels>,
    /// For each rule the sources, by what they have in common with others.
    sources: Vec<BTreeMap<Vec<String>, BTreeSet<Half>>>,
    changed: BTreeSet<Half>,
}

impl Inhibitor {
    pub(super) fn new(rules: &[Inhibition]) -> Self {
        Inhibitor { sources: vec![BTreeMap::new(); rules.len()], rules: rules.to_vec(), ..Inhibitor::default() }
    }

    /// A half lasts, and is called this; says whether something may be quiet or free because of it.
    pub(super) fn learn(&mut self, incident: &str, plane: Plane, labels: Option<&Labels>) -> bool {
        if self.rules.is_empty() {
            return false;
        }
        let half = (incident.to_owned(), plane);
        let before = self.live.remove(&half);
        if before.as_ref() == labels {
            self.live.extend(before.map(|before| (half, before)));
            return false;
        }
        for (rule, sources) in self.rules.iter().zip(&mut self.sources) {
            if let Some(before) = before.as_ref().filter(|before| rule.is_source(before)) {
                let common = rule.common(before);
                let left = sources.get_mut(&common).is_some_and(|halves| {
                    halves.remove(&half);
                    !halves.is_empty()
                });
                if !left {
                    sources.remove(&common);
                }
            }
            if let Some(labels) = labels.filter(|labels| rule.is_source(labels)) {
                sources.entry(rule.common(labels)).or_default().insert(half.clone());
            }
        }
        self.live.extend(labels.map(|labels| (half.clone(), labels.clone())));
        self.changed.insert(half);
        true
    }

    /// The incident that keeps this half quiet.
    pub(super) fn holding(&self, incident: &str, labels: &Labels) -> Option<&str> {
        for (rule, sources) in self.rules.iter().zip(&self.sources).filter(|(rule, _)| rule.is_target(labels)) {
            let both = rule.is_source(labels);
            // Two that are source and target alike must not keep each other quiet.
            let may = |half: &&Half| {
                half.0 != incident && (!both || self.live.get(*half).is_some_and(|source| !rule.is_target(source)))
            };
            if let Some(half) = sources.get(&rule.common(labels)).into_iter().flatten().find(may) {
                return Some(half.0.as_str());
            }
        }
        None
    }

    /// Pairs to write and keys to delete since the last time.
    pub(super) fn take_changes(&mut self) -> Vec<(Vec<u8>, Option<Labels>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|half| (key(&half), self.live.get(&half).cloned())).collect()
    }

    pub(super) fn is_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    pub(super) fn restore(&mut self, key: &[u8], value: &[u8]) {
        let Some((plane, incident)) = key.get(PREFIX.len()..).and_then(<[u8]>::split_first) else { return };
        let plane = Plane::ALL.into_iter().find(|known| known.name().as_bytes().first() == Some(plane));
        if let (Some(plane), Ok(incident), Ok(labels)) =
            (plane, std::str::from_utf8(incident), serde_json::from_slice::<Labels>(value))
        {
            self.learn(incident, plane, Some(&labels));
        }
    }
}

fn key((incident, plane): &Half) -> Vec<u8> {
    [PREFIX, &plane.name().as_bytes()[..1], incident.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(severity: &str, principal: &str) -> Labels {
        Labels::default().with(Label::Severity, severity).with(Label::Principal, principal)
    }

    fn inhibitor(source: &str, target: &str) -> Inhibitor {
        let matchers = |text: &str| vec![text.parse().expect("a matcher")];
        Inhibitor::new(&[Inhibition {
            source: matchers(source),
            target: matchers(target),
            equal: vec![Label::Principal],
        }])
    }

    #[test]
    fn the_graver_one_keeps_those_of_the_same_principal_quiet_while_it_lasts() {
        let mut inhibitor = inhibitor("severity=critical", "severity<=medium");
        assert!(inhibitor.learn("a", Plane::Model, Some(&labels("critical", "ada"))));
        assert!(!inhibitor.learn("a", Plane::Model, Some(&labels("critical", "ada"))), "it says nothing new");
        assert_eq!(inhibitor.holding("b", &labels("low", "ada")), Some("a"));
        assert_eq!(inhibitor.holding("b", &labels("low", "bob")), None);
        assert_eq!(inhibitor.holding("b", &labels("high", "ada")), None);
        let mut again =
            Inhibitor { rules: inhibitor.rules.clone(), sources: vec![BTreeMap::new()], ..Inhibitor::default() };
        for (key, labels) in inhibitor.take_changes() {
            again.restore(&key, &serde_json::to_vec(&labels).expect("serialises"));
        }
        assert_eq!(again.holding("b", &labels("low", "ada")), Some("a"));
        assert!(again.learn("a", Plane::Model, None));
        assert_eq!(again.holding("b", &labels("low", "ada")), None);
    }

    #[test]
    fn two_that_are_alike_never_silence_each_other() {
        let mut inhibitor = inhibitor("severity>=high", "severity>=high");
        inhibitor.learn("a", Plane::Model, Some(&labels("critical", "ada")));
        inhibitor.learn("b", Plane::Model, Some(&labels("critical", "ada")));
        assert_eq!(inhibitor.holding("a", &labels("critical", "ada")), None);
        assert_eq!(inhibitor.holding("b", &labels("critical", "ada")), None);
    }
}
