//! Compiling rules that read what other rules say, each after those that it reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watershed_rules::{
    Beside, CompiledRule, LintFinding, Outcome, ReferenceTables, RuleSource, compile_beside, signals_read,
};

use super::rule_files::{RuleFile, RuleFiles};

/// Compiles the rules of these files, each after those whose signals it reads; what becomes of each stands at its place,
/// nothing where it is `disabled`. `reads` says which rules one reads, `compile` compiles the file at this position.
pub(super) fn in_strata(
    files: &[RuleFile],
    disabled: &BTreeSet<String>,
    reads: impl Fn(&RuleFile, &RuleSource) -> BTreeSet<String>,
    mut compile: impl FnMut(usize, &RuleSource, &Beside) -> Outcome,
) -> Vec<Option<Outcome>> {
    let readable: Vec<(usize, &RuleSource)> =
        files.iter().enumerate().filter_map(|(at, file)| Some((at, file.source.as_ref().ok()?))).collect();
    let sources: Vec<&RuleSource> = readable.iter().map(|(_, source)| *source).collect();
    let compiled = watershed_rules::in_strata(
        &sources,
        disabled,
        |at, source| reads(&files[readable[at].0], source),
        |at, source, beside| compile(readable[at].0, source, beside),
    );
    let mut outcomes: Vec<Option<Outcome>> =
        files.iter().map(|file| file.source.as_ref().err().map(|findings| Err(findings.clone()))).collect();
    for ((at, _), outcome) in readable.into_iter().zip(compiled) {
        outcomes[at] = outcome;
    }
    outcomes
}

/// The rules that the source names, where it can be planned.
pub(super) fn named_by(source: &RuleSource, reference: &ReferenceTables) -> BTreeSet<String> {
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
    let ids: BTreeSet<&str> =
        files.files.iter().filter_map(|file| Some(file.source.as_ref().ok()?.meta.id.as_str())).collect();
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
    let around = needed(&files, around.files, reference);
    let all: Vec<RuleFile> = files.into_iter().chain(around).collect();
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

/// Those of the rules around these files that they read, and that those read.
fn needed(files: &[RuleFile], mut around: Vec<RuleFile>, reference: &ReferenceTables) -> Vec<RuleFile> {
    let names =
        |file: &RuleFile| file.source.as_ref().map_or_else(|_| BTreeSet::new(), |source| named_by(source, reference));
    let mut needed: Vec<RuleFile> = Vec::new();
    let mut open: BTreeSet<String> = files.iter().flat_map(names).collect();
    while !open.is_empty() {
        let is_open = |file: &RuleFile| file.source.as_ref().is_ok_and(|source| open.contains(&source.meta.id));
        let (found, rest): (Vec<RuleFile>, Vec<RuleFile>) = around.into_iter().partition(is_open);
        around = rest;
        open = found.iter().flat_map(names).collect();
        needed.extend(found);
    }
    needed
}
