//! Compiling rules that read what other rules say, each after those that it reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watershed_rules::{
    Beside, CompiledRule, LintFinding, Missing, ReferenceTables, RuleSource, compile_beside, signals_read, strata,
};

use super::rule_files::{RuleFile, RuleFiles};

/// What became of a rule file.
pub type Outcome = Result<Arc<CompiledRule>, Vec<LintFinding>>;

/// Compiles the rules of these files, each after those whose signals it reads; what becomes of each stands at its place.
/// Rules that are `disabled` aren't compiled, and their signals can't be read. `reads` says which rules one reads, `compile`
/// compiles the file at this position.
pub fn in_strata(
    files: &[RuleFile],
    disabled: &BTreeSet<String>,
    reads: impl Fn(&RuleFile, &RuleSource) -> BTreeSet<String>,
    mut compile: impl FnMut(usize, &RuleSource, &Beside) -> Outcome,
) -> Vec<Option<Outcome>> {
    let mut read: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut of_id: BTreeMap<&str, Vec<(usize, &RuleSource)>> = BTreeMap::new();
    let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(files.len());
    let mut beside = Beside::default();
    for (at, file) in files.iter().enumerate() {
        let source = match &file.source {
            Ok(source) => source,
            Err(findings) => {
                outcomes.push(Some(Err(findings.clone())));
                continue;
            }
        };
        outcomes.push(None);
        let id = &source.meta.id;
        if disabled.contains(id) {
            beside.miss(id.clone(), Missing::Disabled);
        } else {
            read.entry(id.clone()).or_default().extend(reads(file, source));
            of_id.entry(id).or_default().push((at, source));
        }
    }
    let strata = strata(&read);
    for id in &strata.order {
        for (at, source) in of_id.get(id.as_str()).into_iter().flatten() {
            if let Some(path) = strata.cycles.get(id) {
                for name in read[id].iter().filter(|name| strata.cycles.contains_key(*name) && *name != id) {
                    beside.miss(name.clone(), Missing::Cycle(path.clone()));
                }
            }
            let outcome = compile(*at, source, &beside);
            match &outcome {
                Ok(rule) => beside.add(Arc::clone(rule)),
                Err(_) => beside.miss(id.clone(), Missing::Refused),
            }
            outcomes[*at] = Some(outcome);
        }
    }
    outcomes
}

/// The rules that the source names, where it can be planned.
pub fn named_by(source: &RuleSource, reference: &ReferenceTables) -> BTreeSet<String> {
    // What keeps it from being planned is told when it is compiled.
    signals_read(source, reference).unwrap_or_default()
}

/// The rules that these files may read besides themselves and each other: those in the same directory where a single file
/// was named, and the catalog.
pub fn around(files: &RuleFiles) -> RuleFiles {
    let mut around = RuleFiles::catalog();
    if let [only] = files.files.as_slice()
        && only.tests.is_none()
        && let Some(directory) = only.path.parent()
    {
        let directory = if directory.as_os_str().is_empty() { std::path::Path::new(".") } else { directory };
        let mut siblings = RuleFiles::read(directory);
        siblings.files.retain(|file| file.path != only.path);
        siblings.problems.clear();
        around.replace_with(siblings);
    }
    let ids: BTreeSet<&str> = files.files.iter().filter_map(|file| Some(file.source.as_ref().ok()?.meta.id.as_str())).collect();
    around.files.retain(|file| file.source.as_ref().is_ok_and(|source| !ids.contains(source.meta.id.as_str())));
    around.problems.clear();
    around
}

/// What each of these files may read: the rules compiled so far when its turn comes. Gives the files beside what `compile`
/// makes of them, in their order. Files `around` them are compiled only where one of them is read.
pub fn each_in_strata<T>(
    files: Vec<RuleFile>,
    around: RuleFiles,
    reference: &ReferenceTables,
    mut compile: impl FnMut(&RuleSource, &Beside) -> Result<(Arc<CompiledRule>, T), Vec<LintFinding>>,
) -> Vec<(RuleFile, Result<T, Vec<LintFinding>>)> {
    let wanted = files.len();
    let all: Vec<RuleFile> = files.into_iter().chain(needed(around.files, reference)).collect();
    let mut made: BTreeMap<usize, T> = BTreeMap::new();
    let reads = |_: &RuleFile, source: &RuleSource| named_by(source, reference);
    let outcomes = in_strata(&all, &BTreeSet::new(), reads, |at, source, beside| {
        if at >= wanted {
            return compile_beside(source, reference, beside).map(Arc::new);
        }
        let (rule, value) = compile(source, beside)?;
        made.insert(at, value);
        Ok(rule)
    });
    let said = all.into_iter().zip(outcomes).take(wanted).enumerate();
    said.map(|(at, (file, outcome))| {
        let value = match (made.remove(&at), outcome) {
            (Some(value), _) => Ok(value),
            (None, Some(Err(findings))) => Err(findings),
            (None, _) => Err(Vec::new()),
        };
        (file, value)
    })
    .collect()
}

fn needed(around: Vec<RuleFile>, _reference: &ReferenceTables) -> Vec<RuleFile> {
    around
}
