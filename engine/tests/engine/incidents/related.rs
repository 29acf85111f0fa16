//! Incidents of different entities that have something in common name each other, and stay apart.

use watershed_engine::core::Settings;
use watershed_schemas::{IncidentRevision, NotifyReason, Plane, Shared};

use super::{flag, play, risk, rules, short};
use crate::driver::{Arrival, Driver};
use crate::history::{Event, as_written};

fn with_limit(related_limit: usize) -> Settings {
    let mut settings = short();
    settings.incidents.related_limit = related_limit;
    settings
}

/// The last revision of the incident of this principal.
fn of<'a>(driver: &'a Driver, principal: &str) -> &'a IncidentRevision {
    let mut last = driver.incidents().into_values();
    last.find(|incident| incident.principal.as_deref() == Some(principal)).expect("the principal has an incident")
}

fn relations(incident: &IncidentRevision) -> Vec<(&str, Shared, &str)> {
    let related = incident.related.iter();
    related.map(|related| (related.incident_id.as_str(), related.shares, related.value.as_str())).collect()
}

#[test]
fn the_newer_says_it_at_once_the_older_with_its_next_word_and_nobody_is_told() {
    // The credential is the session's; agents differ.
    let history = [
        flag(0, Some(0), Some(0)),
        Event { value: 1, ..flag(1, Some(1), Some(1)) },
        Event { session: Some(1), ..risk(2, 0) },
        risk(3, 0),
    ];
    let mut driver = Driver::new(short(), as_written(&rules()));
    driver.assign();
    driver.step_rows(&history, &[0]);
    driver.step_rows(&history, &[1]);
    assert!(driver.revisions().all(|revision| revision.related.is_empty()));
    // The older is revised because of new evidence, and the newer because of it alone.
    driver.step_rows(&history, &[2]);
    let (older, newer) = (of(&driver, "p0").clone(), of(&driver, "p1").clone());
    assert_eq!(relations(&older), [(newer.incident_id.as_str(), Shared::Credential, "s1")]);
    let shares = [Shared::Credential].map(|shares| (older.incident_id.as_str(), shares, "s1"));
    assert_eq!(relations(&newer), shares);
    assert_eq!((newer.revision, newer.reason.as_str()), (2, format!("related to {}", older.incident_id).as_str()));
    let changed: Vec<&str> = newer.changes.iter().map(|change| change.field.as_str()).collect();
    assert!(changed.contains(&"related"), "{changed:?}");
    let opened = |plane: Plane| (plane, NotifyReason::Opened);
    let told = driver.told();
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(told[..2], [opened(Plane::Model), opened(Plane::Model)]);
    assert_eq!(told[2..], [(Plane::Model, NotifyReason::VerdictGrew), opened(Plane::Access)]);
    let revisions = driver.revisions().count();
    driver.step_rows(&history, &[3]);
    assert_eq!(of(&driver, "p1").revision, 2, "a known relation is no news");
    assert_eq!(driver.revisions().count(), revisions + 1);
}

#[test]
fn what_too_many_share_relates_nobody() {
    // Two principals and one session without a name: three incidents with one agent.
    let rules = rules();
    let history = [flag(0, Some(0), Some(0)), flag(1, Some(1), Some(1)), Event { kind: 0, ..flag(2, None, Some(2)) }];
    for (limit, related) in [(3, 2), (2, 0), (8, 2)] {
        let driver = play(with_limit(limit), &rules, &history, &Arrival::in_order(1));
        let counts: Vec<usize> = driver.incidents().values().map(|incident| incident.related.len()).collect();
        assert_eq!(counts, [related; 3], "limit {limit}");
        assert_eq!(driver.core.values_too_common() > 0, limit == 2);
    }
}

#[test]
fn only_what_is_near_in_time_is_related() {
    let rules = rules();
    for (minutes, related) in [(4, 1), (5, 0)] {
        let history = [flag(0, Some(0), Some(0)), flag(minutes, Some(1), Some(1))];
        let driver = play(short(), &rules, &history, &Arrival::in_order(1));
        let counts: Vec<usize> = driver.incidents().values().map(|incident| incident.related.len()).collect();
        assert_eq!(counts, [related; 2], "{minutes} minutes apart with a gap of four");
    }
}

#[test]
fn an_entity_is_not_related_to_itself() {
    let history: Vec<Event> = (0..10).map(|step| flag(step * 3, Some(0), Some(0))).collect();
    let driver = play(short(), &rules(), &history, &Arrival::in_order(1));
    assert_eq!(driver.incidents().len(), 4, "continued when it lasted too long");
    assert!(driver.incidents().values().all(|incident| incident.related.is_empty()));
}
