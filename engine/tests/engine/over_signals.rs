//! Rules over what other rules say: when a finding is there for them, what a late event does to them, restarts, limits,
//! and changes of the rules that they read.

use std::sync::Arc;

use watershed_engine::core::{Input, Output};
use watershed_engine::evaluator::{Limits, RuleChange, RuleSetup};
use watershed_rules::CompiledRule;
use watershed_schemas::SignalReason::{self, Corrected, Disproved, Found, LateEvidence};
use watershed_schemas::{Mark, Timestamp};

use crate::driver::{Driver, settings};
use crate::history::{Event, MINUTE, START, as_written, rule, rule_beside};

/// Rule, revision, withdrawn, reason.
type Statement = (&'static str, u32, bool, SignalReason);

fn sign_in(minute: i64, principal: usize) -> Event {
    Event { access: true, kind: 1, time: minute * MINUTE, principal: Some(principal), ..Event::default() }
}

fn revocation(minute: i64, principal: usize) -> Event {
    Event { access: true, kind: 0, time: minute * MINUTE, principal: Some(principal), ..Event::default() }
}

fn prompt(minute: i64, principal: usize) -> Event {
    Event { kind: 2, time: minute * MINUTE, principal: Some(principal), ..Event::default() }
}

fn revoked() -> Arc<CompiledRule> {
    rule(
        "revoked",
        "access",
        "key: [revocation_event_id]",
        "SELECT event_time, tenant, principal, event_id AS revocation_event_id FROM identity WHERE kind = 'token_revoked'",
    )
}

/// A sign-in that no prompt follows within five minutes.
fn quiet(more: &str) -> Arc<CompiledRule> {
    rule(
        "quiet",
        "access",
        &format!("key: [login_event_id]{more}"),
        "SELECT i.event_time, i.tenant, i.principal, i.event_id AS login_event_id FROM identity i
         WHERE i.kind = 'authentication' AND NOT EXISTS (SELECT 1 FROM runtime r WHERE r.tenant = i.tenant AND r.principal = i.principal
           AND r.event_time >= i.event_time AND r.event_time < i.event_time + INTERVAL '5 minutes')",
    )
}

/// Prompts of one principal within ten minutes; its time moves.
fn busy(least: usize) -> Arc<CompiledRule> {
    rule(
        "busy",
        "model",
        "key: [principal, bucket]",
        &format!(
            "SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket,
                    count(*) AS n, array_agg(event_id) AS seen_event_ids
             FROM runtime WHERE kind = 'prompt'
             GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) HAVING count(*) >= {least}"
        ),
    )
}

/// What a rule says, as it says it.
fn forward(upstream: &Arc<CompiledRule>, more: &str) -> Arc<CompiledRule> {
    let id = &upstream.meta.id;
    rule_beside(
        std::slice::from_ref(upstream),
        "forward",
        "key: [signal_id]",
        &format!("SELECT event_time, tenant, principal, signal_id{more} FROM signals WHERE rule = '{id}'"),
    )
}

/// A sign-in within ten minutes after a revocation.
fn again(upstream: &Arc<CompiledRule>) -> Arc<CompiledRule> {
    rule_beside(
        std::slice::from_ref(upstream),
        "again",
        "key: [login_event_id]",
        "SELECT i.event_time, i.tenant, i.principal, i.event_id AS login_event_id, s.evidence AS revocation_event_ids
         FROM identity i JOIN signals s ON s.tenant = i.tenant AND s.principal = i.principal
          AND i.event_time BETWEEN s.event_time AND s.event_time + INTERVAL '10 minutes'
         WHERE i.kind = 'authentication' AND s.rule = 'revoked'",
    )
}

/// A prompt without a quiet sign-in within the last half hour.
fn calm(upstream: &Arc<CompiledRule>) -> Arc<CompiledRule> {
    rule_beside(
        std::slice::from_ref(upstream),
        "calm",
        "key: [prompt_event_id]",
        "SELECT r.event_time, r.tenant, r.principal, r.event_id AS prompt_event_id FROM runtime r
         WHERE r.kind = 'prompt' AND NOT EXISTS (SELECT 1 FROM signals s WHERE s.rule = 'quiet' AND s.tenant = r.tenant
           AND s.principal = r.principal AND s.event_time BETWEEN r.event_time - INTERVAL '30 minutes' AND r.event_time)",
    )
}

fn statements(output: &Output) -> Vec<(&str, u32, bool, SignalReason)> {
    let said = |signal: &'_ watershed_schemas::Signal| (signal.revision, signal.withdrawn, signal.reason);
    output
        .signals
        .iter()
        .map(|signal| {
            let (revision, withdrawn, reason) = said(signal);
            (signal.rule.as_str(), revision, withdrawn, reason)
        })
        .collect()
}

/// Plays the rows one by one, restarting before row `restart`, and compares what each of them makes the rules say.
fn check(rules: &[Arc<CompiledRule>], script: &[(Event, &[Statement])]) {
    for restart in 0..=script.len() {
        let mut driver = Driver::new(settings(), as_written(rules));
        driver.assign();
        let history: Vec<Event> = script.iter().map(|(event, _)| event.clone()).collect();
        for (at, (_, said)) in script.iter().enumerate() {
            if at == restart {
                driver.restart();
            }
            let got = statements(driver.step_rows(&history, &[at]));
            assert_eq!(&got, said, "row {at}, restart before row {restart}");
        }
        driver.check_numbering().expect("numbers follow each other");
    }
}

#[test]
fn what_a_key_determines_is_read_in_the_step_in_which_it_is_said() {
    let upstream = revoked();
    let below = forward(&upstream, "");
    check(
        &[upstream, below],
        &[
            (revocation(0, 0), &[("revoked", 1, false, Found), ("forward", 1, false, Found)]),
            (sign_in(1, 0), &[]),
            (revocation(1, 1), &[("revoked", 1, false, Found), ("forward", 1, false, Found)]),
        ],
    );
}

#[test]
fn what_may_still_be_refined_is_read_when_it_is_final() {
    let upstream = busy(2);
    let below = forward(&upstream, ", details");
    check(
        &[upstream, below],
        &[
            (prompt(1, 0), &[]),
            (prompt(2, 0), &[("busy", 1, false, Found)]),
            (prompt(4, 0), &[("busy", 2, false, Corrected)]),
            // The bucket ends at ten minutes, and the watermark is a minute behind.
            (prompt(11, 1), &[]),
            (prompt(15, 1), &[("forward", 1, false, Found), ("busy", 1, false, Found)]),
            // It comes late.
            (prompt(3, 0), &[("busy", 3, false, LateEvidence), ("forward", 2, false, LateEvidence)]),
        ],
    );
}

#[test]
fn what_is_said_early_is_read_only_where_it_stays() {
    let upstream = quiet("\nemit: early");
    let below = forward(&upstream, "");
    check(
        &[upstream, below],
        &[
            (sign_in(0, 0), &[("quiet", 1, false, Found)]),
            (prompt(3, 0), &[("quiet", 2, true, Disproved)]),
            (sign_in(4, 1), &[("quiet", 1, false, Found)]),
            (prompt(9, 0), &[]),
            (prompt(11, 0), &[("forward", 1, false, Found)]),
        ],
    );
}

#[test]
fn a_late_event_takes_back_what_rests_on_what_it_takes_back() {
    let upstream = quiet("");
    let (forward, calm) = (forward(&upstream, ""), calm(&upstream));
    check(
        &[upstream, forward, calm],
        &[
            (sign_in(0, 0), &[]),
            (prompt(7, 0), &[("quiet", 1, false, Found), ("forward", 1, false, Found)]),
            // Both watermarks have passed the prompt and what could have made the sign-in before it a quiet one.
            (prompt(17, 1), &[]),
            (sign_in(21, 1), &[]),
            // It followed the sign-in after all. So there was no quiet sign-in before the prompt at seven minutes, nor before
            // this one.
            (
                prompt(3, 0),
                &[
                    ("quiet", 2, true, LateEvidence),
                    ("forward", 2, true, LateEvidence),
                    ("calm", 1, false, Found),
                    ("calm", 1, false, Found),
                ],
            ),
        ],
    );
}

#[test]
fn rows_of_signals_are_forgotten_when_nobody_can_need_them() {
    let upstream = revoked();
    let rules = [Arc::clone(&upstream), again(&upstream)];
    let mut driver = Driver::new(settings(), as_written(&rules));
    driver.assign();
    let history: Vec<Event> =
        (0..200).flat_map(|minute| [revocation(minute, 0), prompt(minute, 0), sign_in(minute, 1)]).collect();
    let mut most = 0;
    for at in 0..history.len() {
        driver.step_rows(&history, &[at]);
        most = most.max(driver.disk.under(b"u/").len());
        if at == 300 {
            driver.restart();
        }
    }
    // Ten minutes of look-back, a quarter of an hour of lateness, a minute of disorder.
    assert!((20..40).contains(&most), "{most} rows in the store");
    assert!((20..60).contains(&driver.status("again").rows), "{:?}", driver.status("again"));
}

#[test]
fn without_the_rule_that_it_reads_a_rule_is_stopped() {
    let upstream = quiet("");
    let mut driver = Driver::new(settings(), as_written(&[calm(&upstream), upstream, revoked()]));
    driver.assign();
    let news =
        driver.step(vec![Input::Stop { rule: "quiet".to_owned(), reason: "took 11 s".to_owned() }]).rules.clone();
    let told: Vec<_> = news.iter().map(|news| (news.rule.as_str(), &news.change)).collect();
    let reason = |text: &str| RuleChange::Stopped { reason: text.to_owned() };
    let (first, second) = (reason("took 11 s"), reason("it reads the signals of `quiet`, which was stopped"));
    assert_eq!(told, [("quiet", &first), ("calm", &second)]);
    driver.restart();
    assert!(driver.status("calm").stopped.is_some(), "a restart does not forget it");
    let history = [revocation(0, 0), prompt(1, 0), prompt(60, 0)];
    (0..3).for_each(|at| {
        driver.step_rows(&history, &[at]);
    });
    assert_eq!(driver.signals().map(|signal| signal.rule.as_str()).collect::<Vec<_>>(), ["revoked"]);
}

#[test]
fn a_rule_whose_upstream_is_not_loaded_says_nothing_and_why() {
    let upstream = quiet("");
    let mut driver = Driver::new(settings(), as_written(&[calm(&upstream)]));
    driver.assign();
    let stopped = driver.status("calm").stopped.expect("it is stopped");
    assert!(stopped.contains("`quiet`"), "{stopped}");
}

#[test]
fn what_the_upstream_rule_lacks_is_lacked_by_who_reads_it() {
    let upstream = busy(3);
    let idle = rule_beside(
        std::slice::from_ref(&upstream),
        "idle",
        "key: [login_event_id]",
        "SELECT i.event_time, i.tenant, i.principal, i.event_id AS login_event_id FROM identity i
         WHERE i.kind = 'authentication' AND NOT EXISTS (SELECT 1 FROM signals s WHERE s.rule = 'busy' AND s.tenant = i.tenant
           AND s.principal = i.principal AND s.event_time BETWEEN i.event_time - INTERVAL '10 minutes' AND i.event_time + INTERVAL '10 minutes')",
    );
    let history: Vec<Event> =
        [1, 2, 3, 60].map(|minute| prompt(minute, 0)).into_iter().chain([sign_in(4, 0), sign_in(60, 1)]).collect();
    let said = |rows_per_key: usize, restart: bool| {
        let limits = Limits { rows_per_key, ..Limits::default() };
        let settings = watershed_engine::core::Settings { limits, ..settings() };
        let mut driver = Driver::new(settings, as_written(&[Arc::clone(&upstream), Arc::clone(&idle)]));
        driver.assign();
        for at in [0, 1, 2, 4] {
            driver.step_rows(&history, &[at]);
        }
        if restart {
            driver.restart();
        }
        driver.step_rows(&history, &[3]);
        driver.step_rows(&history, &[5]);
        let of_idle = driver.signals().filter(|signal| signal.rule == "idle" && signal.evidence == ["i4"]).count();
        (of_idle, driver.core.degraded().any(|(rule, keys)| rule == "idle" && keys > 0))
    };
    // Three prompts are a burst. Where only two are kept there is none to be seen, and its absence proves nothing.
    assert_eq!(said(100, false), (0, false));
    assert_eq!(said(2, false), (0, true));
    assert_eq!(said(2, true).0, 0);
}

fn backfilled(rule: &Arc<CompiledRule>) -> RuleSetup {
    RuleSetup { backfill: true, ..RuleSetup::as_written(Arc::clone(rule)) }
}

#[test]
fn an_edited_upstream_rule_is_another_one_and_floods_nobody() {
    let before = revoked();
    let after = rule(
        "revoked",
        "access",
        "key: [revocation_event_id]",
        "SELECT event_time, tenant, principal, event_id AS revocation_event_id FROM identity
         WHERE kind = 'token_revoked' AND principal IS NOT NULL",
    );
    assert_ne!(again(&before).version, again(&after).version, "what it reads is part of what it says");
    let history = [revocation(0, 0), sign_in(1, 0), sign_in(2, 0), prompt(2, 0), sign_in(3, 0)];
    for restart in [false, true] {
        let mut driver = Driver::new(settings(), as_written(&[again(&before), Arc::clone(&before)]));
        driver.assign();
        (0..2).for_each(|at| {
            driver.step_rows(&history, &[at]);
        });
        let setups = as_written(&[again(&after), Arc::clone(&after)]);
        if restart {
            driver.restart_with(setups);
        } else {
            driver.reload(setups);
        }
        // What the new versions find in the past is recorded, and nobody is told.
        let past: Vec<_> = driver
            .signals()
            .filter(|signal| signal.rule_version == after.version || signal.rule_version == again(&after).version)
            .map(|signal| (signal.rule.clone(), signal.marks.contains(&Mark::Backfilled)))
            .collect();
        assert!(past.iter().all(|(_, backfilled)| *backfilled), "{past:?}");
        assert!(past.iter().any(|(rule, _)| rule == "revoked"), "{past:?}");
        // The revocation is final now: what rests on it is said for the first time, by the new version.
        let said: Vec<_> = driver.step_rows(&history, &[2]).signals.iter().map(|signal| signal.marks.len()).collect();
        assert_eq!(said, [0, 0]);
        (3..5).for_each(|at| {
            driver.step_rows(&history, &[at]);
        });
        driver.step(vec![Input::End]);
        let now = driver.standing();
        let now = now.values().filter(|signal| signal.rule_version == again(&after).version);
        let ids: Vec<String> = now.map(|signal| signal.key["login_event_id"].to_string()).collect();
        assert_eq!(ids.len(), 3, "{ids:?}, restart {restart}");
    }
}

#[test]
fn a_rule_that_is_added_later_begins_with_what_is_known_or_after_it() {
    let upstream = revoked();
    let history =
        [revocation(0, 0), sign_in(1, 0), revocation(2, 1), prompt(5, 0), sign_in(6, 0), sign_in(7, 1), prompt(30, 0)];
    let found = |added: RuleSetup, restart: bool| {
        let mut driver = Driver::new(settings(), as_written(std::slice::from_ref(&upstream)));
        driver.assign();
        (0..4).for_each(|at| {
            driver.step_rows(&history, &[at]);
        });
        let setups = vec![added, RuleSetup::as_written(Arc::clone(&upstream))];
        if restart {
            driver.restart_with(setups);
        } else {
            driver.reload(setups);
        }
        (4..7).for_each(|at| {
            driver.step_rows(&history, &[at]);
        });
        driver.step(vec![Input::End]);
        let standing = driver.standing();
        let of_rule = standing.values().filter(|signal| signal.rule == "again");
        of_rule.map(|signal| signal.key["login_event_id"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    for restart in [false, true] {
        let mut filled = found(backfilled(&again(&upstream)), restart);
        filled.sort();
        assert!(
            filled.contains(&"i4".to_owned()) && filled.contains(&"i5".to_owned()),
            "{filled:?}, restart {restart}"
        );
        // What was there before it came isn't news. The revocation at two minutes wasn't final then.
        let fresh = found(RuleSetup::as_written(again(&upstream)), restart);
        assert!(!fresh.contains(&"i1".to_owned()), "{fresh:?}, restart {restart}");
    }
}

#[test]
fn what_rests_on_findings_of_the_past_is_of_the_past() {
    let upstream = revoked();
    // It keeps the rows that the new rule is filled with.
    let keeper = rule(
        "keeper",
        "access",
        "key: [revocation_event_id]",
        "SELECT event_time, tenant, principal, event_id AS revocation_event_id FROM identity WHERE kind = 'token_revoked'",
    );
    let history = [revocation(0, 0), revocation(1, 0), sign_in(5, 1), revocation(6, 0), sign_in(9, 1)];
    let mut driver = Driver::new(settings(), as_written(std::slice::from_ref(&keeper)));
    driver.assign();
    (0..3).for_each(|at| {
        driver.step_rows(&history, &[at]);
    });
    let forward = RuleSetup::as_written(forward(&upstream, ", evidence AS revocation_event_ids"));
    driver.reload(vec![forward, RuleSetup::as_written(keeper), backfilled(&upstream)]);
    (3..5).for_each(|at| {
        driver.step_rows(&history, &[at]);
    });
    let said = driver.signals().filter(|signal| signal.rule == "forward");
    let said: Vec<_> =
        said.map(|signal| (signal.evidence.concat(), signal.marks.contains(&Mark::Backfilled))).collect();
    assert_eq!(said, [("i0".to_owned(), true), ("i1".to_owned(), true), ("i3".to_owned(), false)]);
}

#[test]
fn findings_of_several_strata_leave_together() {
    let upstream = revoked();
    let middle = forward(&upstream, "");
    let top = rule_beside(
        std::slice::from_ref(&middle),
        "top",
        "key: [signal_id]",
        "SELECT event_time, tenant, principal, signal_id FROM signals WHERE rule = 'forward'",
    );
    assert_eq!(top.strata().iter().map(|rule| rule.meta.id.as_str()).collect::<Vec<_>>(), ["revoked", "forward"]);
    // However they are ordered.
    let mut driver = Driver::new(settings(), as_written(&[top, middle, upstream]));
    driver.assign();
    let said = driver.step_rows(&[revocation(0, 0)], &[0]);
    assert_eq!(
        said.signals.iter().map(|signal| signal.rule.as_str()).collect::<Vec<_>>(),
        ["top", "forward", "revoked"]
    );
    assert!(said.signals.iter().all(|signal| signal.event_time == Timestamp::from_micros(START)));
}
