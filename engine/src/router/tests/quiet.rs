//! Silences, mute intervals and inhibitions hold back; what still lasts is told when they end.

use NotifyReason::{Opened, Repeated, Resolved, SeverityRose, Withdrawn};
use Plane::Model;
use Severity::{Critical, High, Low};

use super::super::{Hold, Inhibition, Interval, Label, SilenceState, zone};
use super::*;

fn model(id: &str, number: u32, severity: Severity) -> IncidentRevision {
    revision(id, number, Verdict::ModelAbuse, severity)
}

#[test]
fn a_silenced_incident_is_counted_shown_and_told_when_the_silence_ends() {
    let mut timeline = Timeline::new(routes(Policy::default()));
    let silence = timeline.silence("principal=~\"a@.*\"", 600);
    timeline.tell(&model("a", 1, High), Model, Opened).tell(&model("b", 1, High), Model, Opened);
    timeline.want(&[(0, "ai", Opened)]);
    assert_eq!(timeline.last().incident_id, "b");
    assert_eq!((timeline.counts.silenced, timeline.router.counts().1), (1, 1));
    let held = timeline.router.held_back("a");
    assert_eq!(held[0].hold, Hold::Silence { id: silence.id.clone() });
    assert!(timeline.router.held_back("b").is_empty());
    // Growth while it holds waits too, and is counted once.
    timeline.at(300).tell(&model("a", 2, Critical), Model, SeverityRose).restart();
    timeline.at(700).want(&[(600, "ai", Opened)]);
    assert_eq!((timeline.last().revision, timeline.counts.silenced), (2, 1));
    assert!(timeline.router.held_back("a").is_empty());
}

#[test]
fn a_silence_that_came_while_nothing_was_held_ends_on_time() {
    let mut timeline = Timeline::new(routes(Policy::default()));
    timeline.silence("principal=b@example.com", 500);
    timeline.tell(&model("b", 1, High), Model, Opened);
    timeline.tell(&IncidentRevision { revision: 2, ..model("b", 1, High) }, Model, Withdrawn).want(&[]);
    timeline.silence("principal=a@example.com", 5);
    timeline.at(1).tell(&model("c", 1, High), Model, Opened).want(&[(1, "ai", Opened)]);
    timeline.tell(&model("a", 1, High), Model, Opened).at(60).want(&[(5, "ai", Opened)]);
}

#[test]
fn a_silence_that_is_ended_early_frees_what_it_held_and_is_shown_for_five_days() {
    let mut timeline = Timeline::new(routes(Policy::default()));
    let silence = timeline.silence("tenant=acme", 86_400);
    timeline.tell(&model("a", 1, High), Model, Opened).at(100).want(&[]);
    let over = timeline.router.expire_silence(&silence.id, time(100)).expect("it lasts");
    assert_eq!(over.state(time(100)), SilenceState::Expired);
    assert!(timeline.router.expire_silence(&silence.id, time(100)).is_err_and(|reason| reason.contains("ended at")));
    assert!(timeline.router.expire_silence("sil_none", time(100)).is_err_and(|reason| reason.contains("no silence")));
    timeline.at(101).want(&[(101, "ai", Opened)]);
    let day = 86_400;
    assert_eq!(timeline.router.silences(time(100 + 5 * day - 1)).len(), 1);
    assert!(timeline.router.silences(time(100 + 5 * day)).is_empty());
}

#[test]
fn what_ends_in_silence_is_nobodys_news_but_whoever_was_told_hears_it() {
    let mut timeline = Timeline::new(routes(Policy { repeat_interval: Some(seconds(60)), ..Policy::default() }));
    timeline.tell(&model("told", 1, High), Model, Opened).want(&[(0, "ai", Opened)]);
    timeline.silence("tenant=acme", 600);
    timeline.tell(&model("new", 1, High), Model, Opened).at(90).want(&[]);
    timeline.tell(&ended(&model("new", 1, High)), Model, Resolved).want(&[]);
    timeline.tell(&ended(&model("told", 1, High)), Model, Resolved).at(5_000).want(&[(90, "ai", Resolved)]);
}

#[test]
fn nothing_is_said_again_in_silence() {
    let mut timeline = Timeline::new(routes(Policy { repeat_interval: Some(seconds(600)), ..Policy::default() }));
    timeline.tell(&model("a", 1, High), Model, Opened).want(&[(0, "ai", Opened)]);
    timeline.silence("tenant=acme", 1_500);
    timeline.at(1_600).want(&[(1_500, "ai", Repeated)]);
}

#[test]
fn a_silence_that_cannot_be_meant_says_why() {
    let mut router = Router::new(routes(Policy::default()), &[]);
    let good = NewSilence {
        matchers: vec!["tenant=acme".into()],
        author: "ada".into(),
        reason: "maintenance".into(),
        starts: None,
        ends: time(60),
    };
    let wrong = |change: fn(&mut NewSilence)| {
        let mut asked = good.clone();
        change(&mut asked);
        asked
    };
    for (asked, part) in [
        (wrong(|asked| asked.matchers.clear()), "would silence everything"),
        (wrong(|asked| asked.matchers = vec!["tenant=~\".*\"".into()]), "would silence everything"),
        (wrong(|asked| asked.matchers.push("colour=red".into())), "is no label"),
        (wrong(|asked| asked.matchers.push("verdict=nonsense".into())), "can never match: verdict is one of"),
        (
            wrong(|asked| asked.matchers.extend(["plane=model".into(), "verdict=access_compromise".into()])),
            "it can never match: no half of an incident",
        ),
        (
            wrong(|asked| asked.matchers.extend(["origin=access".into(), "verdict=model_abuse".into()])),
            "it can never match: no half of an incident",
        ),
        (wrong(|asked| asked.matchers.push("tenant=globex".into())), "what it asks of `tenant` excludes itself"),
        (wrong(|asked| asked.author = " ".into()), "its author is missing"),
        (wrong(|asked| (asked.author, asked.reason) = (String::new(), String::new())), "its reason is missing"),
        (wrong(|asked| asked.reason = String::new()), "its reason is missing"),
        (wrong(|asked| asked.reason = "x".repeat(501)), "is longer than 500"),
        (wrong(|asked| asked.ends = time(0)), "before it starts"),
        (wrong(|asked| asked.starts = Some(time(90))), "before it starts"),
        (wrong(|asked| (asked.starts, asked.ends) = (Some(time(-90)), time(-60))), "in the past"),
        (wrong(|asked| asked.ends = time(400 * 86_400)), "more than a year"),
    ] {
        let error = router.add_silence(asked.clone(), time(0)).expect_err(part);
        assert!(error.contains(part), "{asked:?}: {error}");
    }
    assert!(router.silences(time(0)).is_empty());
    router.add_silence(good, time(0)).expect("it can be meant");
}

#[test]
fn at_night_nobody_is_called_and_in_the_morning_what_lasts_is_told() {
    let nights = Interval {
        name: "nights".into(),
        days: Vec::new(),
        times: vec!["22:00-06:00".parse().expect("a time")],
        zone: zone("UTC").expect("a zone"),
    };
    let mut routes = routes(Policy { mute: vec![0], ..Policy::default() });
    routes.intervals = vec![nights];
    let mut timeline = Timeline::new(routes);
    timeline.tell(&model("a", 1, High), Model, Opened).tell(&model("b", 1, High), Model, Opened);
    timeline.at(100).tell(&ended(&model("b", 1, High)), Model, Resolved);
    assert_eq!(timeline.counts.muted, 2);
    timeline.at(7 * 3_600).want(&[(6 * 3_600, "ai", Opened)]);
    assert_eq!(timeline.last().incident_id, "a");
}

#[test]
fn a_graver_incident_keeps_others_of_the_tenant_quiet_while_it_lasts() {
    let inhibition = Inhibition {
        source: vec!["severity=critical".parse().expect("a matcher")],
        target: vec!["severity<=low".parse().expect("a matcher")],
        equal: vec![Label::Tenant],
    };
    let mut routes = routes(Policy::default());
    routes.inhibitions = vec![inhibition];
    let mut timeline = Timeline::new(routes);
    timeline.tell(&model("grave", 1, Critical), Model, Opened).want(&[(0, "ai", Opened)]);
    timeline.tell(&model("small", 1, Low), Model, Opened).restart().at(50).want(&[]);
    assert_eq!(timeline.router.held_back("small")[0].hold, Hold::Inhibition { incident: "grave".into() });
    assert_eq!(timeline.counts.inhibited, 1);
    let end = ended(&model("grave", 1, Critical));
    timeline.at(60).tell(&end, Model, Resolved).want(&[(60, "ai", Resolved), (60, "ai", Opened)]);
}
