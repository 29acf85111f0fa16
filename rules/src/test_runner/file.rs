//! `<rule_id>.test.yaml`: reading it, and refusing what proves nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use serde_saphyr::Spanned;
use watershed_schemas::{Timestamp, Verdict};

use super::TestEvent;
use super::event::{Defaults, RuleTests, expand};
use super::time::moment;
use crate::front_matter::RuleMeta;
use crate::timeline::Dialect;

/// What relative times count from where a file names no start: a Monday morning.
const DEFAULT_START: &str = "2026-03-02T09:00:00Z";

/// A place in a test file that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}: {message}", path = .path.display())]
pub struct TestFileError {
    /// The file.
    pub path: PathBuf,
    /// The line, counted from 1.
    pub line: u64,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// The tests of one rule.
#[derive(Clone, Debug)]
pub struct TestFile {
    /// Where they were read from; for messages.
    pub path: PathBuf,
    /// The cases, in the order of the file.
    pub cases: Vec<TestCase>,
}

/// A timeline and what must come of it.
#[derive(Clone, Debug)]
pub struct TestCase {
    /// What it proves.
    pub name: String,
    /// The line on which it begins.
    pub line: u64,
    /// Its events, in the order of arrival.
    pub timeline: Vec<TestEvent>,
    /// What must come of them.
    pub expect: Expectation,
}

/// What must come of a timeline.
#[derive(Clone, Debug, Default)]
pub struct Expectation {
    /// The signals of the rule: all of them, in their last state. Empty: none at all.
    pub signals: Vec<ExpectedSignal>,
    /// The verdict of every incident.
    pub verdict: Option<Verdict>,
    /// The teams that own the incidents, sorted.
    pub owners: Option<Vec<String>>,
}

/// One signal that must come. What is `None` or absent isn't compared.
#[derive(Clone, Debug)]
pub struct ExpectedSignal {
    /// The line that says so.
    pub line: u64,
    /// The key columns and their values: all of the rule's.
    pub key: Map<String, Value>,
    /// When it happened.
    pub event_time: Option<Timestamp>,
    /// The identity.
    pub principal: Option<String>,
    /// The session.
    pub session_id: Option<String>,
    /// Ids of the events that show it, sorted.
    pub evidence: Option<Vec<String>>,
    /// Values of other output columns.
    pub details: Map<String, Value>,
    /// Whether it was sent and taken back again.
    pub withdrawn: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    start: Option<Spanned<String>>,
    #[serde(default)]
    defaults: Option<Spanned<RawDefaults>>,
    cases: Spanned<Vec<Spanned<RawCase>>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawDefaults {
    tenant: Option<String>,
    runtime: Map<String, Value>,
    identity: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    name: String,
    events: Vec<Spanned<Map<String, Value>>>,
    #[serde(default)]
    signals: Option<Vec<Spanned<RawSignal>>>,
    #[serde(default)]
    none: bool,
    #[serde(default)]
    verdict: Option<Verdict>,
    #[serde(default)]
    owner: Option<OneOrMore>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSignal {
    key: Map<String, Value>,
    #[serde(default)]
    at: Option<String>,
    #[serde(default)]
    principal: Option<String>,
    #[serde(default)]
    session_id: Option<String>,
    #[serde(default)]
    evidence: Option<Vec<String>>,
    #[serde(default)]
    details: Map<String, Value>,
    #[serde(default)]
    withdrawn: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl TestFile {
    /// Reads a test file that is already in memory. `path` is for messages.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its line.
    pub fn parse(path: &Path, text: &str) -> Result<TestFile, Vec<TestFileError>> {
        let fault = |line: u64, message: String| TestFileError { path: path.to_path_buf(), line: line.max(1), message };
        // Without it the country `NO` would be a boolean.
        let options = serde_saphyr::options! { strict_booleans: true };
        let raw: RawFile = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let line = error.location().map_or(1, |location| location.line());
            let message = error.without_snippet().to_string();
            vec![fault(line, message.lines().next().unwrap_or_default().to_owned())]
        })?;
        let mut faults = Vec::new();
        let (start_line, start) =
            raw.start.map_or((1, DEFAULT_START.to_owned()), |start| (line_of(&start), start.value));
        let start = Timestamp::parse(&start).map_err(|error| vec![fault(start_line, error.to_string())])?;
        let defaults_line = raw.defaults.as_ref().map_or(1, line_of);
        let defaults = raw.defaults.map(|defaults| defaults.value).unwrap_or_default();
        let defaults = Defaults { tenant: defaults.tenant, columns: [defaults.runtime, defaults.identity] };
        if let Err(message) = (RuleTests { start }).check(&defaults.columns) {
            faults.push(fault(defaults_line, message));
        }
        if raw.cases.value.is_empty() {
            faults.push(fault(line_of(&raw.cases), "the file has no cases".to_owned()));
        }
        let mut names = BTreeSet::new();
        let mut cases = Vec::new();
        for case in raw.cases.value {
            let line = line_of(&case);
            if !names.insert(case.value.name.clone()) {
                faults.push(fault(line, format!("another case has the name `{}`", case.value.name)));
            }
            match TestCase::from_raw(case.value, line, start, &defaults) {
                Ok(case) => cases.push(case),
                Err(found) => faults.extend(found.into_iter().map(|(line, message)| fault(line, message))),
            }
        }
        if faults.is_empty() { Ok(TestFile { path: path.to_path_buf(), cases }) } else { Err(faults) }
    }
}

fn line_of<T>(spanned: &Spanned<T>) -> u64 {
    spanned.referenced.line()
}

impl TestCase {
    fn from_raw(raw: RawCase, line: u64, start: Timestamp, defaults: &Defaults) -> Result<Self, Vec<(u64, String)>> {
        let mut faults = Vec::new();
        let mut timeline: Vec<TestEvent> = Vec::new();
        for (position, event) in raw.events.iter().enumerate() {
            match expand(&event.value, position + 1, RuleTests { start }, defaults) {
                Ok(events) => timeline.extend(events),
                Err(message) => faults.push((line_of(event), message)),
            }
        }
        if raw.events.is_empty() {
            faults.push((line, "the case has no events".to_owned()));
        }
        let mut ids = BTreeSet::new();
        for event in &timeline {
            if !ids.insert((event.plane, event.row["event_id"].as_str())) {
                faults.push((line, format!("two events of one stream have the id {}", event.row["event_id"])));
            }
        }
        timeline.sort_by_key(|event| event.arrive);
        match Expectation::from_raw(raw.signals, raw.none, raw.verdict, raw.owner, (line, start)) {
            Ok(expect) if faults.is_empty() => Ok(TestCase { name: raw.name, line, timeline, expect }),
            Ok(_) => Err(faults),
            Err(found) => Err([faults, found].concat()),
        }
    }

    /// Whether some event arrives after one that happened later.
    pub fn is_out_of_order(&self) -> bool {
        let times: Vec<&str> =
            self.timeline.iter().map(|event| event.row["event_time"].as_str().unwrap_or_default()).collect();
        let times: Vec<Option<Timestamp>> = times.into_iter().map(|time| Timestamp::parse(time).ok()).collect();
        times.windows(2).any(|pair| pair[0] > pair[1])
    }

    /// Why the case can't prove anything about this rule; empty where it can.
    pub(super) fn faults(&self, rule: &RuleMeta) -> Vec<String> {
        let mut faults = Vec::new();
        let ids: BTreeSet<&str> = self.timeline.iter().filter_map(|event| event.row["event_id"].as_str()).collect();
        for signal in &self.expect.signals {
            let line = signal.line;
            for name in signal.key.keys().filter(|name| !rule.key.contains(name)) {
                faults
                    .push(format!("line {line}: `{name}` is not in the rule's key, which is {}", rule.key.join(", ")));
            }
            for name in rule.key.iter().filter(|name| !signal.key.contains_key(*name)) {
                faults.push(format!("line {line}: the key's `{name}` is missing"));
            }
            let named =
                signal.key.iter().filter(|(name, _)| name.ends_with("_event_id")).filter_map(|(_, id)| id.as_str());
            let evidence = signal.evidence.iter().flatten().map(String::as_str);
            for id in named.chain(evidence).filter(|id| !ids.contains(id)) {
                faults.push(format!("line {line}: no event of the case has the id `{id}`"));
            }
        }
        faults
    }
}

impl Expectation {
    fn from_raw(
        signals: Option<Vec<Spanned<RawSignal>>>,
        none: bool,
        verdict: Option<Verdict>,
        owner: Option<OneOrMore>,
        (line, start): (u64, Timestamp),
    ) -> Result<Self, Vec<(u64, String)>> {
        let mut faults = Vec::new();
        match (&signals, none) {
            (None, false) if verdict.is_none() && owner.is_none() => {
                faults.push((line, "the case expects nothing; write `signals: […]` or `none: true`".to_owned()));
            }
            (None, false) => faults.push((line, "the case names no signals; write `signals: […]`".to_owned())),
            (Some(signals), false) if signals.is_empty() => {
                faults.push((
                    line,
                    "the case expects an empty list; write `none: true` where nothing must come".to_owned(),
                ));
            }
            (Some(_), true) => faults.push((line, "the case has both `signals` and `none: true`".to_owned())),
            (None, true) if verdict.is_some() || owner.is_some() => {
                faults.push((
                    line,
                    "where no signal comes there is no incident: leave `verdict` and `owner` out".to_owned(),
                ));
            }
            _ => {}
        }
        let mut expected = Vec::new();
        for signal in signals.into_iter().flatten() {
            let line = line_of(&signal);
            let signal = signal.value;
            let event_time = signal.at.as_deref().map(|at| moment(start, at)).transpose().unwrap_or_else(|message| {
                faults.push((line, message));
                None
            });
            if expected.iter().any(|earlier: &ExpectedSignal| earlier.key == signal.key) {
                faults.push((line, "another expected signal has this key".to_owned()));
            }
            let mut evidence = signal.evidence;
            if let Some(evidence) = &mut evidence {
                evidence.sort();
            }
            expected.push(ExpectedSignal {
                line,
                key: signal.key,
                event_time,
                principal: signal.principal,
                session_id: signal.session_id,
                evidence,
                details: signal.details,
                withdrawn: signal.withdrawn,
            });
        }
        let owners = owner.map(|owner| match owner {
            OneOrMore::One(owner) => vec![owner],
            OneOrMore::More(mut owners) => {
                owners.sort();
                owners
            }
        });
        if faults.is_empty() { Ok(Expectation { signals: expected, verdict, owners }) } else { Err(faults) }
    }
}
