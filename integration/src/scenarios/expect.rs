//! What a team must know of an incident, and by when.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use watershed_schemas::{IncidentRevision, IncidentStatus, NotifyReason, Origin, Severity, Timestamp, Verdict};

use super::offset::moment;

/// Whom an incident is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whom {
    /// A principal.
    Principal(String),
    /// A session of nobody known.
    Session(String),
}

impl Whom {
    /// Whom an incident is about.
    pub fn of(incident: &IncidentRevision) -> Whom {
        match (&incident.principal, incident.sessions.first()) {
            (Some(principal), _) => Whom::Principal(principal.clone()),
            (None, session) => Whom::Session(session.cloned().unwrap_or_default()),
        }
    }
}

impl std::fmt::Display for Whom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Whom::Principal(principal) => write!(f, "{principal}"),
            Whom::Session(session) => write!(f, "session {session}"),
        }
    }
}

/// Whether a plane was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// Up to the incident.
    Observed,
    /// Behind it.
    Lagging,
    /// Not any more.
    Silent,
    /// Never.
    NeverSeen,
}

/// One entry of `expect`.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Its line.
    pub line: u64,
    /// The moment at which it must be so.
    pub by: Timestamp,
    /// The moment before which nobody may have been told.
    pub not_before: Option<Timestamp>,
    /// Whom the incident is about.
    pub whom: Whom,
    /// Which of them, where there are several: 1 for the first.
    pub number: usize,
    /// Where it stands.
    pub status: IncidentStatus,
    /// The verdict.
    pub verdict: Option<Verdict>,
    /// Which plane moved first.
    pub origin: Option<Origin>,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// Whether the model and the access plane were heard.
    pub coverage: Option<[Seen; 2]>,
    /// The rules that found something: all of them.
    pub rules: Option<BTreeSet<String>>,
    /// What each receiver has been told by then, in order; who isn't named has been told nothing.
    pub told: BTreeMap<String, Vec<NotifyReason>>,
    /// Words that a receiver must read somewhere in what it was told.
    pub reads: BTreeMap<String, Vec<String>>,
    /// Whom the incidents are about that the last message to a receiver lists, the gravest first.
    pub lists: BTreeMap<String, Vec<String>>,
    /// Principals of the incidents that it names as related.
    pub related: Option<BTreeSet<String>>,
    /// Which incident about the same it goes on from, where that lasted as long as it may.
    pub continues: Option<usize>,
    /// Which incident about the same it was merged into.
    pub into: Option<usize>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawExpected {
    by: String,
    #[serde(default)]
    not_before: Option<String>,
    #[serde(default)]
    incident: Option<String>,
    #[serde(default)]
    session: Option<String>,
    #[serde(default)]
    number: Option<usize>,
    #[serde(default)]
    status: Option<IncidentStatus>,
    #[serde(default)]
    verdict: Option<Verdict>,
    #[serde(default)]
    origin: Option<Origin>,
    #[serde(default)]
    severity: Option<Severity>,
    #[serde(default)]
    coverage: Option<RawCoverage>,
    #[serde(default)]
    rules: Option<BTreeSet<String>>,
    #[serde(default)]
    told: BTreeMap<String, Reasons>,
    /// Whether nobody is told of it.
    #[serde(default)]
    nobody: bool,
    #[serde(default)]
    reads: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    lists: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    related: Option<BTreeSet<String>>,
    #[serde(default)]
    continues: Option<usize>,
    #[serde(default)]
    into: Option<usize>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCoverage {
    model: Seen,
    access: Seen,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Reasons {
    One(NotifyReason),
    More(Vec<NotifyReason>),
}

impl RawExpected {
    /// The entry, with everything that is missing or contradicts itself.
    pub(super) fn read(self, line: u64, first_of: &mut BTreeSet<(Whom, usize)>) -> Result<Expected, Vec<String>> {
        let mut faults = Vec::new();
        let mut time = |text: &str| {
            moment(text).unwrap_or_else(|fault| {
                faults.push(fault);
                Timestamp::MIN
            })
        };
        let by = time(&self.by);
        let not_before = self.not_before.as_deref().map(&mut time);
        let whom = match (self.incident, self.session) {
            (Some(principal), None) => Whom::Principal(principal),
            (None, Some(session)) => Whom::Session(session),
            _ => {
                faults.push("say whom it is about: `incident: <principal>`, or `session: <id>`".to_owned());
                Whom::Principal(String::new())
            }
        };
        let number = self.number.unwrap_or(1);
        let first = first_of.insert((whom.clone(), number));
        if first && self.status.is_none_or(|status| status == IncidentStatus::Open) {
            for (what, given) in [
                ("verdict", self.verdict.is_some()),
                ("origin", self.origin.is_some()),
                ("severity", self.severity.is_some()),
                ("coverage", self.coverage.is_some()),
                ("rules", self.rules.is_some()),
            ] {
                if !given {
                    faults.push(format!("the first word on an incident must say its `{what}`"));
                }
            }
        }
        let reasons = |reasons: Reasons| match reasons {
            Reasons::One(reason) => vec![reason],
            Reasons::More(reasons) => reasons,
        };
        let told: BTreeMap<String, Vec<NotifyReason>> =
            self.told.into_iter().map(|(receiver, told)| (receiver, reasons(told))).collect();
        match (told.is_empty() || told.values().any(Vec::is_empty), self.nobody) {
            (true, false) => faults.push(
                "`told` must say who hears of it, and at least one reason for each; write `nobody: true` where nobody does"
                    .to_owned(),
            ),
            (false, true) => faults.push("`nobody: true` and `told` contradict each other".to_owned()),
            _ => {}
        }
        if let Some(unheard) = self.reads.keys().chain(self.lists.keys()).find(|receiver| !told.contains_key(*receiver))
        {
            faults.push(format!("`{unheard}` can't read anything: it is not `told`"));
        }
        if self.into.is_some() != (self.status == Some(IncidentStatus::Merged)) {
            faults.push("what is `merged` says `into` which incident, and nothing else does".to_owned());
        }
        if not_before.is_some_and(|not_before| not_before > by) {
            faults.push("`not_before` is after `by`".to_owned());
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Expected {
            line,
            by,
            not_before,
            whom,
            number,
            status: self.status.unwrap_or(IncidentStatus::Open),
            verdict: self.verdict,
            origin: self.origin,
            severity: self.severity,
            coverage: self.coverage.map(|coverage| [coverage.model, coverage.access]),
            rules: self.rules,
            told,
            reads: self.reads,
            lists: self.lists,
            related: self.related,
            continues: self.continues,
            into: self.into,
        })
    }
}

impl Expected {
    /// Everything that was said by then: what is not said anew holds as before.
    #[must_use]
    pub(super) fn then(self, later: &Expected) -> Expected {
        let later = later.clone();
        Expected {
            verdict: later.verdict.or(self.verdict),
            origin: later.origin.or(self.origin),
            severity: later.severity.or(self.severity),
            coverage: later.coverage.or(self.coverage),
            rules: later.rules.or(self.rules),
            reads: self.reads.into_iter().chain(later.reads).collect(),
            related: later.related.or(self.related),
            continues: later.continues.or(self.continues),
            ..later
        }
    }

    /// What it says without its line and times, to be compared with a twin's.
    pub(super) fn gist(&self) -> Value {
        serde_json::json!([
            self.whom.to_string(),
            self.number,
            self.status,
            self.verdict,
            self.origin,
            self.severity,
            self.coverage.map(|coverage| coverage.map(|seen| format!("{seen:?}"))),
            self.rules,
            self.told,
            self.lists,
            self.related,
            self.continues,
        ])
    }
}
