//! What holds for every history, under every way of telling.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::{Escalation, Label};
use super::world::{Event, World, events};
use super::*;

fn policies() -> impl Strategy<Value = Policy> {
    let group = prop::sample::select(vec![vec![], vec![Label::Tenant], vec![Label::Principal, Label::Verdict]]);
    let wait = prop::sample::select(vec![0_u64, 30, 300]);
    let repeat = prop::sample::select(vec![None, Some(600_u64)]);
    (group, wait, wait_between(), repeat, any::<bool>()).prop_map(|(group_by, wait, interval, repeat, escalates)| {
        let step = |after: u64, to: Vec<usize>| Escalation { after: seconds(after), to };
        Policy {
            group_by,
            group_wait: seconds(wait),
            group_interval: seconds(interval),
            repeat_interval: repeat.map(seconds),
            mute: Vec::new(),
            escalate: if escalates { vec![step(120, vec![BOSS]), step(900, vec![SOC, IAM])] } else { Vec::new() },
        }
    })
}

fn wait_between() -> impl Strategy<Value = u64> {
    prop::sample::select(vec![0_u64, 60, 600])
}

fn trees() -> impl Strategy<Value = Routes> {
    let texts =
        prop::sample::select(vec!["plane=model", "severity>=high", "verdict=both", "principal=~\"inc[01]@.*\""]);
    let leads = prop::sample::subsequence(vec![AI, IAM, SOC, BOSS], 1..3);
    let one = (texts, leads, policies(), any::<bool>())
        .prop_map(|(text, to, policy, and_on)| Route { and_on, ..route(&[text], &to, policy) });
    (policies(), prop::collection::vec(one, 0..3)).prop_map(|(policy, tree)| Routes { routes: tree, ..routes(policy) })
}

/// Plays a history; with `restarts` the program is started again where it says so.
fn play(routes: Routes, history: &[Event], restarts: bool) -> (Timeline, World) {
    let mut timeline = Timeline::new(routes);
    let mut world = World::default();
    for event in history {
        match event {
            Event::Wait(seconds) => {
                timeline.at(timeline.now + seconds);
            }
            Event::Move(incident, what) => {
                let told = world.act(*incident, *what);
                timeline.tell_all(&told);
            }
            Event::Silence(incident, seconds) => {
                timeline.silence(&format!("principal=inc{incident}@example.com"), timeline.now + seconds);
            }
            Event::Restart if restarts => {
                stored_whole(&mut timeline);
            }
            Event::Restart => {}
        }
    }
    (timeline, world)
}

/// Restarts from all that was ever written, as a store has it.
fn stored_whole(timeline: &mut Timeline) {
    timeline.router.dirty.extend(timeline.router.pages.keys().cloned().collect::<Vec<_>>());
    let silences = timeline.router.silences.clone();
    timeline.restart();
    timeline.router.silences = silences;
}

type Sent = (i64, Notification);

fn views(sent: &[Sent]) -> BTreeMap<&str, Vec<&Sent>> {
    let mut views: BTreeMap<&str, Vec<&Sent>> = BTreeMap::new();
    for message in sent {
        views.entry(&message.1.receiver).or_default().push(message);
    }
    views
}

/// The pages of one receiver: a key, or the keys that took its place.
fn lives<'a>(view: &[&'a Sent]) -> Vec<Vec<&'a Notification>> {
    let mut lives: Vec<(String, Vec<&Notification>)> = Vec::new();
    for (_, message) in view {
        let former = message.replaces.as_ref().unwrap_or(&message.dedup_key);
        match lives.iter_mut().find(|(key, _)| key == former) {
            Some((key, life)) => {
                key.clone_from(&message.dedup_key);
                life.push(message);
            }
            None => lives.push((message.dedup_key.clone(), vec![message])),
        }
    }
    lives.into_iter().map(|(_, life)| life).collect()
}

fn is_end(reason: NotifyReason) -> bool {
    matches!(reason, NotifyReason::Resolved | NotifyReason::Withdrawn)
}

proptest! {
    #[test]
    fn nobody_gets_a_plane_that_he_may_not_see(routes in trees(), history in events(true)) {
        let receivers = routes.receivers.clone();
        let (timeline, _) = play(routes, &history, true);
        for (_, message) in &timeline.sent {
            let receiver = receivers.iter().find(|receiver| receiver.name == message.receiver).expect("it is there");
            prop_assert!(message.planes.iter().all(|plane| receiver.planes.contains(plane)), "{message:?}");
            prop_assert!(receiver.name == "operator" || !message.planes.is_empty(), "{message:?}");
        }
    }

    #[test]
    fn each_view_is_monotone_and_each_page_begins_and_ends_once(routes in trees(), history in events(true)) {
        let (timeline, _) = play(routes, &history, true);
        let ids: BTreeSet<&str> = timeline.sent.iter().map(|(_, sent)| sent.notification_id.as_str()).collect();
        prop_assert_eq!(ids.len(), timeline.sent.len(), "two messages bear one id");
        for (receiver, view) in views(&timeline.sent) {
            let mut newest: BTreeMap<&str, u32> = BTreeMap::new();
            for (_, message) in &view {
                let before = newest.insert(&message.incident_id, message.revision).unwrap_or(0);
                prop_assert!(before <= message.revision, "{receiver} is told of {} after {before}", message.revision);
            }
            for life in lives(&view) {
                let reasons: Vec<NotifyReason> = life.iter().map(|message| message.reason).collect();
                prop_assert!(matches!(reasons[0], NotifyReason::Opened | NotifyReason::Escalated), "{receiver}: {reasons:?}");
                // It ends once; after that a person may say, each time anew, what it was.
                let end = reasons.iter().position(|reason| is_end(*reason)).unwrap_or(reasons.len());
                for (before, judged) in life.iter().skip(end).zip(life.iter().skip(end + 1)) {
                    let is_closed = judged.reason == NotifyReason::Resolved && judged.status == IncidentStatus::Closed;
                    let is_newer = judged.revision > before.revision || judged.group.is_some();
                    prop_assert!(is_closed && is_newer, "{receiver}: {reasons:?}");
                }
                let reasons = &reasons[..reasons.len().min(end + 1)];
                if life[0].group.is_none() {
                    prop_assert!(!reasons[1..].contains(&NotifyReason::Opened), "{receiver}: {reasons:?}");
                    let spares = [NotifyReason::Acknowledged, NotifyReason::Repeated, NotifyReason::Escalated];
                    let calls = reasons.iter().filter(|reason| !spares.contains(reason)).count();
                    prop_assert!(calls <= 6, "{receiver} is told {calls} times: {reasons:?}");
                }
            }
        }
    }

    /// A team that is said to have the other half was told of it, no later than that.
    #[test]
    fn who_is_said_to_have_the_other_half_has_it(routes in trees(), history in events(true)) {
        let (timeline, _) = play(routes, &history, true);
        for (at, message) in &timeline.sent {
            let other = |plane: &Plane| !message.planes.contains(plane);
            for related in &message.related {
                let tells = |(then, sent): &Sent| {
                    let grouped = sent.group.as_ref().is_some_and(|group| group.incidents.contains(&message.incident_id));
                    let alone = sent.incident_id == message.incident_id && sent.planes.iter().any(other);
                    then <= at && sent.team == related.team && (grouped || alone)
                };
                prop_assert!(timeline.sent.iter().any(tells), "{} was told nothing: {message:?}", related.team);
            }
            prop_assert!(message.related.is_empty() || message.untold.is_none());
            prop_assert!(message.untold.is_none() || message.verdict == Verdict::Both, "{message:?}");
        }
    }

    #[test]
    fn whatever_opens_is_told_to_somebody(routes in trees(), history in events(false)) {
        let (mut timeline, world) = play(routes, &history, true);
        timeline.at(timeline.now + 1_000);
        for (incident, plane) in &world.news {
            let told = |(_, sent): &Sent| match &sent.group {
                Some(group) => group.incidents.contains(incident),
                None => sent.incident_id == *incident && (sent.planes.contains(plane) || sent.receiver == "operator"),
            };
            let as_group = |(_, sent): &Sent| sent.group.is_some() && sent.incident_id == *incident;
            prop_assert!(timeline.sent.iter().any(|sent| told(sent) || as_group(sent)), "nobody heard of {incident} {plane}");
        }
    }

    #[test]
    fn what_lasts_is_told_once_every_silence_is_over(routes in trees(), history in events(true)) {
        let (mut timeline, world) = play(routes, &history, true);
        timeline.at(timeline.now + 4_000);
        prop_assert_eq!(timeline.router.counts().1, 0, "something is still held back");
        for (incident, plane) in world.lasting() {
            let told = timeline.router.by_incident[incident.as_str()].iter().any(|key| {
                let page = &timeline.router.pages[key];
                let half = page.members.get(&incident).and_then(|member| member[plane.index()].as_ref());
                page.standing.is_some() && half.is_some_and(|half| half.told && !half.over && half.pending.is_none())
            });
            prop_assert!(told, "nobody knows of {incident} {plane}");
        }
    }

    #[test]
    fn a_restart_changes_nothing(routes in trees(), history in events(true)) {
        let (whole, _) = play(routes.clone(), &history, false);
        let (parts, _) = play(routes, &history, true);
        prop_assert_eq!(whole.sent, parts.sent);
    }

    /// What was told before there was anything to set: each revision to the owners, at once, as it is said.
    #[test]
    fn without_settings_everything_is_told_at_once_to_the_owners(history in events(false)) {
        let (timeline, _) = play(routes(Policy::default()), &history, true);
        let mut world = World::default();
        let mut expected = Vec::new();
        let mut now = 0;
        for event in &history {
            match event {
                Event::Wait(seconds) => now += seconds,
                Event::Move(incident, what) => {
                    for told in world.act(*incident, *what) {
                        let small = told.reason == NotifyReason::SeverityRose && told.incident.severity < Severity::High;
                        let receiver = if told.plane == Plane::Model { "ai" } else { "iam" };
                        let revision = told.incident.revision;
                        expected.extend((!small).then_some((now, receiver, told.incident.incident_id, revision, told.reason)));
                    }
                }
                _ => {}
            }
        }
        let sent: Vec<_> = timeline
            .sent
            .iter()
            .map(|(at, sent)| (*at, sent.receiver.as_str(), sent.incident_id.clone(), sent.revision, sent.reason))
            .collect();
        prop_assert_eq!(sent, expected);
    }
}

/// A property over dice proves nothing where the dice say nothing.
#[test]
fn histories_tell_enough_that_silence_would_be_seen() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut sent = 0;
    for _ in 0..100 {
        let tree = (trees(), events(true)).new_tree(&mut runner).expect("dice");
        let (routes, history) = proptest::strategy::ValueTree::current(&tree);
        sent += play(routes, &history, true).0.sent.len();
    }
    // There were 779.
    assert!(sent >= 700, "only {sent} messages in 100 histories");
}
