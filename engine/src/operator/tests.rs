//! The watchman as a script of moments, and his promise over any.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use watershed_schemas::{Notice, NoticeKind, NoticeState, NotifyReason, Timestamp};

use super::*;
use crate::deliver::ReceiverState;

const HOUR: i64 = 3_600;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + seconds)
}

fn well(now: Timestamp) -> Facts<'static> {
    let plane = PlaneFacts { present: true, heard: now, ever: true, rejected: 0 };
    Facts { now, planes: [plane; 2], stopped: Vec::new(), degraded: Vec::new(), receivers: Vec::new(), full: None }
}

fn said(facts: &Facts<'_>) -> Vec<String> {
    let wrong = conditions(facts, &Settings::default());
    wrong.iter().map(|one| format!("{} {}: {}", one.kind.name(), one.subject, one.text)).collect()
}

#[test]
fn every_condition_is_told_from_its_facts() {
    let now = at(HOUR);
    let silent = |planes: [(bool, i64, bool); 2]| {
        let planes = planes.map(|(present, heard, ever)| PlaneFacts { present, heard: at(heard), ever, rejected: 0 });
        Facts { planes, ..well(now) }
    };
    let cases: Vec<(&str, Facts<'_>, &[&str])> = vec![
        ("all is well", well(now), &[]),
        ("just not silent", silent([(true, HOUR - 899, true), (true, HOUR, true)]), &[]),
        (
            "one silent",
            silent([(true, HOUR, true), (true, HOUR - 900, true)]),
            &[
                "plane_silent access: the access plane is not heard since 2023-11-14T22:58:20Z; while the model plane moves on",
            ],
        ),
        (
            "both silent, one from the start",
            silent([(true, 0, true), (true, 0, false)]),
            &[
                "plane_silent access: the access plane is not heard since the start, at 2023-11-14T22:13:20Z; nor is the model plane: nothing comes at all",
                "plane_silent model: the model plane is not heard since 2023-11-14T22:13:20Z; nor is the access plane: nothing comes at all",
            ],
        ),
        (
            "a plane without a source is not missed",
            silent([(true, 0, true), (false, 0, false)]),
            &["plane_silent model: the model plane is not heard since 2023-11-14T22:13:20Z; it is the only one"],
        ),
        (
            "paused intake hears nothing",
            Facts { full: Some(10_000), ..silent([(true, 0, true), (true, 0, true)]) },
            &["outbox_full outbox: 10000 messages wait for receivers: intake is paused"],
        ),
        (
            "rules and receivers",
            Facts {
                stopped: vec!["slow"],
                degraded: vec![("wide", 7)],
                receivers: vec![
                    ("a", ReceiverState::Up, None),
                    ("b", ReceiverState::Down, Some("the receiver answered 503")),
                    ("c", ReceiverState::Gone, None),
                ],
                ..well(now)
            },
            &[
                "rule_stopped slow: rule slow is stopped; /readyz says why",
                "rule_degraded wide: rule wide is degraded: rows of 7 keys were not kept",
                "receiver_disabled b: receiver b is down; it is only probed, and its messages wait: the receiver answered 503",
                "receiver_disabled c: receiver c says that it is gone; its messages go to the fallback until the next start",
            ],
        ),
    ];
    for (what, facts, expected) in cases {
        assert_eq!(said(&facts), expected, "{what}");
    }
    let mut rejects = well(now);
    rejects.planes[0].rejected = 100;
    assert_eq!(said(&rejects), [""; 0]);
    rejects.planes[0].rejected = 101;
    assert_eq!(
        said(&rejects),
        [
            "dlq_growing model: 101 records of the model plane could not be decoded in 5 minutes; they are in the dead letters"
        ]
    );
}

#[test]
fn rejects_are_counted_over_the_last_minutes() {
    let mut rejects = Rejects::default();
    for minute in 0..10 {
        rejects.add(at(60 * minute), 10);
    }
    assert_eq!(rejects.lately(at(9 * 60)), 60);
    // A clock that was set back loses nothing.
    rejects.add(at(8 * 60), 1);
    assert_eq!((rejects.lately(at(9 * 60)), rejects.lately(at(14 * 60)), rejects.lately(at(15 * 60))), (61, 11, 0));
}

fn condition(subject: &str) -> Condition {
    Condition { kind: NoticeKind::RuleStopped, subject: subject.to_owned(), text: format!("{subject} is stopped") }
}

fn script(steps: &[(i64, &[&str])]) -> Vec<String> {
    let mut watchman = Watchman::default();
    let mut log = Vec::new();
    for (minute, subjects) in steps {
        let wrong: Vec<Condition> = subjects.iter().map(|subject| condition(subject)).collect();
        for Told { notice, again } in watchman.observe(at(60 * minute), &wrong, Duration::from_secs(4 * 3_600)) {
            let Notice { subject, state, since, .. } = notice;
            let since = (since.micros() - at(0).micros()) / 60_000_000;
            log.push(format!("{minute} {subject} {state:?} since {since}{}", if again { " again" } else { "" }));
        }
        // What is stored is what was there.
        let stored = serde_json::to_vec(&watchman).expect("writes");
        assert_eq!(serde_json::from_slice::<Watchman>(&stored).expect("reads"), watchman);
    }
    log
}

#[test]
fn what_stands_is_told_once_then_each_repeat_and_once_at_its_end() {
    let day: &[(i64, &[&str])] =
        &[(0, &["a"]), (1, &["a", "b"]), (239, &["a", "b"]), (240, &["a", "b"]), (250, &["b"]), (251, &[]), (900, &[])];
    assert_eq!(
        script(day),
        [
            "0 a Firing since 0",
            "1 b Firing since 1",
            "240 a Firing since 0 again",
            "250 a Resolved since 0",
            "250 b Firing since 1 again",
            "251 b Resolved since 1",
        ]
    );
}

#[test]
fn what_comes_and_goes_is_not_told_again_within_repeat() {
    let flapping: &[(i64, &[&str])] = &[
        (0, &["a"]),
        (1, &[]),
        (2, &["a"]),
        (3, &[]),
        (4, &["a"]),
        (240, &["a"]),
        (241, &[]),
        (242, &["a"]),
        (243, &[]),
    ];
    assert_eq!(
        script(flapping),
        ["0 a Firing since 0", "1 a Resolved since 0", "240 a Firing since 4", "241 a Resolved since 4"]
    );
}

proptest! {
    #[test]
    fn at_most_one_message_each_repeat_and_one_end_to_each_beginning(
        steps in proptest::collection::vec((1_i64..90, any::<[bool; 3]>()), 1..60)
    ) {
        let repeat = Duration::from_secs(4 * 3_600);
        let mut watchman = Watchman::default();
        let mut minute = 0;
        let mut fired: BTreeMap<String, (Timestamp, bool)> = BTreeMap::new();
        for (more, wrong) in steps {
            minute += more;
            let now = at(60 * minute);
            let names = ["a", "b", "c"];
            let stands: Vec<Condition> =
                names.iter().zip(wrong).filter(|(_, wrong)| *wrong).map(|(name, _)| condition(name)).collect();
            for Told { notice, again } in watchman.observe(now, &stands, repeat) {
                match notice.state {
                    NoticeState::Firing => {
                        if let Some((last, open)) = fired.get(&notice.subject) {
                            prop_assert!(last.plus(repeat) <= now, "{} again after too little", notice.subject);
                            prop_assert_eq!(*open, again);
                        }
                        fired.insert(notice.subject, (now, true));
                    }
                    NoticeState::Resolved => {
                        let open = fired.get_mut(&notice.subject).map(|(_, open)| std::mem::replace(open, false));
                        prop_assert_eq!(open, Some(true), "{} ends that was not told", notice.subject);
                    }
                }
            }
            // Whatever was said last agrees with what is, but for what may not be said yet.
            for (name, wrong) in names.iter().zip(wrong) {
                let (last, open) = fired.get(*name).copied().unwrap_or((Timestamp::MIN, false));
                prop_assert!(open == wrong || (wrong && last.plus(repeat) > now), "{name}");
            }
            let standing = watchman.standing().count();
            prop_assert_eq!(standing, wrong.iter().filter(|wrong| **wrong).count());
        }
    }
}

#[test]
fn a_receiver_is_not_told_of_itself() {
    let notice = Notice {
        kind: NoticeKind::ReceiverDisabled,
        subject: "ops/1".to_owned(),
        state: NoticeState::Firing,
        since: at(0),
        text: "receiver ops/1 is down".to_owned(),
    };
    let told = [Told { notice, again: false }];
    let messages = messages(&told, &["ops/1", "ops-2"], at(5));
    let [message] = messages.as_slice() else { panic!("one is told: {messages:?}") };
    assert_eq!((message.receiver.as_str(), message.reason), ("ops-2", NotifyReason::Opened));
    assert_eq!(message.incident_id, "operator-receiver_disabled-ops_1");
    assert_eq!(message.title, "[high] Watershed: receiver ops/1 is down");
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    assert!(message.notification_id.chars().all(allowed), "{}", message.notification_id);
    assert!(message.planes.is_empty() && message.evidence.is_empty());
}
