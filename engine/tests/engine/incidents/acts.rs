//! What people do with incidents.

use watershed_engine::core::Input;
use watershed_schemas::{Act, Disposition, Handled, IncidentRevision, IncidentStatus, NotifyReason, Plane, Timestamp};

use super::{flag, risk, rules, short};
use crate::driver::Driver;
use crate::history::{Event, as_written};

pub(super) fn said(act: Act, second: i64, note: Option<&str>) -> Handled {
    Handled { act, by: "kim".to_owned(), at: Timestamp::from_secs(second), note: note.map(str::to_owned) }
}

pub(super) fn close(disposition: Disposition) -> Act {
    Act::Close { disposition }
}

impl Driver {
    /// Says it of the incident and gives back the answer.
    pub(super) fn say(&mut self, incident_id: &str, handled: Handled) -> Result<u32, String> {
        let output = self.step(vec![Input::Act { incident_id: incident_id.to_owned(), handled }]);
        let [(id, answer)] = output.acted.as_slice() else { panic!("one act has one answer") };
        assert_eq!(id, incident_id);
        answer.clone()
    }

    fn last(&self, incident_id: &str) -> &IncidentRevision {
        self.incidents()[incident_id]
    }

    /// What was told since so many tellings.
    fn told_since(&self, before: usize) -> Vec<(Plane, NotifyReason)> {
        self.told().split_off(before)
    }
}

/// A driver with one incident of model abuse, and its id.
fn opened(history: &[Event]) -> (Driver, String) {
    let mut driver = Driver::new(short(), as_written(&rules()));
    driver.assign();
    driver.step_rows(history, &[0]);
    let id = driver.incidents().keys().next().expect("opened").to_string();
    (driver, id)
}

#[test]
fn an_acknowledged_incident_stays_so_and_still_tells_what_has_grown() {
    let history = [flag(0, Some(0), None), flag(1, Some(0), None), risk(2, 0), flag(30, Some(1), None), risk(30, 1)];
    let (mut driver, id) = opened(&history);
    assert_eq!(driver.say(&id, said(Act::Acknowledge, 1, None)), Ok(2));
    let last = driver.last(&id);
    assert_eq!((last.status, last.reason.as_str()), (IncidentStatus::Acknowledged, "acknowledged"));
    assert_eq!(last.handled.as_ref().map(|handled| handled.by.as_str()), Some("kim"));
    let changed: Vec<&str> = last.changes.iter().map(|change| change.field.as_str()).collect();
    assert_eq!(changed, ["status", "handled"]);
    assert_eq!(driver.told_since(1), [(Plane::Model, NotifyReason::Acknowledged)]);
    // Said again, after a lost answer, it is the same act.
    assert_eq!(driver.say(&id, said(Act::Acknowledge, 1, None)), Ok(2));
    assert_eq!(driver.revisions().count(), 2);
    // More of the same wakes nobody.
    driver.step_rows(&history, &[1]);
    assert_eq!((driver.last(&id).status, driver.told().len()), (IncidentStatus::Acknowledged, 2));
    // The other plane is news to both teams.
    driver.step_rows(&history, &[2]);
    assert_eq!(driver.last(&id).status, IncidentStatus::Acknowledged);
    assert_eq!(
        driver.told_since(2),
        [(Plane::Model, NotifyReason::VerdictGrew), (Plane::Access, NotifyReason::Opened)]
    );
    // Quiet for the gap, it is over all the same.
    driver.step_rows(&history, &[3]);
    driver.step_rows(&history, &[4]);
    assert_eq!(driver.last(&id).status, IncidentStatus::Resolved);
    let resolved = [Plane::Model, Plane::Access].map(|plane| (plane, NotifyReason::Resolved));
    assert!(resolved.iter().all(|telling| driver.told_since(4).contains(telling)));
}

#[test]
fn a_closed_incident_opens_again_only_for_more_than_it_was_closed_as() {
    for (disposition, note) in [
        (Disposition::TruePositive, None),
        (Disposition::Benign, None),
        (Disposition::FalsePositive, Some("the test account")),
    ] {
        let history = [flag(0, Some(0), None), flag(1, Some(0), None), risk(2, 0)];
        let (mut driver, id) = opened(&history);
        assert_eq!(driver.say(&id, said(close(disposition), 1, note)), Ok(2));
        assert_eq!(driver.last(&id).status, IncidentStatus::Closed);
        assert_eq!(driver.told_since(1), [(Plane::Model, NotifyReason::Resolved)]);
        driver.step_rows(&history, &[1]);
        let last = driver.last(&id);
        assert_eq!((last.status, last.signals.len(), last.revision), (IncidentStatus::Closed, 2, 3));
        assert_eq!(driver.told().len(), 2);
        driver.step_rows(&history, &[2]);
        let last = driver.last(&id);
        assert_eq!(last.status, IncidentStatus::Open);
        assert_eq!(last.reason, "reopened: verdict grew from model_abuse to both");
        assert_eq!(last.handled.as_ref().map(|handled| &handled.act), Some(&close(disposition)));
        assert_eq!(driver.told_since(2), [(Plane::Model, NotifyReason::Opened), (Plane::Access, NotifyReason::Opened)]);
    }
}

#[test]
fn who_heard_that_it_is_over_hears_as_what_it_was_closed_each_time() {
    let history = [flag(0, Some(0), None), flag(60, Some(1), None), risk(60, 1)];
    let (mut driver, id) = opened(&history);
    driver.step_rows(&history, &[1]);
    driver.step_rows(&history, &[2]);
    assert_eq!(driver.last(&id).status, IncidentStatus::Resolved);
    for restart in [false, true] {
        let mut second = if restart { 20 } else { 10 };
        let mut hears = |driver: &mut Driver, by: &str, disposition: Disposition, heard: &[(Plane, NotifyReason)]| {
            let before = driver.told().len();
            second += 1;
            let handled = Handled { by: by.to_owned(), ..said(close(disposition), second, Some("a drill")) };
            driver.say(&id, handled).expect("it can be closed");
            assert_eq!(driver.told_since(before), heard, "{disposition:?} by {by}");
        };
        if restart {
            driver.restart();
        }
        let over = [(Plane::Model, NotifyReason::Resolved)];
        // Quiet resolved it, or it was closed as a true positive: benign is news, and then no more.
        hears(&mut driver, "kim", Disposition::Benign, &over);
        hears(&mut driver, "ann", Disposition::Benign, &[]);
        hears(&mut driver, "kim", Disposition::TruePositive, &over);
    }
}

#[test]
fn who_has_taken_it_does_not_take_it_again() {
    let (mut driver, id) = opened(&[flag(0, Some(0), None)]);
    for (by, second, heard) in [("kim", 1, 1), ("kim", 2, 0), ("ann", 3, 1), ("ann", 4, 0), ("kim", 5, 1)] {
        let before = driver.told().len();
        let handled = Handled { by: by.to_owned(), ..said(Act::Acknowledge, second, None) };
        driver.say(&id, handled).expect("it is open");
        assert_eq!(driver.told_since(before), vec![(Plane::Model, NotifyReason::Acknowledged); heard], "{by} {second}");
    }
}

#[test]
fn what_was_forgotten_by_evidence_is_still_known_to_people() {
    let history =
        [flag(0, Some(0), None), flag(60, Some(1), None), risk(60, 1), flag(200, Some(1), None), risk(200, 1)];
    for restart in [false, true] {
        let (mut driver, id) = opened(&history);
        for at in 1..history.len() {
            driver.step_rows(&history, &[at]);
        }
        assert_eq!(driver.last(&id).status, IncidentStatus::Resolved);
        if restart {
            driver.restart();
        }
        let before = driver.last(&id).revision;
        let note = Some("a drill");
        assert_eq!(driver.say(&id, said(close(Disposition::FalsePositive), 9, note)), Ok(before + 1));
        if restart {
            driver.restart();
        }
        assert_eq!(driver.say(&id, said(Act::Reopen, 10, None)), Ok(before + 2));
        let last = driver.last(&id);
        assert_eq!((last.status, last.signals.len()), (IncidentStatus::Open, 1));
        assert_eq!(driver.told().last(), Some(&(Plane::Model, NotifyReason::Opened)));
        assert_eq!(driver.say(&id, said(close(Disposition::TruePositive), 11, None)), Ok(before + 3));
        assert_eq!(driver.told().last(), Some(&(Plane::Model, NotifyReason::Resolved)));
    }
}

#[test]
fn what_a_person_reopens_is_theirs_to_close() {
    let history = [flag(0, Some(0), None), flag(8, Some(1), None), risk(8, 1), flag(12, Some(1), None), risk(12, 1)];
    let (mut driver, id) = opened(&history);
    driver.step_rows(&history, &[1]);
    driver.step_rows(&history, &[2]);
    assert_eq!(driver.last(&id).status, IncidentStatus::Resolved);
    driver.say(&id, said(Act::Reopen, 1, None)).expect("it was over");
    for restart in [false, true] {
        if restart {
            driver.restart();
        }
        driver.step_rows(&history, &[3]);
        driver.step_rows(&history, &[4]);
        assert_eq!(driver.last(&id).status, IncidentStatus::Open);
    }
}

#[test]
fn acts_that_make_no_sense_say_why_and_change_nothing() {
    let merged = [flag(10, Some(0), None), flag(16, Some(0), None), flag(13, Some(0), None)];
    let (mut driver, older) = opened(&merged);
    driver.step_rows(&merged, &[1]);
    driver.step_rows(&merged, &[2]);
    let younger = driver.incidents().keys().find(|id| **id != older).expect("there were two").to_string();
    let mut check = |id: &str, handled: Handled, why: &str| {
        let revisions = driver.revisions().count();
        let answer = driver.say(id, handled).expect_err(why);
        assert!(answer.contains(why), "{answer}");
        assert_eq!(driver.revisions().count(), revisions);
    };
    check(&younger, said(close(Disposition::Benign), 1, None), &format!("became part of `{older}`"));
    check("inc_nobody", said(Act::Acknowledge, 1, None), "no incident `inc_nobody` is known");
    check(&older, said(Act::Reopen, 1, None), "is not over");
    check(&older, said(Act::Comment, 1, Some(" ")), "says nothing");
    check(&older, said(close(Disposition::FalsePositive), 1, None), "needs a `note`");
    check(&older, Handled { by: " ".to_owned(), ..said(Act::Acknowledge, 1, None) }, "nobody is named");
    check(&older, said(Act::Comment, 1, Some(&"x".repeat(5_000))), "at most 4000");
    driver.say(&older, said(close(Disposition::Benign), 2, None)).expect("it stands");
    let answer = driver.say(&older, said(Act::Acknowledge, 3, None)).expect_err("it is over");
    assert!(answer.contains("reopen it first"), "{answer}");
    driver.say(&older, said(Act::Comment, 4, Some("seen"))).expect("a comment is always welcome");
    assert_eq!(driver.last(&older).status, IncidentStatus::Closed);
}

#[test]
fn acts_and_evidence_of_one_step_count_in_their_order() {
    let history = [flag(0, Some(0), None), risk(1, 0)];
    let rows = |at: usize| Input::Rows {
        origin: 0,
        partition: crate::driver::partition(history[at].plane(), 0),
        batch: crate::history::batch(history[at].plane(), &history, &[at]),
    };
    let mut finals = Vec::new();
    for together in [false, true] {
        let (mut driver, id) = opened(&history);
        let act = Input::Act { incident_id: id.clone(), handled: said(close(Disposition::Benign), 1, None) };
        if together {
            driver.step(vec![act, rows(1)]);
        } else {
            driver.step(vec![act]);
            driver.step(vec![rows(1)]);
        }
        finals.push((driver.last(&id).clone(), driver.told()));
    }
    assert_eq!(finals[0].0.status, IncidentStatus::Open, "the evidence came after the act");
    assert_eq!(finals[0], finals[1]);
}
