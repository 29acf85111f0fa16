use std::path::Path;

use watershed_schemas::{IncidentStatus, RulePlane, Severity, Verdict};

use super::plain_sql::PlainSql;
use super::*;
use crate::front_matter::RuleSource;

const RULE: &str = "/*---
id: paid
title: Somebody paid
plane: model
severity: low
key: [pay_event_id]
---*/
SELECT event_time, tenant, principal, session_id, event_id AS pay_event_id, tool, input_tokens
FROM runtime WHERE kind = 'tool_call' AND tool = 'pay'";

fn rule() -> RuleSource {
    RuleSource::parse(Path::new("paid.sql"), RULE).expect("the rule is well-formed")
}

/// Runs one case, written without its name, and returns the words of its result.
fn check(case: &str) -> CaseResult {
    let text = format!("cases:\n  - name: a case\n{case}");
    let file = match TestFile::parse(Path::new("paid.test.yaml"), &text) {
        Ok(file) => file,
        Err(errors) => return CaseResult::Invalid(errors.iter().map(ToString::to_string).collect()),
    };
    let source = rule();
    let mut report = run_cases(&source.meta, &file, &mut |timeline| {
        let mut outcome = PlainSql(&source).run(timeline.clone())?;
        let looked_at = timeline.iter().filter(|event| event.row["kind"] == "tool_call").count();
        outcome.scans_matched = vec![vec![looked_at as u64]];
        Ok(outcome)
    });
    report.cases.pop().expect("one case").result
}

fn words(result: &CaseResult) -> String {
    match result {
        CaseResult::Passed => "passed".to_owned(),
        CaseResult::Failed(lines) | CaseResult::Invalid(lines) => lines.join("\n"),
    }
}

#[test]
fn a_case_that_holds_passes() {
    let case = "    events:
      - {at: 0s, runtime: tool_call, tool: pay, principal: ada, session_id: s-1, input_tokens: 7}
      - {at: 1m, runtime: tool_call, id: p2, tool: pay, tenant: acme}
      - {at: 1m, runtime: tool_call, tool: read}
    signals:
      - {key: {pay_event_id: p2}, at: 1m}
      - {key: {pay_event_id: e1}, at: 2026-03-02T09:00:00Z, principal: ada, session_id: s-1, evidence: [e1],
         details: {tool: pay, input_tokens: 7}}
    verdict: model_abuse
    owner: ai-security
";
    assert_eq!(check(case), CaseResult::Passed);
}

#[test]
fn every_difference_is_named() {
    let paid = "    events: [{at: 0s, runtime: tool_call, tool: pay, principal: ada, input_tokens: 7}]\n";
    for (expect, difference) in [
        ("none: true", "a signal that was not expected: key {pay_event_id: e1}, evidence [e1]"),
        (
            "signals: [{key: {pay_event_id: e1}, at: 5s}]",
            "event_time is 2026-03-02T09:00:00Z, expected 2026-03-02T09:00:05Z",
        ),
        ("signals: [{key: {pay_event_id: e1}, principal: bob}]", "principal is ada, expected bob"),
        ("signals: [{key: {pay_event_id: e1}, session_id: s}]", "session_id is NULL, expected s"),
        ("signals: [{key: {pay_event_id: e1}, evidence: []}]", "evidence is [e1], expected []"),
        ("signals: [{key: {pay_event_id: e1}, details: {tool: buy}}]", "tool is \"pay\", expected \"buy\""),
        ("signals: [{key: {pay_event_id: e1}, details: {input_tokens: 8}}]", "input_tokens is 7, expected 8"),
        ("signals: [{key: {pay_event_id: e1}, details: {sum: 8}}]", "sum is not an output column, expected one of"),
        ("signals: [{key: {pay_event_id: e1}, withdrawn: true}]", "it is standing, expected withdrawn"),
        ("signals: [{key: {pay_event_id: e1}}]\n    verdict: both", "verdict is model_abuse, expected both"),
        (
            "signals: [{key: {pay_event_id: e1}}]\n    owner: [iam, ai-security]",
            "owner is [ai-security], expected [ai-security, iam]",
        ),
    ] {
        let result = check(&format!("{paid}    {expect}\n"));
        assert!(matches!(result, CaseResult::Failed(_)), "{expect}: {result:?}");
        assert!(words(&result).contains(difference), "{expect}: {}", words(&result));
    }
    let silent = "    events: [{at: 0s, runtime: tool_call, tool: read}]\n    signals: [{key: {pay_event_id: e1}}]\n";
    let result = check(silent);
    assert!(words(&result).contains("no signal with the key {pay_event_id: e1}"), "{result:?}");
}

#[test]
fn a_case_that_can_prove_nothing_is_invalid() {
    let paid = "    events: [{at: 0s, runtime: tool_call, tool: pay}]\n";
    for (case, reason) in [
        (paid.to_owned(), "expects nothing"),
        (format!("{paid}    signals: []\n"), "write `none: true`"),
        (format!("{paid}    verdict: both\n"), "names no signals"),
        (format!("{paid}    none: true\n    verdict: both\n"), "leave `verdict` and `owner` out"),
        (
            format!("{paid}    none: true\n    signals: [{{key: {{pay_event_id: e1}}}}]\n"),
            "both `signals` and `none: true`",
        ),
        (
            format!("{paid}    signals: [{{key: {{call_event_id: e1}}}}]\n"),
            "`call_event_id` is not in the rule's key, which is pay_event_id",
        ),
        (format!("{paid}    signals: [{{key: {{}}}}]\n"), "the key's `pay_event_id` is missing"),
        (format!("{paid}    signals: [{{key: {{pay_event_id: e2}}}}]\n"), "no event of the case has the id `e2`"),
        (
            format!("{paid}    signals: [{{key: {{pay_event_id: e1}}, evidence: [e9]}}]\n"),
            "no event of the case has the id `e9`",
        ),
        (
            format!("{paid}    signals: [{{key: {{pay_event_id: e1}}}}, {{key: {{pay_event_id: e1}}}}]\n"),
            "another expected signal has this key",
        ),
        ("    events: []\n    none: true\n".to_owned(), "no events"),
        (
            "    events: [{at: 0s, runtime: prompt}]\n    none: true\n".to_owned(),
            "no scan of the rule looks at any of the events",
        ),
    ] {
        let result = check(&case);
        assert!(matches!(result, CaseResult::Invalid(_)), "{case}: {result:?}");
        assert!(words(&result).contains(reason), "{case}: {}", words(&result));
    }
}

#[test]
fn a_wrong_event_is_named_with_its_line() {
    for (event, reason) in [
        ("{at: 0s, runtime: tool_call, tol: pay}", "`runtime` has no column `tol`"),
        ("{at: 0s, runtime: toolcall}", "`toolcall` is not a kind of `runtime`; kinds are prompt"),
        ("{at: 0s, identity: tool_call}", "`tool_call` is not a kind of `identity`"),
        ("{at: 0s, tool: pay}", "either `runtime: <kind>` or `identity: <kind>`"),
        ("{at: 0s, runtime: prompt, identity: authentication}", "either"),
        ("{runtime: prompt}", "`at` is missing"),
        ("{at: 5, runtime: prompt}", "`at` is 5"),
        ("{at: soon, runtime: prompt}", "`soon` is not a time"),
        ("{at: 0s, arrive: 5, runtime: prompt}", "`arrive` is 5"),
        ("{at: 0s, runtime: prompt, event_id: x}", "`event_id` is said by `id`"),
        ("{at: 0s, runtime: prompt, kind: x}", "`kind` is said by"),
        ("{at: 0s, runtime: prompt, input_tokens: many}", "`input_tokens` is \"many\", but the column is a BIGINT"),
        ("{at: 0s, runtime: prompt, principal: 7}", "`principal` is 7, but the column is a VARCHAR"),
        ("{at: 0s, runtime: prompt, tenant: null}", "`tenant` can't be null"),
        ("{at: 0s, identity: token_issued, scopes: read}", "but the column is a VARCHAR[]"),
        ("{at: 0s, runtime: prompt, times: 1}", "`times` is 1"),
        ("{at: 0s, runtime: prompt, every: 1s}", "`every` needs `times`"),
    ] {
        let result = check(&format!("    events:\n      - {event}\n    none: true\n"));
        let words = words(&result);
        assert!(matches!(result, CaseResult::Invalid(_)), "{event}: {result:?}");
        assert!(words.contains(reason) && words.contains("paid.test.yaml:4:"), "{event}: {words}");
    }
}

#[test]
fn a_wrong_file_is_named_with_its_line() {
    for (text, line, reason) in [
        ("cases: []", 1, "no cases"),
        ("cases:\n  - name: a\n    event: []\n", 3, "event"),
        ("start: monday\ncases: []\n", 1, "monday"),
        (
            "defaults: {runtime: {tol: x}}\ncases:\n  - {name: a, events: [{at: 0s, runtime: prompt}], none: true}\n",
            1,
            "tol",
        ),
        ("cases: [", 1, ""),
        (
            "cases:\n  - {name: a, events: [{at: 0s, runtime: prompt}], none: true}\n  \
             - {name: a, events: [{at: 0s, runtime: prompt}], none: true}\n",
            3,
            "another case has the name `a`",
        ),
        (
            "cases:\n  - name: a\n    none: true\n    events:\n      - {at: 0s, runtime: prompt, id: x}\n      \
             - {at: 0s, runtime: prompt, id: x}\n",
            2,
            "two events of one stream have the id \"x\"",
        ),
    ] {
        let errors = TestFile::parse(Path::new("f.test.yaml"), text).expect_err(text);
        assert_eq!(errors[0].line, line, "{text}: {}", errors[0]);
        assert!(errors[0].to_string().contains(reason), "{text}: {}", errors[0]);
    }
}

#[test]
fn a_timeline_is_in_order_of_arrival() {
    let text = "start: 2026-01-01T00:00:00Z
defaults: {tenant: acme, runtime: {session_id: s-1, principal: ada}}
cases:
  - name: a
    events:
      - {at: 1m, arrive: 10m, runtime: prompt, id: late, session_id: null}
      - {at: 2m, identity: token_issued, id: issued, country: NO, expires_at: 1h, scopes: [a, b]}
      - {at: -1d, runtime: tool_call, id: call, times: 2, every: 30s}
    none: true
";
    let file = TestFile::parse(Path::new("f.test.yaml"), text).expect("it is well-formed");
    let case = &file.cases[0];
    let ids: Vec<&str> = case.timeline.iter().filter_map(|event| event.row["event_id"].as_str()).collect();
    assert_eq!(ids, ["call-1", "call-2", "issued", "late"]);
    assert!(case.is_out_of_order());
    let [first, second, issued, late] = &case.timeline[..] else { panic!("four events") };
    assert_eq!(first.row["event_time"], "2025-12-31T00:00:00Z");
    assert_eq!(second.row["event_time"], "2025-12-31T00:00:30Z");
    assert_eq!((first.row["session_id"].as_str(), late.row.get("session_id")), (Some("s-1"), None));
    assert_eq!(
        (late.row["event_time"].as_str(), late.row["ingest_time"].as_str()),
        (Some("2026-01-01T00:01:00Z"), Some("2026-01-01T00:10:00Z"))
    );
    assert_eq!((issued.plane, issued.row["country"].as_str()), (Plane::Access, Some("NO")));
    assert_eq!(issued.row["expires_at"], "2026-01-01T01:00:00Z");
    assert!(issued.row.get("principal").is_none() && issued.row["tenant"] == "acme");
}

#[test]
fn only_the_last_state_counts_and_merged_incidents_do_not() {
    let rule = rule();
    let expect = |text: &str| {
        let text = format!("cases:\n  - {{name: a, events: [{{at: 0s, runtime: tool_call, tool: pay}}], {text}}}\n");
        TestFile::parse(Path::new("f.test.yaml"), &text).expect("it is well-formed").cases.remove(0)
    };
    let fires = expect("signals: [{key: {pay_event_id: e1}}], verdict: model_abuse");
    let mut outcome = PlainSql(&rule).run(fires.timeline.clone()).expect("the SQL runs");
    let mut taken_back = outcome.signals[0].clone();
    (taken_back.revision, taken_back.withdrawn) = (2, true);
    let mut merged = outcome.incidents[0].clone();
    (merged.revision, merged.status, merged.verdict) = (2, IncidentStatus::Merged, Verdict::Both);
    outcome.incidents.push(merged);
    assert_eq!(differences(&rule.meta, &fires.expect, &outcome), ["no incident, so neither verdict nor owner"]);
    outcome.signals.push(taken_back);
    let withdrawn = expect("signals: [{key: {pay_event_id: e1}, withdrawn: true}]");
    assert_eq!(differences(&rule.meta, &withdrawn.expect, &outcome), [""; 0]);
    let none = expect("none: true");
    assert!(differences(&rule.meta, &none.expect, &outcome)[0].ends_with("sent and withdrawn"));
    assert_eq!((rule.meta.plane, rule.meta.severity), (RulePlane::Model, Severity::Low));
}

#[test]
fn reports_are_readable_by_people_and_build_servers() {
    let case = |name: &str, line: u64, result: CaseResult| CaseReport { name: name.to_owned(), line, result };
    let report = RuleReport {
        rule: "paid".to_owned(),
        file: "model/paid.test.yaml".into(),
        cases: vec![
            case("fires", 2, CaseResult::Passed),
            case("is <silent>", 9, CaseResult::Failed(vec!["one".to_owned(), "two & three".to_owned()])),
        ],
    };
    assert_eq!(
        report.to_string(),
        "pass    paid: fires\nFAIL    paid: is <silent>  (model/paid.test.yaml:9)\n          one\n          two & three\n"
    );
    assert!(!report.passed());
    let unusable = RuleReport::unusable("free", "free.test.yaml".into(), vec!["there is no test file".to_owned()]);
    assert!(!unusable.passed());
    let mut xml = Vec::new();
    write_junit(&[report, unusable], &mut xml).expect("a vector takes it");
    let xml = String::from_utf8(xml).expect("XML is text");
    assert!(xml.contains(r#"<testsuite name="paid" tests="2" skipped="0" errors="0" failures="1">"#), "{xml}");
    assert!(
        xml.contains(r#"<testcase name="is &lt;silent&gt;" classname="paid" file="model/paid.test.yaml" line="9">"#),
        "{xml}"
    );
    assert!(xml.contains(r#"<failure message="one">one"#) && xml.contains("two &amp; three"), "{xml}");
    assert!(xml.contains(r#"<error message="there is no test file">"#), "{xml}");
}
