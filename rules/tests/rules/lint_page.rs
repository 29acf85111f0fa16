//! Every example of the lint page is what it says, and the page is fresh.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use watershed_rules::{Beside, Code, LintFinding, Missing, ReferenceTables, RuleSource, Sample, lint_page};

use crate::check::{compiled, compiled_beside, list};

const UPSTREAM: &str = "/*---\nid: token-revoked\ntitle: A token was revoked\nplane: access\nseverity: low\nkey: [revocation_event_id]\n---*/
SELECT event_time, tenant, principal, event_id AS revocation_event_id FROM identity WHERE kind = 'token_revoked'";

/// What the compiler finds in a file, warnings included.
fn findings(sample: &Sample) -> Vec<LintFinding> {
    let source = RuleSource::parse_bytes(Path::new("example.sql"), &sample.file());
    // What examples over `signals` read.
    let mut beside = Beside::default();
    let upstream =
        RuleSource::parse_bytes(Path::new("upstream.sql"), UPSTREAM.as_bytes()).and_then(|source| compiled(&source));
    beside.miss("session-revoked".to_owned(), Missing::Disabled);
    beside.add(Arc::new(upstream.unwrap_or_else(|found| panic!("{}", list(&found)))));
    match source.and_then(|source| compiled_beside(&source, &ReferenceTables::default(), &beside)) {
        Ok(rule) => rule.warnings,
        Err(findings) => findings,
    }
}

#[test]
fn bad_examples_have_exactly_their_code_and_good_ones_none() {
    let mut faults = Vec::new();
    for code in Code::ALL {
        let example = code.example();
        let found = findings(&example.bad);
        let codes: BTreeSet<Code> = found.iter().map(|finding| finding.code).collect();
        if codes != BTreeSet::from([*code]) {
            faults.push(format!("{code}: the bad example gives {}", list(&found)));
        }
        for finding in &found {
            assert!(finding.line >= 1 && finding.column >= 1 && !finding.message.is_empty(), "{finding:?}");
            assert!(!finding.help.is_empty(), "{code} shows no way out: {finding}");
        }
        let found = findings(&example.good);
        if !found.is_empty() {
            faults.push(format!("{code}: the good example gives {}", list(&found)));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn codes_are_stable_and_in_order() {
    let texts: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert!(texts.is_sorted() && texts.iter().collect::<BTreeSet<_>>().len() == texts.len(), "{texts:?}");
}

#[test]
fn the_page_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/lint.md");
    let page = lint_page();
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, &page).expect("writable");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "docs/lint.md is stale; write it anew with UPDATE_EXPECTED=1");
}
