use std::collections::BTreeSet;
use watershed_schemas::RulePlane;

use super::*;
use crate::compile::signals_read;
use crate::strata::compile_set;
use crate::test_runner::compiled_run::CompiledRun;
use crate::test_runner::plain_sql::PlainSql;
use crate::test_runner::{CaseResult, TestFile, run_cases, run_tests};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("catalog")
}

fn sources() -> impl Iterator<Item = (&'static CatalogRule, RuleSource)> {
    CATALOG.iter().map(|rule| match rule.source() {
        Ok(source) => (rule, source),
        Err(findings) => panic!("{}: {findings:?}", rule.path),
    })
}

fn tests_of(rule: &CatalogRule) -> TestFile {
    TestFile::parse(&rule.tests_path(), rule.tests).unwrap_or_else(|errors| panic!("{errors:?}"))
}

#[test]
fn the_binary_holds_every_file_of_the_folder() {
    let mut embedded: Vec<PathBuf> = Vec::new();
    for rule in CATALOG {
        embedded.extend([PathBuf::from(rule.path), rule.tests_path()]);
    }
    let mut there = Vec::new();
    for plane in ["access", "cross", "model"] {
        for entry in std::fs::read_dir(folder().join(plane)).expect("the catalog's folder") {
            there.push(Path::new(plane).join(entry.expect("an entry").file_name()));
        }
    }
    embedded.sort();
    there.sort();
    assert_eq!(there, embedded, "list new rules in CATALOG; every rule has a `.test.yaml`");
}

#[test]
fn every_rule_says_what_a_team_needs() {
    let mut ids = BTreeSet::new();
    for (rule, source) in sources() {
        let meta = &source.meta;
        let stem = Path::new(rule.path).file_stem().expect("a stem").to_string_lossy();
        assert_eq!(meta.id, stem, "the id is the file's stem");
        assert!(ids.insert(meta.id.clone()), "{} is there twice", meta.id);
        assert!(!meta.title.trim().is_empty() && meta.title.len() <= 120, "{}: title", meta.id);
        for (what, text) in [("description", &meta.description), ("runbook", &meta.runbook)] {
            assert!(text.as_deref().is_some_and(|text| text.len() > 80), "{}: {what}", meta.id);
        }
        assert!(!meta.frameworks.is_empty(), "{}: frameworks", meta.id);
        for reference in &meta.frameworks {
            assert!(is_framework_reference(reference), "{}: `{reference}` is no reference that we know", meta.id);
        }
        let lines = source.text[source.sql_offset..].lines().filter(|line| !line.trim_start().starts_with("--"));
        let words: BTreeSet<&str> = lines.flat_map(str::split_whitespace).collect();
        // What a rule reads through `signals` it reads too.
        let through = |plane: &str| {
            let below = signals_read(&source, &reference_of_tests()).expect("it can be planned");
            CATALOG.iter().any(|rule| {
                rule.path.starts_with(plane) && below.iter().any(|id| rule.path.ends_with(&format!("/{id}.sql")))
            })
        };
        let identity = words.contains("identity")
            || watershed_schemas::StateTable::ALL.iter().any(|table| words.contains(table.name()));
        let reads = [words.contains("runtime") || through("model"), identity || through("access")];
        match rule.path.split('/').next() {
            Some("model") => assert!(meta.plane == RulePlane::Model && reads == [true, false], "{}", meta.id),
            Some("access") => assert!(meta.plane == RulePlane::Access && reads == [false, true], "{}", meta.id),
            _ => assert_eq!(reads, [true, true], "{}: a rule in cross/ reads both tables", meta.id),
        }
        match meta.plane {
            RulePlane::Model => assert_eq!(meta.owner.as_deref(), Some("ai-security"), "{}", meta.id),
            RulePlane::Access => assert_eq!(meta.owner.as_deref(), Some("iam"), "{}", meta.id),
            RulePlane::Both => assert!(meta.weights.is_some() && meta.owner.is_none(), "{}: both own it", meta.id),
        }
        let planes = meta.plane.planes();
        for plane in watershed_schemas::Plane::ALL {
            let first_move = match plane {
                watershed_schemas::Plane::Model => &meta.first_move.model,
                watershed_schemas::Plane::Access => &meta.first_move.access,
            };
            assert_eq!(first_move.is_some(), planes.contains(&plane), "{}: a first move for its planes alone", meta.id);
        }
    }
    assert!(ids.len() >= 12);
}

/// OWASP agentic (`ASI01:2026`), non-human identity (`NHI1:2025`) and LLM (`LLM01:2025`) lists, MITRE ATLAS and ATT&CK.
fn is_framework_reference(reference: &str) -> bool {
    let owasp = |prefix: &str, year: &str| {
        let number = reference.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(year));
        number.and_then(|number| number.parse::<u8>().ok()).is_some_and(|number| (1..=10).contains(&number))
    };
    let technique = |prefix: &str| {
        reference
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.len() >= 4 && rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
    };
    owasp("ASI", ":2026") || owasp("NHI", ":2025") || owasp("LLM", ":2025") || technique("AML.T") || technique("T")
}

#[test]
fn every_rule_has_the_three_kinds_of_cases() {
    for rule in CATALOG {
        let tests = tests_of(rule);
        let fires = tests.cases.iter().filter(|case| !case.expect.signals.is_empty()).count();
        assert!(fires > 0, "{}: no case fires", rule.path);
        assert!(tests.cases.len() > fires, "{}: no case stays silent", rule.path);
        assert!(
            tests.cases.iter().any(|case| case.is_out_of_order()),
            "{}: no case is late or out of order",
            rule.path
        );
        assert!(
            tests.cases.iter().any(|case| case.expect.verdict.is_some()),
            "{}: no case names the verdict",
            rule.path
        );
    }
}

#[test]
fn every_case_means_what_it_says_in_plain_sql() {
    for (rule, source) in sources() {
        let tests = tests_of(rule);
        let report = run_cases(&source.meta, &tests, &mut |timeline| PlainSql(&source).run(timeline));
        assert!(report.passed() && !report.cases.is_empty(), "\n{report}");
    }
}

#[test]
fn every_case_means_the_same_when_the_rule_is_compiled() {
    let (rules, sources): (Vec<&CatalogRule>, Vec<RuleSource>) = sources().unzip();
    let compiled = compile_set(&sources.iter().collect::<Vec<_>>(), &reference_of_tests());
    assert_eq!(compiled.len(), rules.len());
    for (rule, compiled) in rules.into_iter().zip(compiled) {
        let compiled = compiled.unwrap_or_else(|findings| panic!("{}: {findings:?}", rule.path));
        let report = run_tests(&compiled, &tests_of(rule), &CompiledRun);
        assert!(report.passed() && !report.cases.is_empty(), "\n{report}");
    }
}

/// A threshold or a window that no case feels could be changed without anybody noticing.
#[test]
fn cases_fail_when_the_rule_is_changed() {
    for (id, from, to) in [
        ("repeated-denials-then-allow", ">= 3", ">= 4"),
        ("repeated-denials-then-allow", ">= 3", ">= 2"),
        ("failed-sign-ins-then-success", ">= 5", ">= 4"),
        ("failed-sign-ins-then-success", "'10 minutes'", "'30 minutes'"),
        ("deactivated-account-active", "a.event_time > d.event_time", "a.event_time < d.event_time"),
        ("deactivated-account-active", "d.tenant = u.tenant AND ", ""),
        ("service-account-new-network", "'service', 'workload', 'agent'", "'service', 'workload', 'agent', 'human'"),
        ("service-account-new-network", "(p.asn = i.asn OR p.asn IS NULL OR i.asn IS NULL)", "p.asn = i.asn"),
        ("token-used-after-revocation", "'24 hours'", "'48 hours'"),
        ("tool-call-with-dead-token", "OR r.event_time > i.expires_at", "OR r.event_time > i.event_time"),
        ("grant-then-first-tool-use", "'7 days'", "'1 day'"),
        (
            "flagged-prompt-then-broader-token",
            "AND array_has_all(e.scopes, x.scopes)",
            "AND array_has_all(x.scopes, e.scopes)",
        ),
        ("risk-raised-tools-go-on", "l.event_time > i.event_time", "l.event_time < i.event_time"),
        (
            "denied-action-went-through",
            "x.event_time >= g.event_time",
            "x.event_time >= g.event_time - INTERVAL '1 hour'",
        ),
        ("first-tool-use-then-outbound", "'1 day'", "'1 hour'"),
        ("indirect-injection-then-sensitive-tool", "'30 minutes'", "'60 minutes'"),
        ("indirect-injection-then-sensitive-tool", "NOT LIKE 'prompt%'", "NOT LIKE 'other%'"),
        ("access-finding-then-model-finding", "'30 minutes'", "'60 minutes'"),
        (
            "access-finding-then-model-finding",
            "m.event_time > a.event_time",
            "m.event_time > a.event_time - INTERVAL '1 hour'",
        ),
        ("agent-loop", ">= 100", ">= 101"),
        ("agent-loop", ">= 100", ">= 60"),
        ("agent-loop", "'10 minutes'", "'20 minutes'"),
        ("model-extraction-by-volume", ">= 500", ">= 501"),
        ("model-extraction-by-volume", ">= 500", ">= 499"),
        ("model-extraction-by-volume", "HAVING count(DISTINCT r.content)", "HAVING count(r.content)"),
        ("poisoned-memory-acts-later", "m.session_id <> g.session_id", "m.session_id IS NOT NULL"),
        ("poisoned-memory-acts-later", "'7 days'", "'9 days'"),
        ("poisoned-memory-acts-later", "'30 minutes'", "'60 minutes'"),
        ("revoked-role-still-used", "'15 minutes'", "'5 minutes'"),
        ("revoked-role-still-used", "'24 hours'", "'48 hours'"),
        ("revoked-role-still-used", "array_has_any(u.roles, v.roles)", "u.roles IS NOT NULL"),
        ("revoked-role-still-used", "a.event_time > v.event_time", "a.event_time < v.event_time"),
        ("consent-to-unknown-client", "'1 hour'", "'2 hours'"),
        ("consent-to-unknown-client", "'30 days'", "'9 days'"),
        ("consent-to-unknown-client", "u.country <> c.country", "u.country IS NOT NULL"),
        ("session-in-two-places", "'1 hour'", "'2 hours'"),
        ("session-in-two-places", "a.asn <> b.asn", "a.asn IS NOT NULL"),
        ("session-in-two-places", "a.country <> b.country", "a.country IS NOT NULL"),
        ("session-in-two-places", "a.device_id <> b.device_id", "a.device_id IS NOT NULL"),
        ("guardrail-weakened-then-abused", "NOT g.enforced", "g.enforced IS NOT NULL"),
        ("guardrail-weakened-then-abused", "'24 hours'", "'48 hours'"),
        (
            "guardrail-weakened-then-abused",
            "g.event_time > p.event_time",
            "g.event_time > p.event_time - INTERVAL '1 hour'",
        ),
        ("finding-without-containment", "'15 minutes'", "'16 minutes'"),
        ("finding-without-containment", "c.principal = s.principal", "c.principal IS NOT NULL"),
    ] {
        let (rule, mut source) = sources().find(|(_, source)| source.meta.id == id).expect(id);
        assert!(source.text.contains(from), "{id}: `{from}` is no longer there");
        source.text = source.text.replace(from, to);
        source.sql_offset = source.text.find("---*/").expect("it has a front matter") + 5;
        let report = run_cases(&source.meta, &tests_of(rule), &mut |timeline| PlainSql(&source).run(timeline));
        let failed = report.cases.iter().any(|case| matches!(case.result, CaseResult::Failed(_)));
        assert!(failed, "{id}: no case notices `{from}` becoming `{to}`");
    }
}

#[test]
fn export_writes_everything_once_and_overwrites_nothing() {
    let folder = std::env::temp_dir().join(format!("watershed-export-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let written = export(&folder).expect("an empty folder");
    assert_eq!(written.len(), 2 * CATALOG.len() + REFERENCE.len());
    for rule in CATALOG {
        assert_eq!(std::fs::read_to_string(folder.join(rule.path)).expect("it was written"), rule.sql);
    }
    assert_eq!(export(&folder).expect("the same again"), written);
    std::fs::write(&written[0], "mine").expect("a person edits a rule");
    let error = export(&folder).expect_err("the edit must not be lost").to_string();
    assert!(error.contains("differs"), "{error}");
    assert_eq!(std::fs::read_to_string(&written[0]).expect("it is still there"), "mine");
    std::fs::remove_dir_all(&folder).expect("the folder was ours");
}
