//! What the tests of a rule came to, for people and for build servers.

use std::fmt;
use std::io::Write;
use std::path::PathBuf;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// What one case came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaseResult {
    /// Everything is as expected.
    Passed,
    /// It isn't: each difference in words.
    Failed(Vec<String>),
    /// The case can't prove anything or could not be run: each reason in words.
    Invalid(Vec<String>),
}

/// One case and what it came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseReport {
    /// Its name.
    pub name: String,
    /// The line of the test file on which it begins.
    pub line: u64,
    /// What it came to.
    pub result: CaseResult,
}

/// The cases of one rule. Its `Display` is what `rules test` prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleReport {
    /// Id of the rule.
    pub rule: String,
    /// Its test file.
    pub file: PathBuf,
    /// Its cases.
    pub cases: Vec<CaseReport>,
}

impl RuleReport {
    /// A rule whose tests could not be started: no test file, a test file that can't be read, a rule that doesn't compile.
    pub fn unusable(rule: &str, file: PathBuf, reasons: Vec<String>) -> Self {
        let case = CaseReport { name: "test file".to_owned(), line: 1, result: CaseResult::Invalid(reasons) };
        RuleReport { rule: rule.to_owned(), file, cases: vec![case] }
    }

    /// Whether every case passed.
    pub fn passed(&self) -> bool {
        self.cases.iter().all(|case| case.result == CaseResult::Passed)
    }
}

impl fmt::Display for RuleReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in &self.cases {
            let (word, lines) = match &case.result {
                CaseResult::Passed => ("pass", &[][..]),
                CaseResult::Failed(lines) => ("FAIL", &lines[..]),
                CaseResult::Invalid(lines) => ("INVALID", &lines[..]),
            };
            write!(f, "{word:<8}{}: {}", self.rule, case.name)?;
            if !lines.is_empty() {
                write!(f, "  ({}:{})", self.file.display(), case.line)?;
            }
            writeln!(f)?;
            for line in lines {
                writeln!(f, "          {line}")?;
            }
        }
        Ok(())
    }
}

/// Writes the reports as JUnit XML, which build servers show: one suite a rule, one test a case.
///
/// # Errors
/// When the writer fails.
pub fn write_junit(reports: &[RuleReport], writer: impl Write) -> std::io::Result<()> {
    let mut junit = Report::new("watershed rules test");
    for report in reports {
        let mut suite = TestSuite::new(report.rule.as_str());
        for case in &report.cases {
            let status = match &case.result {
                CaseResult::Passed => TestCaseStatus::success(),
                CaseResult::Failed(lines) => non_success(NonSuccessKind::Failure, lines),
                CaseResult::Invalid(lines) => non_success(NonSuccessKind::Error, lines),
            };
            let mut test = TestCase::new(case.name.as_str(), status);
            test.set_classname(report.rule.as_str());
            test.extra.insert("file".into(), report.file.display().to_string().into());
            test.extra.insert("line".into(), case.line.to_string().into());
            suite.add_test_case(test);
        }
        junit.add_test_suite(suite);
    }
    junit.serialize(writer).map_err(std::io::Error::other)
}

fn non_success(kind: NonSuccessKind, lines: &[String]) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(lines.first().map(String::as_str).unwrap_or_default());
    status.set_description(lines.join("\n"));
    status
}
