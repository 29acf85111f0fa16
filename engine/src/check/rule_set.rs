//! The rules of an installation, planned and tuned.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use watershed_rules::{CompiledRule, LintFinding, ReferenceTables, compile, render};

use super::rule_files::{RuleFile, RuleFiles};
use crate::config::{Level, Problem, Rules};
use crate::evaluator::RuleSetup;

/// A rule that does not run, and why.
#[derive(Clone, Debug)]
pub struct RefusedRule {
    /// Its file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// What is wrong with it.
    pub findings: Vec<LintFinding>,
}

impl RefusedRule {
    /// The findings as a person wants to read them.
    pub fn render(&self, colour: bool) -> String {
        render(&self.path, &self.text, &self.findings, colour)
    }
}

/// The rules that run, and those that can't.
#[derive(Default)]
pub struct RuleSet {
    /// What runs, in order of ids.
    pub setups: Vec<RuleSetup>,
    /// What can't be planned.
    pub refused: Vec<RefusedRule>,
    /// Ids of every rule that could be read, disabled ones too.
    pub ids: BTreeSet<String>,
    /// Files and directories that can't be read, and ids that two files claim.
    pub unreadable: Vec<Problem>,
    /// Warnings about rules that run, with the file of each.
    pub warnings: Vec<(PathBuf, LintFinding)>,
}

impl RuleSet {
    /// Reads, plans and tunes the rules that the settings name. Disabled rules are read but not planned.
    pub fn load(rules: &Rules, reference: &ReferenceTables) -> Self {
        let mut files = if rules.catalog { RuleFiles::catalog() } else { RuleFiles::default() };
        let mut added = RuleFiles::default();
        for path in &rules.paths {
            let found = RuleFiles::read(path);
            added.files.extend(found.files);
            added.problems.extend(found.problems);
        }
        files.replace_with(added);
        let mut set = RuleSet { unreadable: files.problems, ..RuleSet::default() };
        for file in files.files {
            set.add(file, rules, reference);
        }
        set.setups.sort_by(|a, b| a.rule.meta.id.cmp(&b.rule.meta.id));
        set
    }

    fn add(&mut self, file: RuleFile, rules: &Rules, reference: &ReferenceTables) {
        let RuleFile { path, text, source, .. } = file;
        let id = source.as_ref().ok().map(|source| source.meta.id.clone());
        if let Some(id) = &id {
            self.ids.insert(id.clone());
            if rules.disable.contains(id) {
                return;
            }
        }
        match source.and_then(|source| compile(&source, reference)) {
            Ok(rule) => {
                self.warnings.extend(rule.warnings.iter().map(|finding| (path.clone(), finding.clone())));
                self.setups.push(setup(rule, rules));
            }
            Err(findings) => self.refused.push(RefusedRule { path, text, findings }),
        }
    }

    /// Everything that is wrong, as problems with file and line.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.unreadable.clone();
        let problem = |path: &PathBuf, finding: &LintFinding| Problem {
            level: match finding.level {
                watershed_rules::Level::Error => Level::Error,
                watershed_rules::Level::Warning => Level::Warning,
            },
            file: path.clone(),
            line: Some(finding.line),
            column: Some(finding.column),
            setting: finding.code.as_str().to_owned(),
            message: match finding.help.as_str() {
                "" => finding.message.clone(),
                help => format!("{}; {help}", finding.message),
            },
        };
        for refused in &self.refused {
            problems.extend(refused.findings.iter().map(|finding| problem(&refused.path, finding)));
        }
        problems.extend(self.warnings.iter().map(|(path, finding)| problem(path, finding)));
        problems
    }

    /// Whether a rule that should run does not.
    pub fn any_refused(&self) -> bool {
        !self.refused.is_empty() || !self.unreadable.is_empty()
    }
}

fn setup(rule: CompiledRule, rules: &Rules) -> RuleSetup {
    let mut setup = RuleSetup::as_written(Arc::new(rule));
    let id = &setup.rule.meta.id;
    if let Some(severity) = rules.severity.get(id) {
        setup.severity = *severity;
    }
    setup.shadow = rules.shadow.contains(id);
    setup.backfill = rules.backfill.contains(id);
    setup
}
