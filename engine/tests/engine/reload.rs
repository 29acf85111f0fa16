//! Rules and reference data that change while the engine runs.

use std::sync::Arc;

use serde_json::Value;
use watershed_engine::core::{Input, Settings};
use watershed_engine::evaluator::{RuleChange, RuleSetup};
use watershed_rules::{CompiledRule, ReferenceTables};
use watershed_schemas::{Mark, Plane, Severity, Timestamp};

use crate::driver::{Driver, partition, settings};
use crate::history::{Event, MINUTE, START, as_written, rule, rule_over};

pub(crate) fn sign_in(minute: i64, principal: usize) -> Event {
    Event { access: true, kind: 1, time: minute * MINUTE, principal: Some(principal), ..Event::default() }
}

pub(crate) fn prompt(minute: i64, principal: usize) -> Event {
    Event { kind: 2, time: minute * MINUTE, principal: Some(principal), ..Event::default() }
}

pub(crate) fn at(minute: i64) -> Timestamp {
    Timestamp::from_micros(START + minute * MINUTE)
}

/// A prompt within so many minutes after a sign-in, with one more condition on the prompt.
pub(crate) fn followed(minutes: i64, condition: &str) -> Arc<CompiledRule> {
    rule(
        "followed",
        "access",
        "key: [prompt_event_id]",
        &format!(
            "SELECT r.event_time, r.tenant, r.principal, r.event_id AS prompt_event_id, i.event_id AS login_event_id
             FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal
              AND r.event_time BETWEEN i.event_time AND i.event_time + INTERVAL '{minutes} minutes'
             WHERE r.kind = 'prompt' AND i.kind = 'authentication' {condition}"
        ),
    )
}

/// A prompt that no sign-in of the last ten minutes explains.
pub(crate) fn unexplained() -> Arc<CompiledRule> {
    unexplained_within(10)
}

fn unexplained_within(minutes: u32) -> Arc<CompiledRule> {
    rule(
        "unexplained",
        "model",
        "key: [prompt_event_id]",
        &format!(
            "SELECT r.event_time, r.tenant, r.principal, r.event_id AS prompt_event_id FROM runtime r
             WHERE r.kind = 'prompt' AND NOT EXISTS (SELECT 1 FROM identity i WHERE i.tenant = r.tenant AND i.principal = r.principal
               AND i.kind = 'authentication' AND i.event_time BETWEEN r.event_time - INTERVAL '{minutes} minutes' AND r.event_time)"
        ),
    )
}

pub(crate) fn busy(least: usize) -> Arc<CompiledRule> {
    rule(
        "busy",
        "model",
        "key: [principal, bucket]",
        &format!(
            "SELECT date_bin(INTERVAL '10 minutes', event_time) AS event_time, tenant, principal,
                    date_bin(INTERVAL '10 minutes', event_time) AS bucket, count(*) AS n, array_agg(event_id) AS seen_event_ids
             FROM runtime WHERE kind = 'prompt'
             GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) HAVING count(*) >= {least}"
        ),
    )
}

/// A driver under these rules that has taken these rows.
pub(crate) fn played(rules: &[Arc<CompiledRule>], history: &[Event], which: std::ops::Range<usize>) -> Driver {
    let mut driver = Driver::new(settings(), as_written(rules));
    driver.assign();
    play(&mut driver, history, which);
    driver
}

pub(crate) fn play(driver: &mut Driver, history: &[Event], which: std::ops::Range<usize>) {
    for at in which {
        driver.step_rows(history, &[at]);
    }
}

/// Rule, evidence and marks of every statement after so many of them.
pub(crate) fn said(driver: &Driver, skip: usize) -> Vec<(String, String, Vec<Mark>)> {
    let said = driver.signals().skip(skip);
    said.map(|signal| (signal.rule.clone(), signal.evidence.join(" "), signal.marks.iter().copied().collect()))
        .collect()
}

pub(crate) fn line(rule: &str, evidence: &str, marks: &[Mark]) -> (String, String, Vec<Mark>) {
    (rule.to_owned(), evidence.to_owned(), marks.to_vec())
}

/// How often somebody was told of something.
pub(crate) fn told(driver: &Driver) -> usize {
    driver.outputs.iter().map(|output| output.tellings.len()).sum()
}

#[test]
fn a_rule_that_stays_the_same_keeps_its_state() {
    let history = [sign_in(0, 0), prompt(3, 0)];
    let mut driver = played(&[followed(10, "")], &history, 0..1);
    let before = driver.status("followed");
    let news = driver.reload(as_written(&[busy(2), followed(10, "")])).rules.clone();
    assert_eq!(
        news.iter().map(|news| (news.rule.as_str(), &news.change)).collect::<Vec<_>>(),
        [("busy", &RuleChange::Added)]
    );
    assert_eq!(driver.status("followed"), before);
    play(&mut driver, &history, 1..2);
    assert_eq!(said(&driver, 0), [line("followed", "i0 r1", &[])]);
}

#[test]
fn an_added_rule_says_what_is_true_in_any_case_and_holds_back_the_rest() {
    let history = [
        sign_in(0, 0),
        prompt(1, 0),
        // Here the rules are added.
        prompt(2, 0),
        prompt(3, 0),
        sign_in(12, 1),
        prompt(11, 0),
        prompt(12, 2),
        sign_in(40, 1),
        prompt(40, 1),
        prompt(41, 1),
    ];
    let mut driver = played(&[followed(10, "")], &history, 0..2);
    let first = driver.signals().count();
    let news = driver.reload(as_written(&[busy(2), followed(10, ""), unexplained()])).rules.clone();
    let until = |id: &str| news.iter().find(|news| news.rule == id).and_then(|news| news.warming_until);
    // A bucket that begins after minute one is whole, and so are ten minutes without a sign-in after minute zero.
    assert_eq!((until("busy"), until("unexplained")), (Some(at(1)), Some(at(10))));
    assert_eq!(driver.status("unexplained").warming_until, Some(at(10)));
    play(&mut driver, &history, 2..history.len());
    let said: Vec<_> = said(&driver, first).into_iter().filter(|(rule, ..)| rule != "followed").collect();
    assert_eq!(
        said,
        [
            // The prompt of the first minute is not in it: partial.
            line("busy", "r2 r3", &[Mark::Partial]),
            line("unexplained", "r5", &[]),
            line("unexplained", "r6", &[]),
            line("busy", "r8 r9", &[]),
        ]
    );
    // The prompts of minutes two and three were explained by a sign-in that it never saw.
    assert_eq!(driver.status("unexplained").tally.held_back, 2);
    assert_eq!(driver.status("unexplained").warming_until, None, "it is warm");
}

#[test]
fn a_removed_rule_leaves_nothing_behind() {
    let history = [sign_in(0, 0), prompt(1, 0), prompt(2, 0)];
    let mut driver = played(&[busy(2), followed(10, "")], &history, 0..3);
    assert!(!driver.disk.under(b"e/followed/").is_empty());
    let news = driver.reload(as_written(&[busy(2)])).rules.clone();
    assert_eq!(
        news.iter().map(|news| (news.rule.as_str(), &news.change)).collect::<Vec<_>>(),
        [("followed", &RuleChange::Removed)]
    );
    assert!(driver.disk.under(b"e/followed/").is_empty() && driver.disk.under(b"r/followed").is_empty());
    assert_eq!(driver.disk.under(b"s/").len(), 2, "the sign-in's segment is nobody's now");
    assert!(!driver.disk.under(b"e/busy/").is_empty() && !driver.disk.under(b"r/busy").is_empty());
    // While the process is down it is the same.
    driver.restart_with(Vec::new());
    driver.step_rows(&[prompt(3, 0)], &[0]);
    assert!(driver.disk.under(b"e/").is_empty() && driver.disk.under(b"r/").is_empty());
}

#[test]
fn an_edited_rule_goes_on_where_the_old_version_was() {
    // The new version asks for more: what the old one has kept is all that it needs.
    let edited = || followed(10, "AND r.tool <> 'none'");
    let history = [sign_in(0, 0), prompt(3, 0), prompt(4, 0)];
    for while_down in [false, true] {
        let mut driver = played(&[followed(10, "")], &history, 0..2);
        assert_eq!((driver.signals().count(), told(&driver)), (1, 1));
        if while_down {
            driver.restart_with(as_written(&[edited()]));
        } else {
            driver.reload(as_written(&[edited()]));
        }
        // Not flooded: what had been said is said under the new version, and nobody hears of it again.
        assert_eq!(said(&driver, 1), [line("followed", "i0 r1", &[Mark::Backfilled])], "while down: {while_down}");
        assert_eq!((told(&driver), driver.core.open_incidents()), (1, 1));
        assert_eq!(driver.status("followed").warming_until, None, "nothing is missing");
        // Not swallowed: the sign-in came before the edit, the prompt after it.
        let incidents = driver.step_rows(&history, &[2]).incidents.clone();
        assert_eq!(said(&driver, 2), [line("followed", "i0 r2", &[])]);
        assert_eq!(incidents.len(), 1);
        let standing: Vec<String> = driver.signals().skip(1).map(|signal| signal.signal_id.clone()).collect();
        let mut listed = incidents[0].signals.clone();
        listed.sort_by_key(|id| standing.iter().position(|known| known == id));
        assert_eq!(listed, standing, "the old version's signal has made room for the new one's");
        assert_eq!(incidents[0].scores.access, 1.5, "one finding and its repeat");
    }
}

#[test]
fn an_edited_rule_that_asks_for_what_was_not_kept_warms() {
    let history = [sign_in(0, 0), prompt(8, 0), prompt(25, 1)];
    let mut driver = played(&[followed(5, "")], &history, 0..2);
    let news = driver.reload(as_written(&[followed(30, "")])).rules.clone();
    assert_eq!(news[0].change, RuleChange::Edited);
    // Sign-ins are kept until both watermarks are five minutes and the lateness of fifteen further: that of sign-ins lags.
    let kept_from = -1 - 15 - 5;
    assert_eq!(news[0].warming_until, Some(at(kept_from + 30).plus_micros(-1)));
    // What is still there is found all the same; the details may lack some.
    assert_eq!(said(&driver, 0), [line("followed", "i0 r1", &[Mark::Partial, Mark::Backfilled])]);
}

#[test]
fn an_edited_rule_is_not_filled_with_the_rows_of_a_stricter_one() {
    let unexplained_by = |condition: &str| {
        rule(
            "unexplained",
            "model",
            "key: [prompt_event_id]",
            &format!(
                "SELECT r.event_time, r.tenant, r.principal, r.event_id AS prompt_event_id FROM runtime r
                 WHERE r.kind = 'prompt' AND NOT EXISTS (SELECT 1 FROM identity i WHERE i.tenant = r.tenant AND i.principal = r.principal
                   AND i.kind = 'authentication' {condition} AND i.event_time BETWEEN r.event_time - INTERVAL '10 minutes' AND r.event_time)"
            ),
        )
    };
    // The sign-in is of another country than the first version asks for: nobody keeps it.
    let history = [sign_in(0, 0), prompt(2, 0), sign_in(3, 1), prompt(4, 1)];
    for while_down in [false, true] {
        let mut driver = played(&[unexplained_by("AND i.country = 'FR'")], &history, 0..1);
        let edited = as_written(&[unexplained_by("")]);
        if while_down {
            driver.restart_with(edited);
        } else {
            driver.reload(edited);
        }
        play(&mut driver, &history, 1..4);
        assert_eq!(said(&driver, 0), [], "the prompt is explained by a sign-in that was not kept");
        assert_eq!(driver.status("unexplained").tally.held_back, 1);
    }
}

#[test]
fn a_finding_of_the_past_pages_nobody_until_something_new_adds_to_it() {
    let history = [prompt(1, 0), prompt(2, 0), prompt(3, 0)];
    let mut driver = played(&[busy(3)], &history, 0..2);
    let output = driver.reload(as_written(&[busy(2)]));
    assert_eq!((output.signals.len(), output.incidents.len(), output.tellings.len()), (1, 0, 0));
    let output = driver.step_rows(&history, &[2]);
    assert!(output.signals[0].marks.is_empty() && output.signals[0].revision == 2);
    assert_eq!((output.incidents.len(), output.tellings.len()), (1, 1));
}

#[test]
fn what_was_taken_back_and_is_found_again_in_the_past_pages_nobody() {
    let history = [prompt(20, 0), sign_in(22, 1), prompt(22, 1), sign_in(15, 0)];
    let mut driver = played(&[unexplained()], &history, 0..3);
    assert_eq!(said(&driver, 0), [line("unexplained", "r0", &[])]);
    // A sign-in that comes late explains the prompt after all.
    let output = driver.step_rows(&history, &[3]);
    assert!(output.signals[0].withdrawn && output.tellings.len() == 1);
    // To a rule that looks back for three minutes only it doesn't.
    let output = driver.reload(as_written(&[unexplained_within(3)]));
    assert_eq!((output.signals.len(), output.signals[0].withdrawn), (1, false));
    assert_eq!((output.incidents.len(), output.tellings.len()), (0, 0));
}

#[test]
fn an_edited_rule_that_is_graver_now_calls_nobody_again() {
    let graver =
        |condition: &str| RuleSetup { severity: Severity::Critical, ..RuleSetup::as_written(followed(10, condition)) };
    let history = [sign_in(0, 0), prompt(3, 0), prompt(4, 0)];
    let mut driver = played(&[followed(10, "")], &history, 0..2);
    // Edited, and edited back: found again both times, under another id and under the first one.
    for condition in ["AND r.tool <> 'none'", ""] {
        let output = driver.reload(vec![graver(condition)]);
        assert_eq!((output.signals.len(), output.tellings.len()), (1, 0), "{condition}");
        assert_eq!(output.signals[0].severity, Severity::Critical);
    }
    let output = driver.step_rows(&history, &[2]);
    assert_eq!(output.tellings.len(), 1, "what is new is as grave as the rule says");
}

#[test]
fn an_added_rule_may_ask_for_what_others_remember() {
    let history = [sign_in(0, 0), prompt(3, 0)];
    for backfill in [false, true] {
        let mut driver = played(&[unexplained()], &history, 0..1);
        let asks = RuleSetup { backfill, ..RuleSetup::as_written(followed(5, "")) };
        let mut setups = vec![asks];
        setups.extend(as_written(&[unexplained()]));
        driver.reload(setups);
        // What it did not ask for does not come back with a restart either.
        driver.restart();
        // The absence rule keeps every sign-in for as long as this one looks back.
        assert_eq!(driver.status("followed").warming_until.is_none(), backfill);
        play(&mut driver, &history, 1..2);
        let found = driver.signals().filter(|signal| signal.rule == "followed").count();
        assert_eq!(found, usize::from(backfill));
    }
}

#[test]
fn a_log_taken_up_in_its_middle_begins_with_its_first_rows() {
    let history = [sign_in(0, 1), prompt(1, 0), prompt(10, 0), prompt(14, 0), sign_in(20, 1), prompt(20, 1)];
    let mut driver = Driver::new(Settings { cold: true, ..settings() }, as_written(&[unexplained()]));
    driver.assign();
    for at in 0..history.len() {
        driver.restart();
        driver.step_rows(&history, &[at]);
    }
    // The first sign-in that is heard lies within a minute of disorder of those that came before it.
    assert_eq!(said(&driver, 0), [line("unexplained", "r3", &[])]);
    assert!(driver.core.statuses().all(|status| status.warming_until.is_none()));
}

#[test]
fn a_quiet_log_taken_up_at_its_end_begins_there() {
    let history = [prompt(3, 0), prompt(6, 0), prompt(15, 0), prompt(16, 0)];
    let mut driver = Driver::new(Settings { cold: true, ..settings() }, as_written(&[unexplained()]));
    driver.assign();
    let quiet = |minute: i64| Input::CaughtUp(partition(Plane::Access, 0), at(minute));
    assert_eq!(driver.status("unexplained").warming_until, Some(Timestamp::MAX), "nothing is heard yet");
    driver.step(vec![quiet(5)]);
    play(&mut driver, &history, 0..4);
    driver.step(vec![quiet(30)]);
    // Whether somebody had signed in before the fifth minute is not known.
    assert_eq!(said(&driver, 0), [line("unexplained", "r3", &[])]);
}

fn owners(csv: &str) -> ReferenceTables {
    let folder = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(folder.path().join("owners.csv"), csv).expect("it can be written");
    ReferenceTables::load_dir(folder.path()).expect("a table")
}

fn owned(tables: &ReferenceTables) -> RuleSetup {
    let rule = rule_over(
        tables,
        "owned",
        "model",
        "key: [prompt_event_id]",
        "SELECT r.event_time, r.tenant, r.principal, r.event_id AS prompt_event_id, o.owner FROM runtime r
         JOIN owners o ON o.principal = r.principal WHERE r.kind = 'prompt'",
    );
    RuleSetup { reference: tables.digest("owners").expect("the table exists"), ..RuleSetup::as_written(rule) }
}

#[test]
fn new_reference_data_holds_for_what_happens_after_it() {
    let (old, new) = (owners("principal,owner\np0,ada\n"), owners("principal,owner\np0,bob\n"));
    let history = [prompt(10, 0), prompt(20, 0), prompt(12, 0), prompt(9, 0)];
    for restart in [false, true] {
        let mut driver = Driver::new(settings(), vec![owned(&old)]);
        driver.assign();
        driver.step_rows(&history, &[0]);
        let news = if restart {
            driver.restart_with(vec![owned(&new)]);
            Vec::new()
        } else {
            driver.reload(vec![owned(&new)]).rules.clone()
        };
        if !restart {
            assert_eq!(news[0].change, RuleChange::ReferenceChanged { after: at(10) });
        }
        driver.step_rows(&history, &[1]);
        driver.step_rows(&history, &[2]);
        let owner = |id: &str| -> Vec<Value> {
            let said = driver.signals().filter(|signal| signal.evidence == [id]);
            said.map(|signal| signal.details["owner"].clone()).collect()
        };
        assert_eq!(
            (owner("r0"), owner("r1"), owner("r2")),
            (vec!["ada".into()], vec!["bob".into()], vec!["bob".into()])
        );
        // A late row of before the change is judged by the data of its time, while that is there.
        driver.step_rows(&history, &[3]);
        let late: Vec<Value> = driver.signals().skip(3).map(|signal| signal.details["owner"].clone()).collect();
        assert_eq!(late, if restart { vec![] } else { vec![Value::from("ada")] });
    }
}
