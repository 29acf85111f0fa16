//! Caps and budgets: what is true in any case is said, what must be complete to be true is not, and a rule that goes too
//! far is stopped alone.

use std::sync::Arc;

use watershed_engine::core::{Input, Settings};
use watershed_engine::evaluator::{Limits, Reload, RuleChange};
use watershed_rules::CompiledRule;
use watershed_schemas::{Mark, Plane};

use crate::driver::{Driver, settings};
use crate::history::{Event, MINUTE, as_written, rule};

fn limited(limits: Limits) -> Settings {
    Settings { limits, ..settings() }
}

fn sign_in(minute: i64, principal: usize) -> Event {
    Event { access: true, kind: 1, time: minute * MINUTE, principal: Some(principal), ..Event::default() }
}

fn prompt(minute: i64, principal: usize) -> Event {
    Event { kind: 2, time: minute * MINUTE, principal: Some(principal), ..Event::default() }
}

fn quiet() -> Arc<CompiledRule> {
    rule(
        "quiet",
        "access",
        "key: [login_event_id]",
        "SELECT i.event_time, i.tenant, i.principal, i.event_id AS login_event_id FROM identity i
         WHERE i.kind = 'authentication' AND NOT EXISTS (SELECT 1 FROM runtime r WHERE r.tenant = i.tenant AND r.principal = i.principal
           AND r.event_time >= i.event_time AND r.event_time < i.event_time + INTERVAL '5 minutes')",
    )
}

fn busy() -> Arc<CompiledRule> {
    rule(
        "busy",
        "model",
        "key: [principal, bucket]",
        "SELECT date_bin(INTERVAL '10 minutes', event_time) AS event_time, tenant, principal,
                date_bin(INTERVAL '10 minutes', event_time) AS bucket, count(*) AS n, array_agg(event_id) AS seen_event_ids
         FROM runtime WHERE kind = 'prompt'
         GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) HAVING count(*) >= 2",
    )
}

fn play(driver: &mut Driver, history: &[Event]) {
    driver.assign();
    for at in 0..history.len() {
        driver.step_rows(history, &[at]);
    }
}

/// Ids of the sign-ins that nobody followed, as said.
fn quiet_ids(driver: &Driver) -> Vec<String> {
    let quiet = driver.signals().filter(|signal| signal.rule == "quiet");
    quiet.map(|signal| signal.evidence.join(" ")).collect()
}

/// Two prompts fill the key of the first principal, so that the third, which follows the sign-in, is not kept.
fn overflow() -> Vec<Event> {
    vec![
        prompt(1, 0),
        prompt(2, 0),
        sign_in(5, 0),
        sign_in(5, 1),
        prompt(6, 0),
        sign_in(20, 2),
        prompt(20, 2),
        sign_in(60, 0),
        prompt(59, 2),
        prompt(80, 2),
        sign_in(80, 2),
    ]
}

#[test]
fn what_was_not_kept_makes_no_false_alert() {
    let history = overflow();
    let mut driver = Driver::new(limited(Limits { rows_per_key: 2, ..Limits::default() }), as_written(&[quiet()]));
    play(&mut driver, &history);
    // i2 was followed by r4, which had no room. i3 was not followed, and i7 neither: its key has room again.
    assert_eq!(quiet_ids(&driver), ["i3", "i7"]);
    let tally = driver.core.tally();
    assert_eq!((tally.capped, tally.suppressed), (1, 1));
    assert!(driver.signals().all(|signal| signal.marks.is_empty()));

    let mut whole = Driver::new(settings(), as_written(&[quiet()]));
    play(&mut whole, &history);
    assert_eq!(quiet_ids(&whole), ["i3", "i7"], "with room for all the same is true");
}

#[test]
fn what_was_said_early_is_marked_once_its_disproof_may_have_been_lost() {
    let early = rule(
        "quiet",
        "access",
        "key: [login_event_id]\nemit: early",
        "SELECT i.event_time, i.tenant, i.principal, i.event_id AS login_event_id FROM identity i
         WHERE i.kind = 'authentication' AND NOT EXISTS (SELECT 1 FROM runtime r WHERE r.tenant = i.tenant AND r.principal = i.principal
           AND r.event_time >= i.event_time AND r.event_time < i.event_time + INTERVAL '5 minutes')",
    );
    let mut driver = Driver::new(limited(Limits { rows_per_key: 2, ..Limits::default() }), as_written(&[early]));
    play(&mut driver, &overflow()[..5]);
    let said: Vec<(String, u32, bool, bool)> = driver
        .signals()
        .map(|signal| {
            let degraded = signal.marks.contains(&Mark::Degraded);
            (signal.evidence.join(" "), signal.revision, signal.withdrawn, degraded)
        })
        .collect();
    assert_eq!(
        said,
        [("i2".to_owned(), 1, false, false), ("i3".to_owned(), 1, false, false), ("i2".to_owned(), 2, false, true)]
    );
}

#[test]
fn a_restart_does_not_forget_what_was_not_kept() {
    let history = overflow();
    for (restart, swept) in (0..history.len()).flat_map(|at| [(at, false), (at, true)]) {
        let mut driver = Driver::new(limited(Limits { rows_per_key: 2, ..Limits::default() }), as_written(&[quiet()]));
        driver.assign();
        for at in 0..history.len() {
            if at == restart {
                // A change of rules takes rows that nobody keeps out of the store: what was lost is not there to be lost again.
                if swept {
                    driver.reload(as_written(&[quiet()]));
                }
                driver.restart();
            }
            driver.step_rows(&history, &[at]);
        }
        assert!(!quiet_ids(&driver).contains(&"i2".to_owned()), "restart before row {restart}");
    }
}

#[test]
fn a_degraded_key_is_visible_until_its_interval_is_over() {
    let history = overflow();
    let mut driver = Driver::new(limited(Limits { rows_per_key: 2, ..Limits::default() }), as_written(&[quiet()]));
    play(&mut driver, &history[..5]);
    assert_eq!(driver.status("quiet").degraded_keys, 1);
    for at in 5..history.len() {
        driver.step_rows(&history, &[at]);
    }
    assert_eq!(driver.status("quiet").degraded_keys, 0);
}

#[test]
fn what_is_true_in_any_case_is_said_and_marked() {
    let history = [prompt(1, 0), prompt(2, 0), prompt(3, 0), prompt(1, 1), prompt(2, 1)];
    let mut driver = Driver::new(limited(Limits { rows_per_key: 2, ..Limits::default() }), as_written(&[busy()]));
    play(&mut driver, &history);
    let said: Vec<(Option<&str>, u32, bool)> = driver
        .signals()
        .map(|signal| (signal.principal.as_deref(), signal.revision, signal.marks.contains(&Mark::Degraded)))
        .collect();
    assert_eq!(said, [(Some("p0"), 1, false), (Some("p0"), 2, true), (Some("p1"), 1, false)]);
    let degraded: Vec<(Option<&str>, &str)> = driver
        .outputs
        .iter()
        .flat_map(|output| &output.incidents)
        .filter(|incident| incident.marks.contains(&Mark::Degraded))
        .map(|incident| (incident.principal.as_deref(), incident.reason.as_str()))
        .collect();
    assert_eq!(degraded, [(Some("p0"), "its evidence is degraded")]);
}

#[test]
fn a_rule_or_all_of_them_hold_no_more_than_they_may() {
    for limits in [Limits { rule_bytes: 1, ..Limits::default() }, Limits { state_bytes: 1, ..Limits::default() }] {
        let history = [prompt(1, 0), prompt(2, 0), prompt(3, 0)];
        let mut driver = Driver::new(limited(limits), as_written(&[busy(), quiet()]));
        play(&mut driver, &history);
        // The first row of each rule had room.
        assert_eq!(driver.core.tally().capped, 4, "{limits:?}");
        assert_eq!(driver.status("busy").rows, 1);
        assert_eq!(driver.signals().count(), 0);
        assert!(driver.core.quarantined().next().is_none());
    }
}

#[test]
fn memory_is_accounted_by_rule_and_in_total() {
    let history = [prompt(1, 0), prompt(2, 0)];
    let mut driver = Driver::new(settings(), as_written(&[busy(), quiet()]));
    play(&mut driver, &history);
    let [busy, quiet] = ["busy", "quiet"].map(|id| driver.status(id));
    assert!(busy.rows == 2 && quiet.rows == 2, "{busy:?} {quiet:?}");
    let both = busy.bytes + quiet.bytes;
    let total = driver.core.state_bytes();
    assert!(busy.bytes < total && quiet.bytes < total && total < both, "{} {} {total}", busy.bytes, quiet.bytes);
    // Everything goes with time, and takes its bytes with it.
    for minute in [300, 400] {
        let later = [prompt(minute, 3), sign_in(minute, 3)];
        driver.step_rows(&later, &[0]);
        driver.step_rows(&later, &[1]);
    }
    assert!(driver.status("quiet").rows <= 2 && driver.status("quiet").bytes < quiet.bytes + 2_000);
}

#[test]
fn a_rule_that_works_too_much_is_stopped_alone_and_at_the_same_place() {
    let history: Vec<Event> = (0..30).map(|minute| prompt(minute, 0)).chain([sign_in(29, 1)]).collect();
    let limits = Limits { rule_work: 1_500, ..Limits::default() };
    let mut stopped_at = Vec::new();
    for _ in 0..2 {
        let mut driver = Driver::new(limited(limits), as_written(&[busy(), quiet()]));
        play(&mut driver, &history);
        let stops: Vec<(usize, &str, &RuleChange)> = driver
            .outputs
            .iter()
            .enumerate()
            .flat_map(|(at, output)| output.rules.iter().map(move |news| (at, news.rule.as_str(), &news.change)))
            .collect();
        let [(at, "busy", RuleChange::Stopped { reason })] = stops[..] else { panic!("{stops:?}") };
        assert!(reason.contains("the budget is 1500") && reason.contains("limits.rule_work"), "{reason}");
        stopped_at.push(at);
        let after = driver.outputs[at + 1..].iter().flat_map(|output| &output.signals);
        assert_eq!(after.filter(|signal| signal.rule == "busy").count(), 0);
        assert_eq!(driver.status("busy").rows, 0, "it remembers nothing more");
        driver.step(vec![Input::End]);
        assert_eq!(quiet_ids(&driver), ["i30"], "the other goes on");
    }
    assert_eq!(stopped_at[0], stopped_at[1]);
}

#[test]
fn work_is_forgiven_with_the_hour() {
    let limits = Limits { rule_work: 1_500, ..Limits::default() };
    let history: Vec<Event> = (0..60).map(|at| prompt(at * 20, 0)).collect();
    let mut driver = Driver::new(limited(limits), as_written(&[busy()]));
    play(&mut driver, &history);
    assert_eq!(driver.core.quarantined().next(), None);
}

#[test]
fn a_rule_that_holds_too_much_is_stopped() {
    let limits = Limits { rule_bytes: 1_000, rule_bytes_stop: 2_000, ..Limits::default() };
    let history = [prompt(1, 0), prompt(2, 0), prompt(1, 1), prompt(2, 1), prompt(1, 2), prompt(2, 2)];
    let mut driver = Driver::new(limited(limits), as_written(&[busy()]));
    driver.assign();
    driver.step_rows(&history, &[0, 1, 2, 3, 4, 5]);
    let (rule, reason) = driver.core.quarantined().next().expect("it was stopped");
    assert!(rule == "busy" && reason.contains("limits.rule_memory_stop"), "{reason}");
}

#[test]
fn a_rule_that_fails_is_stopped_alone_stays_so_and_starts_anew_when_asked() {
    let fails = || {
        rule(
            "fails",
            "model",
            "key: [e_event_id]",
            "SELECT event_time, tenant, principal, event_id AS e_event_id, CAST(CASE WHEN tool = 'tool0' THEN tool ELSE '1' END AS BIGINT) AS number FROM runtime
             WHERE kind = 'prompt'",
        )
    };
    let history = [prompt(1, 0), prompt(2, 0), prompt(3, 0), prompt(21, 0), prompt(22, 0)];
    let mut driver = Driver::new(settings(), as_written(&[busy(), fails()]));
    driver.assign();
    driver.step_rows(&history, &[0]);
    let reason = driver.core.quarantined().next().map(|(rule, reason)| (rule.to_owned(), reason.to_owned()));
    assert!(
        reason.as_ref().is_some_and(|(rule, reason)| rule == "fails" && reason.contains("can't be cast")),
        "{reason:?}"
    );
    // What is in an event may be hostile, or somebody's: it is not repeated where reasons are kept and shown.
    assert!(!format!("{reason:?}").contains("tool0"), "{reason:?}");
    let stored = driver.disk.under(b"r/");
    assert!(!stored.is_empty() && stored.iter().all(|(_, value)| !String::from_utf8_lossy(value).contains("tool0")));
    driver.step_rows(&history, &[1]);
    assert_eq!(driver.signals().count(), 1, "the other goes on");
    driver.restart();
    assert_eq!(driver.status("fails").stopped, reason.as_ref().map(|(_, reason)| reason.clone()));
    driver.reload(as_written(&[busy(), fails()]));
    assert!(driver.status("fails").stopped.is_some(), "the same version stays stopped");
    driver.step(vec![Input::Rules(Reload { setups: as_written(&[busy(), fails()]), revive: true })]);
    assert_eq!(driver.status("fails").stopped, None);
    driver.step_rows(&history, &[2]);
    assert!(driver.status("fails").stopped.is_some(), "and fails again");
    // Another version is another rule.
    let mended = rule(
        "fails",
        "model",
        "key: [e_event_id]",
        "SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE kind = 'prompt'",
    );
    driver.reload(as_written(&[busy(), mended]));
    let output = driver.step_rows(&history, &[3]);
    assert_eq!(output.signals.iter().map(|signal| signal.rule.as_str()).collect::<Vec<_>>(), ["fails"]);
}

#[test]
fn the_shell_stops_a_rule_that_takes_too_long() {
    let history = [prompt(1, 0), prompt(2, 0), prompt(3, 0)];
    let mut driver = Driver::new(settings(), as_written(&[busy()]));
    driver.assign();
    let news = driver.step(vec![Input::Stop { rule: "busy".to_owned(), reason: "took 11 s".to_owned() }]).rules.clone();
    assert_eq!(news.len(), 1);
    assert_eq!(news[0].change, RuleChange::Stopped { reason: "took 11 s".to_owned() });
    driver.restart();
    assert_eq!(driver.status("busy").stopped.as_deref(), Some("took 11 s"), "a restart does not forget it");
    driver.step_rows(&history, &[0, 1, 2]);
    assert_eq!(driver.signals().count(), 0);
    assert_eq!(driver.core.watermarks().heard(Plane::Model).micros(), crate::history::START + 3 * MINUTE);
}
