//! Which rows are history, and what late ones change.

use proptest::prelude::*;
use watershed_engine::acceptance::Refusal;
use watershed_engine::core::Input;

use crate::driver::{Driver, arrivals_within, played, runner, settings};
use crate::history::{Event, MINUTE, as_written, events, rule};

/// The first quiet sign-in of each principal in ten minutes: one that no agent followed within two.
fn quiet_sign_ins() -> Driver {
    let quiet = rule(
        "quiet",
        "access",
        "key: [principal, bucket]",
        "SELECT i.event_time, i.tenant, i.principal, date_bin(INTERVAL '10 minutes', i.event_time) AS bucket, i.event_id AS login_event_id
         FROM identity i
         WHERE i.kind = 'authentication' AND NOT EXISTS (SELECT 1 FROM runtime r WHERE r.tenant = i.tenant AND r.principal = i.principal
           AND r.event_time >= i.event_time AND r.event_time < i.event_time + INTERVAL '2 minutes')",
    );
    let mut driver = Driver::new(settings(), as_written(&[quiet]));
    driver.assign();
    driver
}

fn sign_in(minute: i64, principal: usize) -> Event {
    Event { access: true, kind: 1, time: minute * MINUTE, principal: Some(principal), ..Event::default() }
}

fn prompt(minute: i64, principal: usize) -> Event {
    Event { kind: 2, time: minute * MINUTE, principal: Some(principal), ..Event::default() }
}

#[test]
fn a_late_row_withdraws_and_numbering_goes_on_when_it_is_said_again() {
    let history = [
        sign_in(0, 0),
        sign_in(10, 1),
        prompt(2, 1),
        prompt(4, 1),
        prompt(1, 0),
        sign_in(8, 0),
        prompt(10, 1),
        prompt(12, 1),
    ];
    let expected = [
        (0, vec![]),
        (1, vec![]),
        // The runtime watermark is at 1: a row of the second minute could still come in order.
        (2, vec![]),
        (3, vec![(1, false, 0)]),
        (4, vec![(2, true, 0)]),
        // Another sign-in of the same bucket, not final yet: the watermark is still at 3.
        (5, vec![]),
        (6, vec![]),
        (7, vec![(3, false, 8)]),
    ];
    for restart in 0..9 {
        let mut driver = quiet_sign_ins();
        for (at, said) in &expected {
            if *at == restart {
                driver.restart();
            }
            let output = driver.step_rows(&history, &[*at]);
            let got: Vec<(u32, bool, i64)> = output
                .signals
                .iter()
                .map(|signal| {
                    (signal.revision, signal.withdrawn, (signal.event_time.micros() - crate::history::START) / MINUTE)
                })
                .collect();
            assert_eq!(&got, said, "row {at}, restart before row {restart}");
        }
    }
}

#[test]
fn a_row_beyond_the_lateness_is_refused_with_its_reason() {
    let history = [prompt(30, 1), prompt(15, 0), prompt(14, 0), prompt(13, 0)];
    let mut driver = quiet_sign_ins();
    let output = driver.step_rows(&history, &[0, 1, 2, 3]);
    // The watermark is at 29 and 15 minutes are allowed: 14 is still history.
    let refused: Vec<_> = output
        .refused
        .iter()
        .map(|row| (row.refusal, row.event_id.as_str(), row.origin, row.row, row.record))
        .collect();
    assert_eq!(refused, [(Refusal::TooLate, "r3", 7, 3, 3)]);
    assert!(output.refused[0].refusal.reason().contains("allowed lateness"));
}

#[test]
fn a_row_from_the_future_is_quarantined_and_moves_no_watermark() {
    let ahead = |minutes: i64| Event { ingest: Some(0), ..prompt(minutes, 0) };
    let history = [ahead(5), ahead(6), ahead(1)];
    let mut driver = quiet_sign_ins();
    let output = driver.step_rows(&history, &[0, 1, 2]);
    let refused: Vec<_> = output.refused.iter().map(|row| (row.refusal, row.event_id.as_str())).collect();
    assert_eq!(refused, [(Refusal::FromTheFuture, "r1")]);
    let reached = driver.core.watermarks().of(watershed_schemas::Plane::Model).micros();
    assert_eq!(reached, crate::history::START + 4 * MINUTE);
}

#[test]
fn rows_heard_after_an_end_are_history_too() {
    let mut driver = quiet_sign_ins();
    let history = [sign_in(0, 0), prompt(1, 1), prompt(2, 1)];
    driver.step_rows(&history, &[0]);
    driver.step_rows(&history, &[1]);
    driver.step(vec![Input::End]);
    driver.restart();
    assert!(driver.step_rows(&history, &[2]).refused.is_empty());
}

#[test]
fn what_is_accepted_does_not_depend_on_batches() {
    let some = [rule(
        "any",
        "model",
        "key: [e_event_id]",
        "SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime",
    )];
    let refusals = std::cell::Cell::new(0_usize);
    let result = runner(120).run(&(events(90, 40), arrivals_within(50 * MINUTE)), |(mut events, arrival)| {
        for (at, event) in events.iter_mut().enumerate() {
            event.ingest = (at % 4 == 0).then_some(event.time - i64::try_from(at % 3).expect("small") * 4 * MINUTE);
        }
        let refused = |step: usize| -> Vec<(String, Refusal)> {
            let driver = played(&some, &events, &arrival.cut(step));
            driver
                .outputs
                .iter()
                .flat_map(|output| &output.refused)
                .map(|row| (row.event_id.clone(), row.refusal))
                .collect()
        };
        let one_by_one = refused(1);
        refusals.set(refusals.get() + one_by_one.len());
        prop_assert_eq!(&refused(7), &one_by_one);
        prop_assert_eq!(&refused(1_000), &one_by_one);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    assert!(refusals.get() > 200, "only {} rows were refused", refusals.get());
}
