use std::sync::Arc;
use std::time::Duration;

use watershed_schemas::{
    Case, IncidentRevision, IncidentStatus, Moment, Notification, NotifyReason, Plane, Timestamp, Verdict,
};

use super::example::{at, moment, whole};
use crate::cases::{Cases, Filter, Settings};
use crate::core::{Gathered, Output};
use crate::store::{Commit, MemoryStore, StateStore};

const ID: &str = "inc_1";

fn revision(id: &str, number: u32, seconds: i64) -> IncidentRevision {
    IncidentRevision {
        revision: number,
        reason: format!("reason {number}"),
        last_event_time: at(seconds),
        principal: Some("ada@example.com".to_owned()),
        ..IncidentRevision::opened(id, "acme", Verdict::ModelAbuse, at(0))
    }
}

/// Cases over a store, with what each step wrote.
struct Bench {
    store: Arc<MemoryStore>,
    settings: Settings,
    cases: Cases,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        let store = Arc::new(MemoryStore::new());
        let cases = Cases::open(settings, Some(store.clone() as Arc<dyn StateStore>)).expect("an empty store");
        Bench { store, settings, cases }
    }

    /// Takes a step and makes it durable; gives the keys that it wrote.
    fn step(&mut self, output: &Output, notifications: &[Notification], heard: Timestamp) -> Vec<Vec<u8>> {
        let mut commit = Commit::default();
        self.cases.take(output, notifications, &[], [heard; 2], &mut commit).expect("readable");
        let keys = commit.puts.iter().map(|(key, _)| key.clone()).collect();
        self.store.commit(commit).expect("in memory");
        self.cases.committed();
        keys
    }

    fn restart(&mut self) {
        self.cases =
            Cases::open(self.settings, Some(self.store.clone() as Arc<dyn StateStore>)).expect("a readable store");
    }

    fn case(&self, id: &str) -> Case {
        self.cases.get(id).expect("readable").expect("there is such a case")
    }
}

fn revised(revisions: Vec<IncidentRevision>) -> Output {
    Output { incidents: revisions, ..Output::default() }
}

#[test]
fn a_file_keeps_the_first_and_the_latest_revisions_and_counts_the_others() {
    let mut bench = Bench::new(Settings::default());
    for number in 1..=100 {
        bench.step(&revised(vec![revision(ID, number, i64::from(number))]), &[], at(i64::from(number)));
        if number % 30 == 0 {
            bench.restart();
        }
    }
    let case = bench.case(ID);
    let numbers: Vec<u32> = case.revisions.iter().map(|revision| revision.revision).collect();
    let expected: Vec<u32> = [1].into_iter().chain(50..100).collect();
    assert_eq!((numbers, case.incident.revision, case.revisions_omitted), (expected, 100, 48));
    // What was left out is not in the store either.
    let stored = bench.store.scan(b"c/r/").expect("in memory");
    assert_eq!(stored.len(), 51);
}

#[test]
fn what_is_said_twice_is_written_once_and_a_step_writes_only_what_it_changes() {
    let mut bench = Bench::new(Settings::default());
    let moments = (0..100).map(|second| {
        let mut moment = moment(Plane::Model, second, &format!("e{second}"), "tool_call", &[("tool", "t")]);
        moment.moment = Moment::Evidence;
        moment
    });
    let gathered = vec![Gathered { incident_id: ID.to_owned(), moments: moments.collect() }];
    let output = Output { gathered, ..revised(vec![revision(ID, 1, 99)]) };
    // Entry, head, and four parts of the timeline.
    assert_eq!(bench.step(&output, &[], at(99)).len(), 6);
    let again = bench.step(&output, &[], at(99));
    assert_eq!(again, [b"c/i/inc_1".to_vec()], "only the entry is put again");
    let told = Notification::about(&revision(ID, 1, 99), "pager", "ai-security", &[Plane::Model], NotifyReason::Opened);
    let keys = bench.step(&Output::default(), &[told], at(120));
    assert_eq!(keys, [b"c/i/inc_1".to_vec(), b"c/h/inc_1".to_vec()]);
    bench.restart();
    let case = bench.case(ID);
    assert_eq!((case.timeline.len(), case.told.len(), case.told[0].at), (100, 1, at(120)));
    assert!(case.timeline.is_sorted_by_key(|moment| moment.event_time));
}

#[test]
fn a_file_survives_a_restart_as_it_was() {
    let mut bench = Bench::new(Settings::default());
    let whole = whole();
    let output = Output {
        incidents: whole.revisions.iter().chain([&whole.incident]).cloned().collect(),
        gathered: vec![Gathered { incident_id: whole.incident.incident_id.clone(), moments: whole.timeline.clone() }],
        ..Output::default()
    };
    bench.step(&output, &[], at(2_000));
    let before = bench.case(&whole.incident.incident_id);
    assert_eq!((&before.timeline, &before.incident), (&whole.timeline, &whole.incident));
    bench.restart();
    assert_eq!(bench.case(&whole.incident.incident_id), before);
    assert_eq!(bench.cases.find("inc_00").expect("one").map(|entry| entry.revision), Some(3));
}

#[test]
fn evidence_that_is_forgotten_stays_in_the_file_and_what_rests_on_it_follows_the_signals() {
    let mut bench = Bench::new(Settings::default());
    let with = |rules: &[&str]| {
        let mut evidence = moment(Plane::Model, 5, "e", "tool_call", &[]);
        evidence.moment = Moment::Evidence;
        evidence.signals = rules.iter().map(|rule| (format!("sig-{rule}"), (*rule).to_owned())).collect();
        Gathered { incident_id: ID.to_owned(), moments: vec![evidence] }
    };
    let mut step = |number: u32, gathered: Vec<Gathered>| {
        bench.step(&Output { gathered, ..revised(vec![revision(ID, number, 5)]) }, &[], at(10));
        let case = bench.case(ID);
        (case.timeline.len(), case.timeline.first().map_or(0, |moment| moment.signals.len()))
    };
    assert_eq!(step(1, vec![with(&["a", "b"])]), (1, 2));
    assert_eq!(step(2, vec![with(&["b"])]), (1, 1), "one was withdrawn");
    assert_eq!(step(3, Vec::new()), (1, 1), "nothing is remembered any more");
}

#[test]
fn old_cases_go_and_open_ones_stay() {
    let settings = Settings { retention: Duration::from_secs(3_600), ..Settings::default() };
    let mut bench = Bench::new(settings);
    let closed = IncidentRevision { status: IncidentStatus::Resolved, ..revision("inc_old", 1, 10) };
    bench.step(&revised(vec![closed, revision("inc_open", 1, 20)]), &[], at(30));
    bench.step(&Output::default(), &[], at(3_610));
    assert_eq!(bench.cases.len(), 2, "to the second");
    bench.step(&Output::default(), &[], at(3_611));
    let left: Vec<&str> = bench.cases.list(&Filter::default()).map(|entry| entry.incident_id.as_str()).collect();
    assert_eq!(left, ["inc_open"]);
    assert_eq!(bench.cases.counts().expired, 1);
    assert!(bench.store.scan(b"c/").expect("in memory").iter().all(|(key, _)| key.ends_with(b"inc_open")));
}

#[test]
fn beyond_the_bound_the_oldest_go_and_are_counted() {
    let mut bench = Bench::new(Settings { most: 10, in_memory: 2, ..Settings::default() });
    for number in 0..15 {
        let resolved =
            IncidentRevision { status: IncidentStatus::Resolved, ..revision(&format!("inc_{number:02}"), 1, number) };
        bench.step(&revised(vec![resolved]), &[], at(number));
    }
    assert_eq!((bench.cases.len(), bench.cases.counts().dropped), (10, 5));
    let first = bench.cases.list(&Filter::default()).next().map(|entry| entry.incident_id.clone());
    assert_eq!(first.as_deref(), Some("inc_14"), "the latest first");
    assert!(bench.cases.find("inc_1").is_err(), "five begin so");
    assert_eq!(bench.case("inc_09").incident.incident_id, "inc_09", "read back from the store");
}

#[test]
fn a_bounded_timeline_keeps_what_decided() {
    let mut bench = Bench::new(Settings::default());
    let moments = (0..500).map(|second| {
        let mut moment = moment(Plane::Model, second, &format!("e{second:03}"), "tool_call", &[]);
        moment.moment = if second % 2 == 0 { Moment::Evidence } else { Moment::Context };
        if second == 250 {
            moment.decided.push("r".to_owned());
        }
        moment
    });
    let gathered = vec![Gathered { incident_id: ID.to_owned(), moments: moments.collect() }];
    bench.step(&Output { gathered, ..revised(vec![revision(ID, 1, 499)]) }, &[], at(499));
    let case = bench.case(ID);
    let evidence: Vec<_> = case.timeline.iter().filter(|moment| moment.moment == Moment::Evidence).collect();
    assert_eq!((evidence.len(), case.timeline.len(), case.timeline_omitted), (200, 220, 280));
    assert!(evidence.iter().any(|moment| !moment.decided.is_empty()), "the middle is left out, but not this");
    assert_eq!((evidence[0].event_id.as_str(), evidence[199].event_id.as_str()), ("e000", "e498"));
}
