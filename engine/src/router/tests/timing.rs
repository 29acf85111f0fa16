//! Waiting, saying again, telling others.

use NotifyReason::{Acknowledged, Escalated, Opened, Repeated, Resolved, SeverityRose, VerdictGrew, Withdrawn};
use Plane::{Access, Model};
use Severity::{Critical, High};

use super::super::{Escalation, Label};
use super::*;

fn model(id: &str, number: u32, severity: Severity) -> IncidentRevision {
    revision(id, number, Verdict::ModelAbuse, severity)
}

#[test]
fn incidents_of_a_group_that_open_together_are_told_as_one() {
    let policy = Policy {
        group_by: vec![Label::Tenant],
        group_wait: seconds(30),
        group_interval: seconds(300),
        ..Policy::default()
    };
    let mut timeline = Timeline::new(routes(policy));
    timeline.tell(&model("a", 1, High), Model, Opened);
    timeline.at(10).tell(&model("b", 1, Critical), Model, Opened);
    timeline.at(20).tell(&IncidentRevision { tenant: "other".into(), ..model("c", 1, High) }, Model, Opened);
    timeline.want(&[]).at(60).want(&[(30, "ai", Opened), (50, "ai", Opened)]);
    let group = timeline.sent[0].1.group.clone().expect("it is of a group");
    assert_eq!(group.incidents, ["b", "a"], "the gravest first");
    assert_eq!(group.labels["tenant"], "acme");
    assert_eq!(timeline.sent[0].1.incident_id, "b");
    let key = timeline.sent[0].1.dedup_key.clone();
    assert_eq!(key, format!("{}:model:1", group.key));
    // Another one is told after the interval, on the same page.
    timeline.at(100).tell(&model("d", 1, High), Model, Opened).at(400).want(&[(330, "ai", Opened)]);
    assert_eq!((timeline.last().dedup_key.as_str(), timeline.last().replaces.as_deref()), (key.as_str(), None));
    assert_eq!(timeline.last().group.as_ref().expect("a group").incidents, ["b", "a", "d"]);
    // The page ends with the last of them.
    for (id, at) in [("b", 500), ("a", 600)] {
        timeline.at(at).tell(&ended(&model(id, 1, High)), Model, Resolved).want(&[]);
    }
    timeline.at(700).tell(&ended(&model("d", 1, High)), Model, Resolved).want(&[(700, "ai", Resolved)]);
    assert_eq!(timeline.last().dedup_key, key);
    let ids: std::collections::BTreeSet<&str> =
        timeline.sent.iter().map(|(_, sent)| sent.notification_id.as_str()).collect();
    assert_eq!(ids.len(), timeline.sent.len(), "receivers drop what bears an id that they know");
}

#[test]
fn what_comes_and_goes_while_its_group_waits_is_listed_once() {
    let policy = Policy { group_by: vec![Label::Tenant], group_interval: seconds(600), ..Policy::default() };
    let mut timeline = Timeline::new(routes(policy));
    timeline.tell(&model("a", 1, High), Model, Opened).want(&[(0, "ai", Opened)]);
    timeline.tell(&model("b", 1, High), Model, Opened).tell(&ended(&model("b", 1, High)), Model, Resolved);
    timeline.at(700).want(&[(600, "ai", Opened)]);
    assert_eq!(timeline.last().group.as_ref().expect("a group").incidents, ["a", "b"]);
    timeline.tell(&model("c", 1, High), Model, Opened).at(1_300).want(&[(1_200, "ai", Opened)]);
    assert_eq!(timeline.last().group.as_ref().expect("a group").incidents, ["a", "c"]);
}

#[test]
fn what_is_over_before_it_was_told_is_told_with_its_end() {
    let mut timeline = Timeline::new(routes(Policy { group_wait: seconds(30), ..Policy::default() }));
    timeline.tell(&model("a", 1, High), Model, Opened);
    timeline.at(10).tell(&ended(&model("a", 1, High)), Model, Resolved);
    timeline.at(40).want(&[(30, "ai", Opened), (30, "ai", Resolved)]);
    // What turned out to be nothing is nobody's news.
    timeline.tell(&model("b", 1, High), Model, Opened);
    timeline.at(50).tell(&ended(&model("b", 1, High)), Model, Withdrawn).at(100).want(&[]);
}

#[test]
fn growth_within_the_interval_is_one_message() {
    let mut timeline = Timeline::new(routes(Policy { group_interval: seconds(60), ..Policy::default() }));
    timeline.tell(&model("a", 1, Severity::Info), Model, Opened).want(&[(0, "ai", Opened)]);
    timeline.at(10).tell(&model("a", 2, High), Model, SeverityRose);
    timeline.at(20).tell(&revision("a", 3, Verdict::Both, Critical), Model, VerdictGrew);
    timeline.at(100).want(&[(60, "ai", VerdictGrew)]);
    assert_eq!(timeline.last().revision, 3);
    // Growth that waits is not told any more when the end is.
    timeline.at(110).tell(&revision("a", 4, Verdict::Both, Critical), Model, SeverityRose);
    timeline.tell(&ended(&revision("a", 4, Verdict::Both, Critical)), Model, Resolved).at(300);
    timeline.want(&[(110, "ai", Resolved)]);
}

#[test]
fn what_stands_is_said_again_until_somebody_takes_it() {
    let mut timeline = Timeline::new(routes(Policy { repeat_interval: Some(seconds(3_600)), ..Policy::default() }));
    let first = model("a", 1, High);
    timeline.tell(&first, Model, Opened).at(8_000);
    timeline.want(&[(0, "ai", Opened), (3_600, "ai", Repeated), (7_200, "ai", Repeated)]);
    assert_ne!(timeline.sent[1].1.notification_id, timeline.sent[2].1.notification_id);
    assert!(timeline.sent.iter().all(|(_, sent)| sent.dedup_key == "a:model:1" && sent.replaces.is_none()));
    timeline.restart().at(10_900).want(&[(10_800, "ai", Repeated)]);
    timeline.tell(&acknowledged(&first), Model, Acknowledged).at(20_000).want(&[(10_900, "ai", Acknowledged)]);
    // Opened again by somebody: what was taken is not any more.
    timeline.tell(&model("a", 3, Critical), Model, SeverityRose).at(23_700);
    timeline.want(&[(20_000, "ai", SeverityRose), (23_600, "ai", Repeated)]);
    timeline.tell(&ended(&model("a", 3, Critical)), Model, Resolved).at(40_000).want(&[(23_700, "ai", Resolved)]);
}

#[test]
fn when_nobody_acts_others_are_told_and_hear_what_becomes_of_it() {
    let escalate = vec![
        Escalation { after: seconds(900), to: vec![SOC] },
        Escalation { after: seconds(1_800), to: vec![BOSS, IAM] },
    ];
    let policy = Policy { escalate, ..Policy::default() };
    let mut timeline = Timeline::new(routes(policy.clone()));
    let first = model("a", 1, High);
    timeline.tell(&first, Model, Opened).at(1_000).want(&[(0, "ai", Opened), (900, "soc", Escalated)]);
    assert_eq!(timeline.last().dedup_key, "a:both:1");
    // Nobody is told of a plane that it may not see.
    timeline.restart().at(2_000).want(&[(1_800, "boss", Escalated)]);
    let worse = model("a", 2, Critical);
    let rose = |name| (2_000, name, SeverityRose);
    timeline.tell(&worse, Model, SeverityRose).want(&[rose("ai"), rose("soc"), rose("boss")]);
    let end = |name| (2_000, name, Resolved);
    timeline.tell(&ended(&worse), Model, Resolved).at(90_000).want(&[end("ai"), end("soc"), end("boss")]);
    assert_eq!(timeline.counts.escalated, 2);

    let mut timeline = Timeline::new(routes(policy));
    timeline.tell(&first, Model, Opened).at(600).tell(&acknowledged(&first), Model, Acknowledged).at(9_000);
    timeline.want(&[(0, "ai", Opened), (600, "ai", Acknowledged)]);
}

#[test]
fn nothing_waits_for_more_when_nothing_more_comes() {
    let mut timeline = Timeline::new(routes(Policy { group_wait: seconds(30), ..Policy::default() }));
    timeline.tell(&revision("a", 1, Verdict::AccessCompromise, High), Access, Opened).want(&[]);
    let routed = timeline.router.finish();
    timeline.take(routed);
    timeline.want(&[(0, "iam", Opened)]);
}
