//! What only all parts of a configuration together show.

use std::fs;
use std::path::Path;

use super::*;

/// Checks `minimal.toml` with more in it.
fn with(more: &str) -> Checked {
    let minimal = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/minimal.toml");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("watershed.toml");
    let text = fs::read_to_string(minimal).expect("the fixture is there");
    fs::write(&path, format!("{text}\n{more}\n")).expect("it can be written");
    check(&path)
}

fn finds(more: &str, said: &str, level: Level) {
    let checked = with(more);
    let found = checked.problems.iter().find(|problem| problem.message.contains(said));
    let found = found.unwrap_or_else(|| panic!("`{said}` is not said:\n{}", checked.problems));
    assert_eq!(found.level, level, "{found}");
    assert!(found.line.is_some(), "{found}");
}

#[test]
fn the_catalog_is_fine() {
    let checked = with("");
    assert!(!checked.problems.any_error(), "{}", checked.problems);
    assert_eq!(checked.summary, "29 rules, 2 receivers of ai-security and iam");
}

#[test]
fn who_is_grouped_by_session_is_listed() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("agents.csv"), "agent_id,shared\nmailer,true\nclerk,false\n").expect("written");
    let reference = directory.path().display();
    let checked = with(&format!("[reference]\ndir = \"{reference}\"\n[incidents]\nshared_principals = [\"svc\"]"));
    assert!(checked.summary.ends_with("; by session and not by principal: mailer, svc"), "{}", checked.summary);
}

#[test]
fn rules_that_are_not_there_are_named() {
    finds("[rules]\ndisable = [\"no-such\"]", "there is no rule `no-such`", Level::Error);
    finds("[rules.override.no-such]\nmode = \"shadow\"", "there is no rule `no-such`", Level::Error);
    finds("[[routing.routes]]\nrule = [\"no-such\"]\nreceivers = [\"ai\"]", "there is no rule `no-such`", Level::Error);
    finds(
        "[[routing.routes]]\ntag = [\"no-such\"]\nreceivers = [\"ai\"]",
        "no rule carries the tag `no-such`",
        Level::Warning,
    );
}

#[test]
fn a_weight_of_a_plane_that_the_rule_says_nothing_of_is_refused() {
    let weighs = |weights: &str| format!("[rules.override.repeated-denials-then-allow]\nweights = {weights}");
    let said = "a weight for the access plane counts for nothing; leave `access` out";
    finds(&weighs("{ model = 0.5, access = 1.0 }"), said, Level::Error);
    for weights in ["0.5", "{ model = 0.5 }", "{ model = 0.5, access = 0 }"] {
        let checked = with(&weighs(weights));
        assert!(!checked.problems.any_error(), "{weights}: {}", checked.problems);
    }
}

#[test]
fn an_engine_that_nobody_operates_is_warned_of() {
    finds("", "none is of team \"operator\"", Level::Warning);
    let checked = with("[[receivers]]\nname = \"ops\"\nteam = \"operator\"\ntype = \"stdout\"");
    assert!(!checked.problems.to_string().contains("operator"), "{}", checked.problems);
}

#[test]
fn a_disabled_rule_does_not_run() {
    let checked = with("[rules]\ndisable = [\"repeated-denials-then-allow\"]");
    assert!(!checked.problems.any_error(), "{}", checked.problems);
    assert!(checked.summary.starts_with("28 rules"), "{}", checked.summary);
    // Of those whose signals another rule reads it is one.
    assert_eq!(checked.problems.iter().filter(|problem| problem.setting == "W057").count(), 1, "{}", checked.problems);
}

#[test]
fn a_rule_over_signals_needs_one_that_speaks() {
    let all = ["deactivated-account-active", "failed-sign-ins-then-success", "token-used-after-revocation"];
    let checked = with(&format!("[rules]\ndisable = {all:?}"));
    assert!(checked.problems.any_error());
    assert!(
        checked.problems.to_string().contains("is disabled, so that it has no signals to read"),
        "{}",
        checked.problems
    );
    let more = [&all[..], &["finding-without-containment"]].concat();
    let checked = with(&format!("[rules]\ndisable = {more:?}"));
    assert!(!checked.problems.any_error(), "{}", checked.problems);
}

#[test]
fn a_rule_of_ones_own_takes_the_place_of_the_catalogs() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let rule = watershed_rules::catalog::CATALOG[0];
    let name = Path::new(rule.path).file_name().expect("it has a name");
    fs::write(directory.path().join(name), rule.sql).expect("it can be written");
    let more = format!("[rules]\npaths = [\"{}\"]", directory.path().display());
    let checked = with(&more);
    assert!(!checked.problems.any_error(), "{}", checked.problems);
    assert!(checked.summary.starts_with("29 rules"), "{}", checked.summary);
}

#[test]
fn a_rule_that_does_not_plan_is_found_with_file_and_line() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let rule = watershed_rules::catalog::CATALOG[0];
    let name = Path::new(rule.path).file_name().expect("it has a name");
    let path = directory.path().join(name);
    fs::write(&path, format!("{}\nLIMIT 3", rule.sql.trim_end().trim_end_matches(';'))).expect("it can be written");
    let checked = with(&format!("[rules]\npaths = [\"{}\"]", directory.path().display()));
    let found = checked.problems.iter().find(|problem| problem.file == path).expect("the rule is refused");
    assert_eq!(found.level, Level::Error);
    assert!(found.line.is_some_and(|line| line > 1), "{found}");
    assert!(checked.problems.any_error());
}

#[test]
fn an_unreadable_reference_table_is_found() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("agents.csv"), "agent_id\n\"").expect("it can be written");
    let checked = with(&format!("[reference]\ndir = \"{}\"", directory.path().display()));
    assert!(checked.problems.any_error(), "{}", checked.problems);
    assert!(checked.problems.to_string().contains("agents.csv"), "{}", checked.problems);
}

#[test]
fn parameters_that_a_rule_can_t_have_are_named_with_their_line() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let rule = directory.path().join("many-calls.sql");
    let file = watershed_rules::Code::Parameter.example().good.file();
    fs::write(&rule, file).expect("it can be written");
    let tuned = |parameters: &str| {
        format!("[rules]\npaths = [{rule:?}]\n[rules.override.many-calls]\nparameters = {parameters}\n")
    };
    let fine = with(&tuned("{calls = 7}"));
    assert!(!fine.problems.any_error(), "{}", fine.problems);
    finds(&tuned("{calls = \"seven\"}"), "is a text, where `calls` of the rule is a whole number", Level::Error);
    finds(&tuned("{limit = 7}"), "`many-calls` has no such parameter; it has calls", Level::Error);
    let catalog = "[rules.override.repeated-denials-then-allow]\nparameters = {calls = 7}";
    finds(catalog, "`repeated-denials-then-allow` has no parameters", Level::Error);
}

#[test]
fn exceptions_are_held_against_what_there_is() {
    let exception = |rules: &str, matches: &str, reason: &str, until: &str| {
        format!(
            "[[rules.exceptions]]\nrules = [\"{rules}\"]\nmatch = {matches}\nauthor = \"ana\"\nreason = \"{reason}\"\nuntil = \"{until}\""
        )
    };
    let known = "repeated-denials-then-allow";
    let fine = with(&exception(known, "{principal = \"a\"}", "why", "2999-01-01T00:00:00Z"));
    assert!(!fine.problems.any_error(), "{}", fine.problems);
    finds(
        &exception("no-such", "{principal = \"a\"}", "why", "2999-01-01T00:00:00Z"),
        "there is no rule `no-such`",
        Level::Error,
    );
    for (rules, message) in [
        (known, "`repeated-denials-then-allow` does not say `principl` of its findings; it says"),
        ("", "no rule says `principl` of its findings"),
    ] {
        let excepted = exception(rules, "{principl = \"a\"}", "why", "2999-01-01T00:00:00Z");
        finds(&excepted.replace("rules = [\"\"]\n", ""), message, Level::Error);
    }
    // Of all rules those are meant that have the column.
    let some = exception("", "{tool = \"a\"}", "why", "2999-01-01T00:00:00Z").replace("rules = [\"\"]\n", "");
    assert!(!with(&some).problems.any_error(), "{}", with(&some).problems);
}

#[test]
fn rules_and_tags_that_silences_and_inhibitions_ask_for_must_be_there() {
    let silence = |matcher: &str| {
        format!(
            "[[routing.silences]]\nmatchers = ['{matcher}']\nauthor = \"ana\"\nreason = \"why\"\nends = \"2999-01-01T00:00:00Z\""
        )
    };
    finds(&silence("rule=\"no-such\""), "there is no rule `no-such`", Level::Error);
    finds(&silence("tag=\"no-such\""), "no rule carries the tag `no-such`", Level::Warning);
    let known = with(&silence("rule=\"repeated-denials-then-allow\""));
    assert!(!known.problems.any_error(), "{}", known.problems);
    for side in ["source", "target"] {
        let other = if side == "source" { "target" } else { "source" };
        let inhibition = format!(
            "[[routing.inhibitions]]\n{side} = ['rule=\"no-such\"']\n{other} = ['severity=\"low\"']\nequal = [\"tenant\"]"
        );
        finds(&inhibition, "there is no rule `no-such`", Level::Error);
    }
}
