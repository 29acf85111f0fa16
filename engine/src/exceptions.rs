//! Findings that are known and allowed, for a time: they are written, and make no incident.
//!
//! Whether a finding is excepted depends on what it says and when it happened, never on when it is looked at, so that a replay
//! excepts what production did.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use watershed_schemas::{Mark, Signal, Timestamp};

/// What is allowed, who says so, why, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Ids of the rules; all where it is empty.
    pub rules: BTreeSet<String>,
    /// What a finding must say, by output column: one of these values, in all columns at once.
    pub matches: BTreeMap<String, BTreeSet<String>>,
    /// Who answers for it.
    pub author: String,
    /// Why it is allowed.
    pub reason: String,
    /// What happens from then on, in event time, is a finding again.
    pub until: Timestamp,
}

impl Exception {
    fn covers(&self, signal: &Signal) -> bool {
        (self.rules.is_empty() || self.rules.contains(&signal.rule))
            && signal.event_time < self.until
            && !self.matches.is_empty()
            && self
                .matches
                .iter()
                .all(|(column, values)| said(signal, column).is_some_and(|text| values.contains(&*text)))
    }
}

/// What the signal has in this output column, as text.
fn said<'a>(signal: &'a Signal, column: &str) -> Option<std::borrow::Cow<'a, str>> {
    let own = match column {
        "tenant" => Some(signal.tenant.as_str()),
        "principal" => signal.principal.as_deref(),
        "session_id" => signal.session_id.as_deref(),
        _ => None,
    };
    own.map(Into::into).or_else(|| match signal.key.get(column).or_else(|| signal.details.get(column))? {
        Value::Null => None,
        Value::String(text) => Some(text.as_str().into()),
        other => Some(other.to_string().into()),
    })
}

/// All exceptions, with how often each was used.
#[derive(Clone, Debug, Default)]
pub struct Exceptions {
    all: Vec<(Exception, u64)>,
}

impl Exceptions {
    /// These, used by nobody yet.
    pub fn new(all: Vec<Exception>) -> Self {
        Exceptions { all: all.into_iter().map(|exception| (exception, 0)).collect() }
    }

    /// Marks the signal where one of them covers it; the first is counted.
    pub fn mark(&mut self, signal: &mut Signal) {
        if let Some((_, used)) = self.all.iter_mut().find(|(exception, _)| exception.covers(signal)) {
            signal.marks.insert(Mark::Excepted);
            *used += u64::from(signal.revision == 1 && !signal.withdrawn);
        }
    }

    /// Each with how many findings it has covered since the start.
    pub fn used(&self) -> impl Iterator<Item = (&Exception, u64)> {
        self.all.iter().map(|(exception, used)| (exception, *used))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use watershed_schemas::{RulePlane, Severity, SignalReason};

    use super::*;

    fn signal(at: i64, tool: &str) -> Signal {
        Signal {
            signal_id: "s".to_owned(),
            rule: "r".to_owned(),
            rule_version: "v".to_owned(),
            plane: RulePlane::Model,
            severity: Severity::High,
            tenant: "acme".to_owned(),
            principal: Some("ana".to_owned()),
            session_id: None,
            event_time: Timestamp::from_secs(at),
            key: json!({"tool_event_id": "e"}).as_object().cloned().unwrap_or_default(),
            details: json!({"tool": tool, "calls": 7}).as_object().cloned().unwrap_or_default(),
            evidence: Vec::new(),
            revision: 1,
            withdrawn: false,
            reason: SignalReason::Found,
            marks: BTreeSet::new(),
        }
    }

    fn exception(rules: &[&str], matches: &[(&str, &[&str])]) -> Exception {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Exception {
            rules: texts(rules),
            matches: matches.iter().map(|(column, values)| ((*column).to_owned(), texts(values))).collect(),
            author: "ana".to_owned(),
            reason: "a test".to_owned(),
            until: Timestamp::from_secs(100),
        }
    }

    #[test]
    fn covers_what_it_says_and_nothing_else() {
        let covers = |rules: &[&str], matches: &[(&str, &[&str])]| exception(rules, matches).covers(&signal(99, "a"));
        assert!(covers(&[], &[("principal", &["ana", "ben"]), ("tool", &["a"])]));
        assert!(covers(&["r"], &[("calls", &["7"])]), "numbers are compared as they are written");
        assert!(!covers(&["other"], &[("principal", &["ana"])]), "another rule");
        assert!(!covers(&["r"], &[("principal", &["ana"]), ("tool", &["b"])]), "one column differs");
        assert!(!covers(&["r"], &[("session_id", &[""])]), "what is absent equals nothing");
        assert!(!covers(&["r"], &[("nosuch", &["x"])]));
        assert!(!covers(&["r"], &[]), "an exception of everything is none");
    }

    #[test]
    fn ends_by_the_time_of_the_event_and_counts_each_finding_once() {
        let mut exceptions = Exceptions::new(vec![exception(&[], &[("tool", &["a"])])]);
        let mut marked = |mut signal: Signal| {
            exceptions.mark(&mut signal);
            signal.marks.contains(&Mark::Excepted)
        };
        assert!(marked(signal(99, "a")));
        assert!(!marked(signal(100, "a")), "the end is not in it");
        assert!(marked(Signal { revision: 2, ..signal(99, "a") }));
        assert_eq!(exceptions.used().map(|(_, used)| used).collect::<Vec<_>>(), [1]);
    }
}
