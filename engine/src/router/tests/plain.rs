//! Without any settings, and with routes alone: at once, to the owners.

use NotifyReason::{Acknowledged, Opened, Resolved, SeverityRose, VerdictGrew, Withdrawn};
use Plane::{Access, Model};
use Severity::{Critical, High, Low, Medium};

use super::*;

#[test]
fn each_plane_has_a_page_of_its_own_whose_key_grows_with_what_it_says() {
    let mut timeline = Timeline::new(routes(Policy::default()));
    let first = revision("a", 1, Verdict::ModelAbuse, High);
    timeline.tell(&first, Model, Opened).want(&[(0, "ai", Opened)]);
    assert_eq!((timeline.last().dedup_key.as_str(), timeline.last().replaces.as_deref()), ("a:model:1", None));
    let both = revision("a", 2, Verdict::Both, High);
    timeline.at(60).tell_all(&[telling(&both, Model, VerdictGrew), telling(&both, Access, Opened)]);
    timeline.want(&[(60, "ai", VerdictGrew), (60, "iam", Opened)]);
    let [.., (_, ai), (_, iam)] = timeline.sent.as_slice() else { panic!("two were sent") };
    assert_eq!((ai.dedup_key.as_str(), ai.replaces.as_deref()), ("a:model:2", Some("a:model:1")));
    assert_eq!((iam.dedup_key.as_str(), iam.replaces.as_deref()), ("a:access:1", None));
    let worse = revision("a", 3, Verdict::Both, Critical);
    timeline.tell(&worse, Access, SeverityRose).want(&[(60, "iam", SeverityRose)]);
    assert_eq!(timeline.last().replaces.as_deref(), Some("a:access:1"));
    let end = ended(&worse);
    timeline.tell_all(&[telling(&end, Model, Resolved), telling(&end, Access, Resolved)]);
    timeline.want(&[(60, "ai", Resolved), (60, "iam", Resolved)]);
    assert_eq!(timeline.last().dedup_key, "a:access:2");
    // What opens again is a page of its own.
    timeline.tell(&revision("a", 5, Verdict::Both, Critical), Model, Opened).want(&[(60, "ai", Opened)]);
    assert_eq!((timeline.last().dedup_key.as_str(), timeline.last().replaces.as_deref()), ("a:model:3", None));
}

#[test]
fn who_was_told_hears_the_end_even_where_the_routes_lead_elsewhere_by_then() {
    let policy = Policy::default;
    let severe = route(&["severity>=critical"], &[BOSS], policy());
    let mut routes = routes(policy());
    routes.routes = vec![severe, route(&["severity>=low"], &[SOC], policy())];
    let mut timeline = Timeline::new(routes);
    timeline.tell(&revision("a", 1, Verdict::ModelAbuse, High), Model, Opened).want(&[(0, "soc", Opened)]);
    let worse = revision("a", 2, Verdict::ModelAbuse, Critical);
    timeline.tell(&worse, Model, SeverityRose).want(&[(0, "soc", SeverityRose), (0, "boss", Opened)]);
    timeline.tell(&ended(&worse), Model, Resolved).want(&[(0, "soc", Resolved), (0, "boss", Resolved)]);
    timeline.tell(&ended(&ended(&worse)), Model, Resolved).want(&[]);
}

/// Whoever keeps the disposition has it as the analyst last said it.
#[test]
fn who_heard_the_end_hears_what_a_person_says_it_was_each_time() {
    let mut routes = routes(Policy::default());
    let silent = route(&["principal=\"b@example.com\""], &[BOSS], Policy::default());
    routes.routes = vec![silent, route(&["tenant=acme"], &[AI, SOC], Policy::default())];
    let mut timeline = Timeline::new(routes);
    let closed = |of: &IncidentRevision| IncidentRevision {
        revision: of.revision + 1,
        status: IncidentStatus::Closed,
        ..of.clone()
    };
    let first = revision("a", 1, Verdict::ModelAbuse, High);
    timeline.tell(&first, Model, Opened).want(&[(0, "ai", Opened), (0, "soc", Opened)]);
    let once = closed(&first);
    timeline.tell(&once, Model, Resolved).want(&[(0, "ai", Resolved), (0, "soc", Resolved)]);
    let again = closed(&once);
    timeline.at(3_600).restart().tell(&again, Model, Resolved);
    timeline.want(&[(3_600, "ai", Resolved), (3_600, "soc", Resolved)]);
    let keys: Vec<&str> = timeline.sent.iter().map(|(_, sent)| sent.dedup_key.as_str()).collect();
    assert_eq!(keys, ["a:model:1", "a:both:1"].repeat(3), "it is said under the key that the receiver knows");
    // Long after, when nobody knows any more who was told, it goes where the beginning went.
    timeline.at(3_600 + 25 * 3_600).tell(&closed(&again), Model, Resolved);
    timeline.want(&[(93_600, "ai", Resolved), (93_600, "soc", Resolved)]);
    // What was never told ends for nobody, however often.
    let quiet = revision("b", 1, Verdict::ModelAbuse, High);
    timeline.silence("principal=\"b@example.com\"", 200_000);
    timeline.tell(&quiet, Model, Opened).tell(&closed(&quiet), Model, Resolved);
    timeline.tell(&closed(&closed(&quiet)), Model, Resolved).want(&[]);
}

/// Ten thousand signals say no more than this.
#[test]
fn a_storm_is_five_messages_to_a_team_and_seven_to_who_may_see_both_planes() {
    let mut routes = routes(Policy::default());
    routes.routes = vec![route(&["tenant=acme"], &[AI, IAM, SOC], Policy::default())];
    let mut timeline = Timeline::new(routes);
    timeline.tell(&revision("a", 1, Verdict::ModelAbuse, Severity::Info), Model, Opened);
    let both = revision("a", 2, Verdict::Both, Severity::Info);
    timeline.tell_all(&[telling(&both, Model, VerdictGrew), telling(&both, Access, Opened)]);
    let mut number = 2;
    for severity in [Low, Medium, High, Critical] {
        for plane in [Model, Access] {
            number += 1;
            timeline.tell(&revision("a", number, Verdict::Both, severity), plane, SeverityRose);
        }
    }
    let end = revision("a", number + 1, Verdict::Both, Critical);
    timeline.tell_all(&[telling(&end, Model, Resolved), telling(&end, Access, Resolved)]);
    let count = |name: &str| timeline.sent.iter().filter(|(_, sent)| sent.receiver == name).count();
    assert_eq!((count("ai"), count("iam"), count("soc")), (5, 4, 7));
}

#[test]
fn a_receiver_of_both_planes_has_one_page_that_stands_while_one_of_them_does() {
    let mut routes = routes(Policy::default());
    routes.routes = vec![route(&["tenant=acme"], &[SOC], Policy::default())];
    let mut timeline = Timeline::new(routes);
    let both = revision("a", 1, Verdict::Both, High);
    timeline.tell_all(&[telling(&both, Model, Opened), telling(&both, Access, Opened)]).want(&[(0, "soc", Opened)]);
    assert_eq!(timeline.last().planes, [Model, Access]);
    let one = revision("a", 2, Verdict::ModelAbuse, High);
    timeline.tell(&one, Access, Withdrawn).want(&[]);
    timeline.tell(&acknowledged(&one), Model, Acknowledged).want(&[(0, "soc", Acknowledged)]);
    timeline.tell(&ended(&acknowledged(&one)), Model, Resolved).want(&[(0, "soc", Resolved)]);
    assert!(timeline.sent.iter().all(|(_, sent)| sent.dedup_key == "a:both:1"));
}

#[test]
fn who_may_see_both_planes_hears_that_the_other_joins_and_not_that_it_is_new() {
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
fn what_no_route_takes_goes_to_the_fallback_and_is_counted() {
    let mut routes = routes(Policy::default());
    routes.routes = vec![route(&["plane=access"], &[AI], Policy::default())];
    let mut timeline = Timeline::new(routes);
    // The route takes it, but its receiver may not see it.
    let access = revision("a", 1, Verdict::AccessCompromise, High);
    timeline.tell(&access, Access, Opened).want(&[(0, "operator", Opened)]);
    assert_eq!(timeline.counts.unrouted, 1);
    assert!(timeline.last().planes.is_empty());
    timeline.tell(&ended(&access), Access, Resolved).want(&[(0, "operator", Resolved)]);
    assert_eq!(timeline.counts.unrouted, 1, "its end goes where its beginning went");
}

#[test]
fn an_end_whose_beginning_was_told_before_pages_were_kept_is_told() {
    let mut timeline = Timeline::new(routes(Policy::default()));
    let over = ended(&revision("a", 6, Verdict::ModelAbuse, High));
    timeline.tell(&over, Model, Resolved).want(&[(0, "ai", Resolved)]);
    assert_eq!(timeline.last().dedup_key, "a:model:1");
}

#[test]
fn who_has_the_page_is_not_called_for_what_is_worth_a_look_in_the_day() {
    let mut timeline = Timeline::new(routes(Policy::default()));
    let at = |number, severity| revision("a", number, Verdict::ModelAbuse, severity);
    timeline.tell(&at(1, Severity::Info), Model, Opened);
    timeline.tell(&at(2, Low), Model, SeverityRose).tell(&at(3, Medium), Model, SeverityRose);
    timeline.want(&[(0, "ai", Opened)]);
    timeline.tell(&at(4, High), Model, SeverityRose).tell(&at(5, Critical), Model, SeverityRose);
    timeline.want(&[(0, "ai", SeverityRose), (0, "ai", SeverityRose)]);
    // Whom a route calls only then, is called.
    let mut routes = routes(Policy::default());
    routes.routes = vec![
        route(&["severity>=medium"], &[SOC], Policy::default()),
        route(&["severity<=low"], &[AI], Policy::default()),
    ];
    let mut timeline = Timeline::new(routes);
    timeline.tell(&at(1, Low), Model, Opened).want(&[(0, "ai", Opened)]);
    timeline.tell(&at(2, Medium), Model, SeverityRose).want(&[(0, "soc", Opened)]);
}

#[test]
fn the_worst_incident_is_told_five_times() {
    let mut timeline = Timeline::new(routes(Policy::default()));
    let mut number = 0;
    let mut next = |verdict, severity| {
        number += 1;
        revision("a", number, verdict, severity)
    };
    timeline.tell(&next(Verdict::ModelAbuse, Severity::Info), Model, Opened);
    for severity in [Low, Medium, High] {
        timeline.tell(&next(Verdict::ModelAbuse, severity), Model, SeverityRose);
    }
    timeline.tell(&next(Verdict::Both, High), Model, VerdictGrew);
    let worst = next(Verdict::Both, Critical);
    timeline.tell(&worst, Model, SeverityRose).tell(&ended(&worst), Model, Resolved);
    let said = [Opened, SeverityRose, VerdictGrew, SeverityRose, Resolved];
    timeline.want(&said.map(|reason| (0, "ai", reason)));
}

#[test]
fn nested_routes_take_what_they_match_and_leave_the_rest() {
    let mut parent = route(&["tenant=acme"], &[SOC], Policy::default());
    parent.routes = vec![
        Route { and_on: true, ..route(&["severity>=critical"], &[BOSS], Policy::default()) },
        route(&["plane=model"], &[AI], Policy::default()),
    ];
    let mut routes = routes(Policy::default());
    routes.routes = vec![parent];
    let names = |severity: Severity, plane: Plane, tenant: &str| -> Vec<String> {
        let labels = super::super::Labels::default()
            .with(super::super::Label::Severity, severity.name())
            .with(super::super::Label::Plane, plane.name())
            .with(super::super::Label::Tenant, tenant);
        let targets = routes.targets(&labels, plane);
        targets.iter().map(|target| format!("{} by {}", routes.receivers[target.receiver].name, target.route)).collect()
    };
    assert_eq!(names(Critical, Model, "acme"), ["ai by 0.1", "boss by 0.0"]);
    assert_eq!(names(Critical, Access, "acme"), ["boss by 0.0"]);
    assert_eq!(names(High, Model, "acme"), ["ai by 0.1"]);
    assert_eq!(names(High, Access, "acme"), ["soc by 0"]);
    assert_eq!(names(High, Access, "other"), ["iam by team"]);
}
