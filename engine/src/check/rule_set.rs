//! The rules of an installation, planned and tuned.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use watershed_rules::{CompiledRule, LintFinding, Outcome, ReferenceTables, compile_beside, render};
use watershed_schemas::{Plane, PlaneScores};

use super::in_strata::{in_strata, named_by};
use super::rule_files::{RuleFile, RuleFiles};
use crate::config::{Level, PerPlane, Problem, Rules};
use crate::evaluator::RuleSetup;

/// A rule that does not run, and why.
#[derive(Clone, Debug)]
pub struct RefusedRule {
    /// Its file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// Its id, where that could be read.
    pub id: Option<String>,
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
    /// The id of each rule that runs, by its file.
    pub files: BTreeMap<PathBuf, String>,
    /// The plans, to be used again.
    pub planned: Planned,
}

/// Plans of rules by their text and parameters: a rule that is read again and says the same over the same reference data is not planned
/// again.
#[derive(Clone, Debug, Default)]
pub struct Planned(HashMap<String, (Arc<CompiledRule>, String)>);

impl Planned {
    /// Adds these plans.
    pub fn extend(&mut self, other: Planned) {
        self.0.extend(other.0);
    }

    /// Forgets the plans that none of these rules uses.
    pub fn retain(&mut self, setups: &[RuleSetup]) {
        let used = |rule: &Arc<CompiledRule>| setups.iter().any(|setup| Arc::ptr_eq(&setup.rule, rule));
        self.0.retain(|_, (rule, _)| used(rule));
    }
}

impl RuleSet {
    /// Reads, plans and tunes the rules that the settings name. Disabled rules are read but not planned.
    pub fn load(rules: &Rules, reference: &ReferenceTables) -> Self {
        RuleSet::load_again(rules, reference, &Planned::default())
    }

    /// The same, using plans that are still good.
    pub fn load_again(rules: &Rules, reference: &ReferenceTables, planned: &Planned) -> Self {
        let mut digests = Digests { reference, known: BTreeMap::new() };
        let mut files = if rules.catalog { RuleFiles::catalog() } else { RuleFiles::default() };
        let mut added = RuleFiles::default();
        for path in &rules.paths {
            let found = RuleFiles::read(path);
            added.files.extend(found.files);
            added.problems.extend(found.problems);
        }
        files.replace_with(added);
        let mut set = RuleSet { unreadable: files.problems, ..RuleSet::default() };
        for file in &mut files.files {
            set.unreadable.extend(set_parameters(file, rules));
            set.unreadable.extend(misplaced_weight(file, rules));
        }
        let disabled: BTreeSet<String> = rules.disable.iter().cloned().collect();
        let reads = |file: &RuleFile, source: &watershed_rules::RuleSource| match planned.0.get(&plan_key(file)) {
            Some((rule, _)) => rule.upstream.iter().map(|rule| rule.meta.id.clone()).collect(),
            None => named_by(source, reference),
        };
        let compiled = in_strata(&files.files, &disabled, reads, |at, source, beside| {
            // The rules that it reads must be those that it was planned beside.
            let same = |rule: &Arc<CompiledRule>| beside.get(&rule.meta.id).is_some_and(|now| Arc::ptr_eq(now, rule));
            let known = planned.0.get(&plan_key(&files.files[at]));
            match known.filter(|(rule, digest)| rule.upstream.iter().all(same) && digests.of(rule) == *digest) {
                Some((rule, _)) => Ok(Arc::clone(rule)),
                None => compile_beside(source, reference, beside).map(Arc::new),
            }
        });
        for (file, outcome) in files.files.into_iter().zip(compiled) {
            set.add(file, outcome, rules, &mut digests);
        }
        set.setups.sort_by(|a, b| a.rule.meta.id.cmp(&b.rule.meta.id));
        set
    }

    /// Adds what became of a file; nothing where its rule is disabled.
    fn add(&mut self, file: RuleFile, outcome: Option<Outcome>, rules: &Rules, digests: &mut Digests<'_>) {
        let key = plan_key(&file);
        let RuleFile { path, text, source, .. } = file;
        let id = source.as_ref().ok().map(|source| source.meta.id.clone());
        self.ids.extend(id.clone());
        match outcome {
            None => {}
            Some(Ok(rule)) => {
                self.warnings.extend(rule.warnings.iter().map(|finding| (path.clone(), finding.clone())));
                let digest = digests.of(&rule);
                self.files.insert(path, rule.meta.id.clone());
                self.planned.0.insert(key, (Arc::clone(&rule), digest.clone()));
                self.setups.push(RuleSetup { reference: digest, ..setup(rule, rules) });
            }
            Some(Err(findings)) => self.refused.push(RefusedRule { path, text, id, findings }),
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

/// What reference tables say, by the digests of those that a rule reads.
struct Digests<'a> {
    reference: &'a ReferenceTables,
    known: BTreeMap<String, String>,
}

impl Digests<'_> {
    fn of(&mut self, rule: &CompiledRule) -> String {
        let digests = rule.reference_tables().into_iter().map(|table| {
            let digest = || self.reference.digest(table).unwrap_or_default();
            let digest = self.known.entry(table.to_owned()).or_insert_with(digest);
            format!("{table}={digest}")
        });
        digests.collect::<Vec<_>>().join(" ")
    }
}

/// A rule is planned with its parameters.
fn plan_key(file: &RuleFile) -> String {
    match &file.source {
        Ok(source) if !source.meta.parameters.is_empty() => format!("{:?}{}", source.meta.parameters, file.text),
        _ => file.text.clone(),
    }
}

/// Sets the parameters of a rule as the installation has them; those that it can't have are problems.
fn set_parameters(file: &mut RuleFile, rules: &Rules) -> Vec<Problem> {
    let Ok(source) = &mut file.source else { return Vec::new() };
    let meta = &mut source.meta;
    let mut problems = Vec::new();
    for (name, value) in rules.tuning.get(&meta.id).iter().flat_map(|tuning| &tuning.parameters) {
        let message = match meta.parameters.get(name) {
            Some(default) if value.may_replace(default) => {
                meta.parameters.insert(name.clone(), value.clone());
                continue;
            }
            Some(default) => format!("is {}, where `{name}` of the rule is {}", value.kind(), default.kind()),
            None if meta.parameters.is_empty() => format!("`{}` has no parameters", meta.id),
            None => {
                let known: Vec<&str> = meta.parameters.keys().map(String::as_str).collect();
                format!("`{}` has no such parameter; it has {}", meta.id, known.join(", "))
            }
        };
        problems.push(Problem {
            level: Level::Error,
            file: file.path.clone(),
            line: None,
            column: None,
            setting: format!("rules.override.{}.parameters.{name}", meta.id),
            message,
        });
    }
    problems
}

/// A weight for a plane that a rule says nothing of would count for nothing.
fn misplaced_weight(file: &RuleFile, rules: &Rules) -> Option<Problem> {
    let meta = &file.source.as_ref().ok()?.meta;
    let Some(PerPlane::Each { model, access }) = rules.tuning.get(&meta.id)?.weights else { return None };
    let wrong = Plane::ALL
        .into_iter()
        .zip([model, access])
        .find(|(plane, weight)| !meta.plane.planes().contains(plane) && weight.is_some_and(|weight| weight != 0.0));
    wrong.map(|(plane, _)| Problem {
        level: Level::Error,
        file: file.path.clone(),
        line: None,
        column: None,
        setting: format!("rules.override.{}.weights", meta.id),
        message: format!(
            "`{}` is a rule of the {} plane, where a weight for the {} plane counts for nothing; leave `{}` out",
            meta.id,
            meta.plane.name(),
            plane.name(),
            plane.name()
        ),
    })
}

fn setup(rule: Arc<CompiledRule>, rules: &Rules) -> RuleSetup {
    let mut setup = RuleSetup::as_written(rule);
    let id = &setup.rule.meta.id;
    if let Some(tuning) = rules.tuning.get(id) {
        setup.severity = tuning.severity.unwrap_or(setup.severity);
        setup.shadow = tuning.shadow;
        setup.backfill = tuning.backfill;
        if let Some(tuned) = tuning.weights {
            let planes = setup.rule.meta.plane.planes();
            let own = setup.weights();
            let of = |plane: Plane, own: f64| {
                let tuned = tuned.both()[plane.index()].filter(|_| planes.contains(&plane));
                tuned.unwrap_or(own)
            };
            let weights = PlaneScores { model: of(Plane::Model, own.model), access: of(Plane::Access, own.access) };
            setup.weights = Some(weights);
        }
    }
    setup
}
