//! How the tests write rules.

use std::path::Path;

use watershed_rules::{CompiledRule, LintFinding, ReferenceTables, RuleSource, compile};

/// A rule file around this SQL. The SQL begins on line 10.
pub(crate) fn file(plane: &str, key: &str, sql: &str) -> String {
    let owner = match plane {
        "model" => "owner: ai-security",
        "access" => "owner: iam",
        _ => "tags: []",
    };
    format!("/*---\nid: under-test\ntitle: A rule under test\nplane: {plane}\nseverity: high\nkey: [{key}]\n{owner}\n\n---*/\n{sql}")
}

/// Compiles a rule file.
pub(crate) fn compile_text(text: &str) -> Result<CompiledRule, Vec<LintFinding>> {
    compile(&RuleSource::parse(Path::new("under-test.sql"), text)?, &ReferenceTables::default())
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
