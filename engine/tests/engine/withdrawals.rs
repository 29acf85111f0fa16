//! What was said and turns out otherwise: taken back, corrected and said again, each time with its number and reason.

use watershed_engine::core::Output;
use watershed_schemas::SignalReason::{self, Corrected, Disproved, Found, FoundAgain, LateEvidence};

use crate::driver::{Driver, settings};
use crate::history::{Event, MINUTE, as_written, rule};

/// Revision, withdrawn, reason.
type Statement = (u32, bool, SignalReason);

fn sign_in(minute: i64, principal: usize) -> Event {
    Event { access: true, kind: 1, time: minute * MINUTE, principal: Some(principal), ..Event::default() }
}

fn prompt(minute: i64, principal: usize) -> Event {
    Event { kind: 2, time: minute * MINUTE, principal: Some(principal), ..Event::default() }
}

fn statements(output: &Output) -> Vec<Statement> {
    output.signals.iter().map(|signal| (signal.revision, signal.withdrawn, signal.reason)).collect()
}

/// Plays the rows one by one, restarting before row `restart`, and compares what each of them makes the rule say.
fn check(front_matter: &str, sql: &str, script: &[(Event, &[Statement])]) {
    for restart in 0..=script.len() {
        let mut driver = Driver::new(settings(), as_written(&[rule("under-test", "access", front_matter, sql)]));
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

const NOBODY_FOLLOWED: &str = "SELECT i.event_time, i.tenant, i.principal, i.event_id AS login_event_id FROM identity i
     WHERE i.kind = 'authentication' AND NOT EXISTS (SELECT 1 FROM runtime r WHERE r.tenant = i.tenant AND r.principal = i.principal
       AND r.event_time >= i.event_time AND r.event_time < i.event_time + INTERVAL '5 minutes')";

#[test]
fn an_early_absence_is_withdrawn_by_the_very_row_that_was_missing() {
    check(
        "key: [login_event_id]\nemit: early",
        NOBODY_FOLLOWED,
        &[
            (sign_in(0, 0), &[(1, false, Found)]),
            // Somebody else's prompt, and one that came before: neither follows the sign-in.
            (prompt(1, 1), &[]),
            (prompt(-1, 0), &[]),
            (prompt(4, 0), &[(2, true, Disproved)]),
            (prompt(4, 0), &[]),
        ],
    );
}

#[test]
fn an_early_absence_that_nobody_disproves_is_not_said_again_when_it_is_final() {
    check(
        "key: [login_event_id]\nemit: early",
        NOBODY_FOLLOWED,
        &[(sign_in(0, 0), &[(1, false, Found)]), (prompt(5, 0), &[]), (prompt(7, 1), &[]), (prompt(40, 1), &[])],
    );
}

#[test]
fn a_late_row_is_named_as_the_reason() {
    check(
        "key: [login_event_id]",
        NOBODY_FOLLOWED,
        &[
            (sign_in(0, 0), &[]),
            (sign_in(2, 1), &[]),
            (prompt(5, 1), &[]),
            // Five minutes without their end: now the runtime watermark has passed them, and nobody had followed.
            (prompt(6, 1), &[(1, false, Found)]),
            (prompt(7, 2), &[]),
            (prompt(3, 0), &[(2, true, LateEvidence)]),
        ],
    );
}

#[test]
fn what_becomes_true_again_goes_on_with_its_numbers() {
    check(
        "key: [principal, bucket]",
        "SELECT i.event_time, i.tenant, i.principal, date_bin(INTERVAL '10 minutes', i.event_time) AS bucket, i.event_id AS login_event_id
         FROM identity i
         WHERE i.kind = 'authentication' AND NOT EXISTS (SELECT 1 FROM runtime r WHERE r.tenant = i.tenant AND r.principal = i.principal
           AND r.event_time >= i.event_time AND r.event_time < i.event_time + INTERVAL '2 minutes')",
        &[
            (sign_in(0, 0), &[]),
            (sign_in(10, 1), &[]),
            (prompt(4, 1), &[(1, false, Found)]),
            (prompt(1, 0), &[(2, true, LateEvidence)]),
            (sign_in(8, 0), &[]),
            (prompt(12, 1), &[(3, false, FoundAgain)]),
        ],
    );
}

#[test]
fn details_are_corrected_with_the_reason() {
    check(
        "key: [principal, bucket]",
        "SELECT date_bin(INTERVAL '10 minutes', event_time) AS event_time, tenant, principal,
                date_bin(INTERVAL '10 minutes', event_time) AS bucket, count(*) AS n, array_agg(event_id) AS seen_event_ids
         FROM identity WHERE kind = 'authentication'
         GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) HAVING count(*) >= 2",
        &[
            (sign_in(1, 0), &[]),
            (sign_in(2, 0), &[(1, false, Found)]),
            (sign_in(3, 0), &[(2, false, Corrected)]),
            // The watermark is at eight minutes.
            (sign_in(9, 1), &[]),
            (sign_in(4, 0), &[(3, false, LateEvidence)]),
        ],
    );
}
