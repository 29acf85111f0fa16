//! Whether a team hears who has the other half, and that nobody has.

use NotifyReason::{Opened, Resolved, SeverityRose, VerdictGrew};
use Plane::{Access, Model};
use Severity::{Critical, High};

use super::*;

fn both(timeline: &mut Timeline) {
    let both = revision("a", 1, Verdict::Both, High);
    timeline.tell_all(&[telling(&both, Model, Opened), telling(&both, Access, Opened)]);
}

/// What the last message to a receiver says of the other half: the teams that have it, and why nobody has.
fn others(timeline: &Timeline, receiver: &str) -> (Vec<String>, Option<String>) {
    let (_, last) = timeline.sent.iter().rfind(|(_, sent)| sent.receiver == receiver).expect("it was told");
    let untold = last.untold.as_ref().map(|untold| untold.why.clone().unwrap_or_default());
    (last.related.iter().map(|related| related.team.clone()).collect(), untold)
}

fn has(teams: &[&str]) -> (Vec<String>, Option<String>) {
    (teams.iter().map(|team| (*team).to_owned()).collect(), None)
}

fn nobody(why: &str) -> (Vec<String>, Option<String>) {
    (Vec::new(), Some(why.to_owned()))
}

#[test]
fn each_team_is_named_to_the_other_where_both_are_told() {
    let mut timeline = Timeline::new(routes(Policy::default()));
    both(&mut timeline);
    assert_eq!((others(&timeline, "ai"), others(&timeline, "iam")), (has(&["iam"]), has(&["ai-security"])));
    timeline.restart().tell(&revision("a", 2, Verdict::Both, Critical), Model, SeverityRose);
    assert_eq!(others(&timeline, "ai"), has(&["iam"]), "it was told before");
}

#[test]
fn who_is_told_by_a_route_is_named_and_the_owner_that_is_not_told_is_not() {
    let mut routes = routes(Policy::default());
    routes.receivers[SOC].team = "platform".to_owned();
    routes.routes = vec![route(&["plane=access"], &[SOC], Policy::default())];
    let mut timeline = Timeline::new(routes);
    both(&mut timeline);
    assert_eq!(others(&timeline, "ai"), has(&["platform"]));
}

#[test]
fn a_half_that_is_held_back_is_with_nobody_until_it_is_told() {
    let mut timeline = Timeline::new(routes(Policy::default()));
    let silence = timeline.silence("plane=access", 300);
    both(&mut timeline);
    timeline.want(&[(0, "ai", Opened)]);
    assert_eq!(others(&timeline, "ai"), nobody(&format!("for iam, it is silenced ({})", silence.id)));
    assert_eq!(timeline.last().their_first_move, None);
    timeline.at(400).want(&[(300, "iam", Opened)]);
    assert_eq!(others(&timeline, "iam"), has(&["ai-security"]));
    timeline.tell(&revision("a", 2, Verdict::Both, Critical), Model, SeverityRose);
    assert_eq!(others(&timeline, "ai"), has(&["iam"]));
}

#[test]
fn a_half_that_waits_for_its_group_is_with_nobody_yet() {
    let waits = Policy { group_by: vec![super::super::Label::Tenant], group_wait: seconds(30), ..Policy::default() };
    let mut routes = routes(Policy::default());
    routes.routes = vec![route(&["plane=access"], &[IAM], waits)];
    let mut timeline = Timeline::new(routes);
    both(&mut timeline);
    assert_eq!(others(&timeline, "ai"), nobody("for iam, it waits for its group"));
    timeline.at(60).want(&[(0, "ai", Opened), (30, "iam", Opened)]);
    assert_eq!(others(&timeline, "iam"), has(&["ai-security"]));
}

#[test]
fn the_fallback_that_sees_nothing_is_not_taken_for_an_owner() {
    let mut routes = routes(Policy::default());
    routes.receivers[IAM].planes = vec![Model];
    let mut timeline = Timeline::new(routes.clone());
    both(&mut timeline);
    assert_eq!(others(&timeline, "ai"), nobody("no receiver takes it but the fallback operator"));
    let (_, fallback) = timeline.sent.iter().find(|(_, sent)| sent.receiver == "operator").expect("it was told");
    assert!(fallback.first_move.contains("the access half (team iam)"), "{}", fallback.first_move);
    routes.fallback = None;
    let mut timeline = Timeline::new(routes);
    both(&mut timeline);
    assert_eq!(others(&timeline, "ai"), nobody(""));
    // Its end calls nobody to anything.
    timeline.tell(&ended(&revision("a", 1, Verdict::Both, High)), Model, Resolved);
    assert_eq!(others(&timeline, "ai"), has(&[]));
}

#[test]
fn a_page_of_both_planes_grows_and_is_opened_once() {
    let mut routes = routes(Policy::default());
    routes.routes = vec![route(&["tenant=acme"], &[SOC], Policy::default())];
    let mut timeline = Timeline::new(routes);
    timeline.tell(&revision("a", 1, Verdict::ModelAbuse, High), Model, Opened).want(&[(0, "soc", Opened)]);
    let both = revision("a", 2, Verdict::Both, High);
    timeline.tell_all(&[telling(&both, Model, VerdictGrew), telling(&both, Access, Opened)]);
    timeline.want(&[(0, "soc", VerdictGrew)]);
    assert_eq!(timeline.last().replaces.as_deref(), Some("a:both:1"));
}

#[test]
fn what_comes_back_is_reopened_for_those_who_heard_its_end() {
    let mut timeline = Timeline::new(routes(Policy::default()));
    let first = revision("a", 1, Verdict::ModelAbuse, High);
    timeline.tell(&first, Model, Opened).tell(&ended(&first), Model, Resolved);
    let both = revision("a", 3, Verdict::Both, High);
    timeline.tell_all(&[telling(&both, Model, Opened), telling(&both, Access, Opened)]);
    let said: Vec<(&str, bool)> =
        timeline.sent.iter().map(|(_, sent)| (sent.receiver.as_str(), sent.reopened)).collect();
    assert_eq!(said, [("ai", false), ("ai", false), ("ai", true), ("iam", false)]);
}

#[test]
fn both_halves_that_escalate_at_once_are_one_message() {
    let escalate = vec![super::super::Escalation { after: seconds(60), to: vec![BOSS] }];
    let mut timeline = Timeline::new(routes(Policy { escalate, ..Policy::default() }));
    both(&mut timeline);
    timeline.at(90);
    let told: Vec<&Notification> =
        timeline.sent.iter().map(|(_, sent)| sent).filter(|sent| sent.receiver == "boss").collect();
    assert_eq!(told.iter().map(|sent| sent.planes.as_slice()).collect::<Vec<_>>(), [[Model, Access]]);
}

#[test]
fn groups_of_two_teams_have_keys_of_their_own() {
    let policy = Policy { group_by: vec![super::super::Label::Tenant], ..Policy::default() };
    let mut timeline = Timeline::new(routes(policy));
    both(&mut timeline);
    let keys: Vec<&str> = timeline.sent.iter().map(|(_, sent)| sent.dedup_key.as_str()).collect();
    assert!(keys.len() == 2 && keys[0].ends_with(":model:1") && keys[1].ends_with(":access:1"), "{keys:?}");
}

#[test]
fn what_no_route_takes_is_the_owners_and_others_only_where_there_is_no_owner() {
    let mut routes = routes(Policy::default());
    routes.receivers[SOC].team = "platform".to_owned();
    routes.receivers[BOSS].team = "on-call".to_owned();
    assert_eq!((routes.by_team(Model), routes.by_team(Access)), (vec![AI], vec![IAM]));
    // A team that owns the other plane does not take it by itself.
    routes.receivers[AI] = receiver("ai", "iam", &Plane::ALL);
    assert_eq!((routes.by_team(Model), routes.by_team(Access)), (vec![SOC, BOSS], vec![AI, IAM]));
    routes.fallback = Some(SOC);
    routes.receivers[BOSS].team = "operator".to_owned();
    assert_eq!(routes.by_team(Model), Vec::<usize>::new());
}

#[test]
fn a_message_links_to_its_incident_where_the_console_is_known() {
    let mut routes = routes(Policy::default());
    routes.external_url = Some("https://watershed.acme.example".to_owned());
    let mut timeline = Timeline::new(routes);
    both(&mut timeline);
    let links: Vec<Option<&str>> = timeline.sent.iter().map(|(_, sent)| sent.link.as_deref()).collect();
    assert_eq!(links, [Some("https://watershed.acme.example/api/v1/incidents/a"); 2], "both halves are there");
}
