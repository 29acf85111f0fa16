//! Whatever is durable is enough: a restart anywhere changes no later word, whatever people did.

use std::collections::BTreeMap;

use proptest::prelude::*;
use watershed_engine::core::Settings;
use watershed_schemas::{Act, Disposition, IncidentRevision, NotifyReason, Plane};

use super::acts::{close, said};
use super::reckoning::told_in_order;
use super::{rules, short};
use crate::driver::{Arrival, Driver, arrivals, runner};
use crate::history::{Event, as_written, events};

/// Everything that was said, in order.
#[derive(Debug, Default, PartialEq)]
struct Words {
    revisions: Vec<IncidentRevision>,
    tellings: Vec<(String, u32, Plane, NotifyReason)>,
    acted: Vec<(String, Result<u32, String>)>,
}

/// At some step somebody says something of one of the incidents that are known by then.
#[derive(Clone, Debug)]
struct Deed {
    step: usize,
    which: usize,
    act: Act,
    second: i64,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let act = prop_oneof![
        3 => Just(Act::Acknowledge),
        1 => Just(close(Disposition::TruePositive)),
        1 => Just(close(Disposition::Benign)),
        1 => Just(close(Disposition::FalsePositive)),
        2 => Just(Act::Reopen),
        1 => Just(Act::Comment),
    ];
    let deed = (0_usize..20, 0_usize..4, act, 0_i64..3).prop_map(|(step, which, act, second)| Deed {
        step,
        which,
        act,
        second,
    });
    proptest::collection::vec(deed, 0..8)
}

fn play(settings: Settings, events: &[Event], arrival: &Arrival, deeds: &[Deed]) -> Driver {
    let mut driver = Driver::new(settings, as_written(&rules()));
    driver.play_with(events, arrival, |driver, step| {
        for deed in deeds.iter().filter(|deed| deed.step == step) {
            let id = driver.revisions().map(|revision| revision.incident_id.clone()).nth(deed.which);
            if let Some(id) = id {
                let _ = driver.say(&id, said(deed.act.clone(), deed.second, Some("as agreed")));
            }
        }
    });
    driver
}

fn words(driver: Driver) -> Words {
    let mut words = Words::default();
    for output in driver.outputs {
        words.revisions.extend(output.incidents);
        words.tellings.extend(
            output.tellings.into_iter().map(|telling| {
                (telling.incident.incident_id, telling.incident.revision, telling.plane, telling.reason)
            }),
        );
        words.acted.extend(output.acted);
    }
    words
}

#[test]
fn a_restart_anywhere_changes_no_later_word() {
    let seen = std::cell::RefCell::new(BTreeMap::<String, u32>::new());
    let shapes = (events(60, 40), arrivals(), 0_usize..20, deeds());
    let result = runner(150).run(&shapes, |(events, arrival, restart, deeds)| {
        let whole = play(short(), &events, &arrival.clone().restarting(usize::MAX), &deeds);
        let broken = play(short(), &events, &arrival.restarting(restart), &deeds);
        told_in_order(&whole)?;
        let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
        for revision in whole.revisions() {
            let before = numbers.insert(revision.incident_id.clone(), revision.revision).unwrap_or(0);
            prop_assert_eq!(revision.revision, before + 1, "{:?}", revision);
            *seen.borrow_mut().entry(format!("{:?}", revision.status)).or_default() += 1;
            *seen.borrow_mut().entry("related".to_owned()).or_default() += u32::from(!revision.related.is_empty());
        }
        let (whole, broken) = (words(whole), words(broken));
        for (_, answer) in &whole.acted {
            *seen.borrow_mut().entry(if answer.is_ok() { "done" } else { "refused" }.to_owned()).or_default() += 1;
        }
        prop_assert_eq!(&whole.acted, &broken.acted);
        prop_assert_eq!(&whole.tellings, &broken.tellings);
        prop_assert_eq!(&whole.revisions, &broken.revisions);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let seen = seen.into_inner();
    for kind in ["Open", "Acknowledged", "Closed", "Resolved", "Merged", "Withdrawn", "related", "done", "refused"] {
        assert!(seen.get(kind).is_some_and(|times| *times >= 10), "hardly any {kind}: {seen:?}");
    }
}
