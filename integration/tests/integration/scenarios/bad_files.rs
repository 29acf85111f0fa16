//! What a scenario may not be: each mistake is found, with its line.

use std::path::Path;

use watershed_integration::scenarios::Scenario;

/// A scenario without a mistake, to put one into.
const GOOD: &str = "\
id: good
title: A token is replayed
story: It was revoked before.
events:
  - {at: 00:00, name: revoke, identity: token_revoked, principal: ada, credential_id: jti-1}
  - {at: 00:05, name: use, identity: token_used, principal: ada, credential_id: jti-1}
expect:
  - by: 00:08
    incident: ada
    verdict: access_compromise
    origin: access
    severity: high
    coverage: {model: observed, access: observed}
    rules: [token-used-after-revocation]
    told: {iam: opened}
never:
  - {to: ai-security}
twin:
  title: Nobody had revoked it
  without: [revoke]
  nothing: true
";

fn faults(text: &str) -> Vec<String> {
    match Scenario::parse(Path::new("good.yaml"), text) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_scenario_that_proves_nothing_is_refused_with_its_line() {
    assert_eq!(faults(GOOD), [""; 0]);
    for (from, to, expected) in [
        ("id: good", "id: other", "good.yaml:1: the id is `other`"),
        ("title: A token", "titel: A token", "good.yaml:2: "),
        ("name: use,", "name: revoke,", "good.yaml:6: another event has the name `revoke`"),
        ("token_used", "token_borrowed", "good.yaml:6: `token_borrowed` is not a kind of `identity`"),
        ("at: 00:05", "at: 5 o'clock", "good.yaml:6: `5 o'clock` is not a time of a story"),
        ("name: use, identity: token_used", "again: usage", "good.yaml:6: `again` repeats an event as it was"),
        (
            "principal: ada, credential_id: jti-1}\nexpect",
            "principle: ada}\nexpect",
            "`identity` has no column `principle`",
        ),
        ("    verdict: access_compromise\n", "", "good.yaml:8: the first word on an incident must say its `verdict`"),
        (
            "    rules: [token-used-after-revocation]\n",
            "",
            "good.yaml:8: the first word on an incident must say its `rules`",
        ),
        ("told: {iam: opened}", "told: {}", "good.yaml:8: `told` must say who hears of it"),
        ("told: {iam: opened}", "told: {iam: []}", "good.yaml:8: `told` must say who hears of it"),
        ("told: {iam: opened}", "told: {iam: openend}", "good.yaml:15: "),
        (
            "told: {iam: opened}",
            "told: {iam: opened}\n    reads: {ai-security: [x]}",
            "`ai-security` can't read anything",
        ),
        (
            "told: {iam: opened}",
            "told: {iam: opened}\n    lists: {ai-security: [ada]}",
            "`ai-security` can't read anything",
        ),
        (
            "told: {iam: opened}",
            "told: {iam: opened}\n    nobody: true",
            "good.yaml:8: `nobody: true` and `told` contradict each other",
        ),
        (
            "told: {iam: opened}",
            "status: merged\n    told: {iam: opened}",
            "good.yaml:8: what is `merged` says `into` which incident",
        ),
        ("    incident: ada\n", "", "good.yaml:8: say whom it is about"),
        ("{to: ai-security}", "{to: iam}", "good.yaml:17: anything to iam is what line 8 expects"),
        ("{to: ai-security}", "{}", "good.yaml:17: it forbids nothing"),
        ("{to: ai-security}", "{text: hunter2}", "good.yaml:17: no event says `hunter2`"),
        ("{to: ai-security}", "{about: bob}", "good.yaml:17: no event names `bob`"),
        ("  - {to: ai-security}", "  []", "say under `never` what must not be sent"),
        ("without: [revoke]", "without: [nobody]", "no event has the name `nobody`"),
        ("  without: [revoke]\n", "", "the twin is the story itself"),
        ("  nothing: true", "  nothing: false", "nothing is expected"),
        (
            "  nothing: true\n",
            "  expect:\n  - {by: 00:08, incident: ada, verdict: access_compromise, origin: access, severity: high, coverage: \
             {model: observed, access: observed}, rules: [token-used-after-revocation], told: {iam: opened}}\n",
            "the twin ends as the story does",
        ),
        (
            "events:\n",
            "silent: [{plane: access, from: 00:03}]\nevents:\n",
            "good.yaml:7: `use` arrives while its plane is silent",
        ),
        ("expect:\n", "nothing: true\nexpect:\n", "`nothing: true` and `expect` contradict each other"),
    ] {
        assert!(GOOD.contains(from), "`{from}` is not there");
        let found = faults(&GOOD.replacen(from, to, 1));
        assert!(found.iter().any(|fault| fault.contains(expected)), "`{to}`: {found:#?}");
    }
}
