//! Rule tests: a timeline of events and what must come of it, run through production.
//!
//! `<rule_id>.test.yaml` lies beside the rule:
//!
//! ```yaml
//! start: 2026-03-02T09:00:00Z              # what relative times count from; this is the default
//! defaults:
//!   tenant: acme
//!   runtime: {session_id: s-1, agent_id: mailer}
//! cases:
//!   - name: fires when mail is sent after a flagged page
//!     events:                              # `runtime:` or `identity:` names table and kind at once
//!       - {at: 0s, runtime: guardrail, id: flag, verdict: warn, category: prompt_injection}
//!       - {at: 2m, arrive: 9m, runtime: tool_call, id: call, tool: send_email}
//!       - {at: 3m, runtime: tool_call, tool: read_inbox, times: 5, every: 10s}
//!     signals:                             # all that stand at the end, no more and no less
//!       - {key: {tool_event_id: call}, evidence: [call, flag], details: {tool: send_email}}
//!     verdict: model_abuse
//!     owner: ai-security
//!   - name: stays silent without a flag
//!     events:
//!       - {at: 2m, runtime: tool_call, tool: send_email}
//!     none: true
//! ```
//!
//! Events arrive in the order of their times unless `arrive` says otherwise. A test that can't fail is an error: no
//! expectation, columns or keys that don't exist, events that no scan of the rule looks at.

mod compare;
mod event;
mod file;
mod report;
mod time;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use watershed_schemas::{IncidentRevision, Plane, Signal, Timestamp};

use crate::compiled::CompiledRule;
use crate::front_matter::RuleMeta;

pub use compare::differences;
pub use file::{Expectation, ExpectedSignal, TestCase, TestFile, TestFileError};
pub use report::{CaseReport, CaseResult, RuleReport, write_junit};

/// One event of a case, in the order of arrival.
#[derive(Clone, Debug, PartialEq)]
pub struct TestEvent {
    /// Which stream it arrives on.
    pub plane: Plane,
    /// When it arrives; also the row's `ingest_time`.
    pub arrive: Timestamp,
    /// The event in the canonical JSON of the `watershed` format.
    pub row: Map<String, Value>,
}

/// What the pipeline made of a timeline.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Every revision of every signal, in the order in which they were written.
    pub signals: Vec<Signal>,
    /// Every revision of every incident, in the order in which they were written.
    pub incidents: Vec<IncidentRevision>,
    /// For each rule, for each of its scans, how many rows passed the scan's filters.
    pub scans_matched: Vec<Vec<u64>>,
    /// Whether only what holds in the end was written, so that nothing was taken back.
    pub only_final: bool,
}

/// The production pipeline, as the engine offers it to rule tests.
pub trait Run {
    /// Runs the timeline through `match → evaluate → correlate` with exactly these rules and default settings, to the end of
    /// all inputs.
    ///
    /// # Errors
    /// When the pipeline can't be run at all, with the reason.
    fn run(&self, rules: &[Arc<CompiledRule>], timeline: Vec<TestEvent>) -> Result<Outcome, String>;
}

/// Where the tests of a rule file are: `x.sql` has `x.test.yaml`.
pub fn tests_of(rule_file: &Path) -> PathBuf {
    rule_file.with_extension("test.yaml")
}

/// Runs every case of a test file against its rule.
pub fn run_tests(rule: &Arc<CompiledRule>, tests: &TestFile, run: &dyn Run) -> RuleReport {
    run_cases(&rule.meta, tests, &mut |timeline| run.run(std::slice::from_ref(rule), timeline))
}

/// [`run_tests`] over anything that can turn a timeline into an outcome of the one rule.
pub(crate) fn run_cases(
    rule: &RuleMeta,
    tests: &TestFile,
    run: &mut dyn FnMut(Vec<TestEvent>) -> Result<Outcome, String>,
) -> RuleReport {
    let cases = tests.cases.iter().map(|case| {
        let faults = case.faults(rule);
        let result = if faults.is_empty() {
            match run(case.timeline.clone()) {
                Err(reason) => CaseResult::Invalid(vec![reason]),
                Ok(outcome) if outcome.scans_matched.iter().flatten().all(|rows| *rows == 0) => {
                    let fault = "no scan of the rule looks at any of the events, so the case proves nothing; \
                                 compare kinds and columns with the rule's WHERE";
                    CaseResult::Invalid(vec![fault.to_owned()])
                }
                Ok(outcome) => match differences(rule, &case.expect, &outcome) {
                    differences if differences.is_empty() => CaseResult::Passed,
                    differences => CaseResult::Failed(differences),
                },
            }
        } else {
            CaseResult::Invalid(faults)
        };
        CaseReport { name: case.name.clone(), line: case.line, result }
    });
    RuleReport { rule: rule.id.clone(), file: tests.path.clone(), cases: cases.collect() }
}

#[cfg(test)]
pub(crate) mod compiled_run;
#[cfg(test)]
pub(crate) mod plain_sql;
#[cfg(test)]
mod tests;
