//! How the tests write rules.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use watershed_rules::{
    Beside, CompiledRule, LintFinding, Outcome, ReferenceTables, RuleSource, compile_beside, compile_set, signals_read,
};

/// Held for reading by whoever compiles: the count of plannings is one for the whole process.
static COMPILING: RwLock<()> = RwLock::new(());

/// While the guard lives no test compiles a rule.
pub(crate) fn nobody_compiles() -> RwLockWriteGuard<'static, ()> {
    COMPILING.write().unwrap_or_else(PoisonError::into_inner)
}

/// Compiles a rule that was read.
pub(crate) fn compiled(source: &RuleSource) -> Result<CompiledRule, Vec<LintFinding>> {
    compiled_with(source, &ReferenceTables::default())
}

/// Compiles a rule that was read, beside these reference tables.
pub(crate) fn compiled_with(
    source: &RuleSource,
    reference: &ReferenceTables,
) -> Result<CompiledRule, Vec<LintFinding>> {
    compiled_beside(source, reference, &Beside::default())
}

/// Compiles rules of which some may read the signals of others.
pub(crate) fn compiled_set(sources: &[&RuleSource]) -> Vec<Outcome> {
    let _held = COMPILING.read().unwrap_or_else(PoisonError::into_inner);
    compile_set(sources, &ReferenceTables::default())
}

/// The rules whose signals a rule reads.
pub(crate) fn reads(source: &RuleSource, reference: &ReferenceTables) -> BTreeSet<String> {
    let _held = COMPILING.read().unwrap_or_else(PoisonError::into_inner);
    signals_read(source, reference).unwrap_or_default()
}

/// The same beside rules whose signals it may read.
pub(crate) fn compiled_beside(
    source: &RuleSource,
    reference: &ReferenceTables,
    beside: &Beside,
) -> Result<CompiledRule, Vec<LintFinding>> {
    let _held = COMPILING.read().unwrap_or_else(PoisonError::into_inner);
    compile_beside(source, reference, beside)
}

/// A rule file around this SQL. The SQL begins on line 10.
pub(crate) fn file(plane: &str, key: &str, sql: &str) -> String {
    let owner = match plane {
        "model" => "owner: ai-security",
        "access" => "owner: iam",
        _ => "tags: []",
    };
    format!(
        "/*---\nid: under-test\ntitle: A rule under test\nplane: {plane}\nseverity: high\nkey: [{key}]\n{owner}\n\n---*/\n{sql}"
    )
}

/// Compiles a rule file.
pub(crate) fn compile_text(text: &str) -> Result<CompiledRule, Vec<LintFinding>> {
    compiled(&RuleSource::parse(Path::new("under-test.sql"), text)?)
}

/// Compiles SQL that is a rule of the access plane.
pub(crate) fn rule(key: &str, sql: &str) -> Result<CompiledRule, Vec<LintFinding>> {
    compile_text(&file("access", key, sql))
}

/// Compiles SQL that must be accepted.
pub(crate) fn accepted(key: &str, sql: &str) -> CompiledRule {
    rule(key, sql).unwrap_or_else(|findings| panic!("refused: {}\n{sql}", list(&findings)))
}

pub(crate) fn list(findings: &[LintFinding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
