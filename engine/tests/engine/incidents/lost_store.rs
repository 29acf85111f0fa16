//! The store is gone, the journal is not: incidents keep their ids and what people did, and nobody is told twice.

use std::collections::BTreeMap;

use proptest::prelude::*;
use watershed_engine::correlator::awaiting;
use watershed_schemas::{Act, Disposition, IncidentStatus, NotifyReason, Plane};

use super::acts::{close, said};
use super::{flag, risk, rules, short};
use crate::driver::{Arrival, Driver, runner};
use crate::history::{Event, as_written, events};

impl Driver {
    /// Another process, with nothing but what a journal has kept, reads everything again.
    fn after_losing_the_store(&self) -> Driver {
        let mut driver = Driver::new(short(), as_written(&rules()));
        for (key, value) in awaiting(self.disk.under(b"i/")) {
            driver.disk.put(key, value);
        }
        driver.restart();
        driver
    }

    fn statuses(&self) -> BTreeMap<String, (IncidentStatus, Vec<String>)> {
        let last = self.incidents().into_iter();
        last.map(|(id, last)| (id.to_owned(), (last.status, last.signals.clone()))).collect()
    }
}

#[test]
fn what_people_did_outlives_the_store() {
    let history = [flag(0, Some(0), None), flag(1, Some(0), None), flag(1, Some(1), None), risk(2, 0)];
    let mut driver = Driver::new(short(), as_written(&rules()));
    driver.assign();
    for at in 0..3 {
        driver.step_rows(&history, &[at]);
    }
    let ids: Vec<String> = driver.incidents().keys().map(|id| (*id).to_owned()).collect();
    assert_eq!(ids.len(), 2);
    let of = |driver: &Driver, principal: &str| {
        let mut last = driver.incidents().into_values();
        last.find(|last| last.principal.as_deref() == Some(principal)).map(|last| last.incident_id.clone())
    };
    let (first, second) = (of(&driver, "p0").expect("its own"), of(&driver, "p1").expect("its own"));
    driver.say(&first, said(Act::Acknowledge, 1, None)).expect("it is open");
    driver.say(&second, said(close(Disposition::Benign), 1, None)).expect("it is open");
    let revision = driver.incidents()[first.as_str()].revision;

    let mut again = driver.after_losing_the_store();
    for at in 0..3 {
        again.step_rows(&history, &[at]);
    }
    assert_eq!((again.revisions().count(), again.told().len()), (0, 0), "nothing is new");
    // What is new is said as the next revision of the same incident.
    again.step_rows(&history, &[3]);
    let last = again.incidents()[first.as_str()];
    assert_eq!((last.revision, last.status), (revision + 1, IncidentStatus::Acknowledged));
    assert_eq!(last.signals.len(), 3);
    assert_eq!(again.told(), [(Plane::Model, NotifyReason::VerdictGrew), (Plane::Access, NotifyReason::Opened)]);
    assert_eq!(again.say(&second, said(close(Disposition::Benign), 1, None)), Ok(2), "it knows what was said");
}

#[test]
fn growth_is_said_even_where_the_old_signals_can_not_be_had_again() {
    let history = [flag(0, Some(0), None), risk(1, 0), flag(30, Some(1), None), risk(30, 1)];
    let mut driver = Driver::new(short(), as_written(&rules()));
    driver.assign();
    driver.step_rows(&history, &[0]);
    let mut again = driver.after_losing_the_store();
    again.step_rows(&history, &[1]);
    // The signal names another incident or none: it is told in any case, and the old one is over when it is quiet.
    assert!(again.told().contains(&(Plane::Access, NotifyReason::Opened)), "{:?}", again.told());
    again.step_rows(&history, &[2]);
    again.step_rows(&history, &[3]);
    assert!(again.told().contains(&(Plane::Model, NotifyReason::Resolved)), "{:?}", again.told());
}

#[test]
fn reading_everything_again_says_nothing_again() {
    let seen = std::cell::RefCell::new(0);
    let named = |history: Vec<Event>| -> Vec<Event> {
        // Those whose principal is learned later may belong to their session for a while.
        let own = |event: Event| Event { principal: Some(event.principal.unwrap_or(event.value % 2)), ..event };
        // What is said early and taken back is said and taken back again.
        let final_word = |event: &Event| !event.access || event.kind != 1;
        history.into_iter().filter(final_word).map(own).collect()
    };
    let result = runner(80).run(&(events(60, 40).prop_map(named), 1_usize..6), |(history, step)| {
        let mut driver = Driver::new(short(), as_written(&rules()));
        driver.play(&history, &Arrival::in_order(step));
        for (at, id) in driver.statuses().into_keys().enumerate() {
            let act = if at % 2 == 0 { Act::Acknowledge } else { close(Disposition::TruePositive) };
            let _ = driver.say(&id, said(act, 1, None));
        }
        let before = driver.statuses();
        let mut again = driver.after_losing_the_store();
        again.play(&history, &Arrival::in_order(step));
        prop_assert!(again.told().is_empty(), "{:?}", again.told());
        for (id, (status, signals)) in again.statuses() {
            prop_assert_eq!(before.get(&id), Some(&(status, signals)));
        }
        *seen.borrow_mut() += before.len();
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let seen = seen.into_inner();
    assert!(seen > 200, "{seen} incidents");
}
