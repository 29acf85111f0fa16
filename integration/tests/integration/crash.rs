//! A kill between any two steps: nothing is lost, and nothing is told twice under different names.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use watershed_integration::broker;
use watershed_integration::deployment::Deployment;
use watershed_integration::receivers::{Answer, Delivered, Receiver, Request, by_incident};
use watershed_integration::scenario::{Case, Quadrant, Scenario};
use watershed_schemas::{NotifyReason, Verdict};

use crate::waves::{produce, wave};

const DEADLINE: Duration = Duration::from_secs(180);
/// A process that aborts itself ends by SIGABRT.
const ABORTED: i32 = 128 + 6;
/// And one that is killed by SIGKILL.
const KILLED: i32 = 128 + 9;

#[test]
fn killed_between_evaluate_and_commit() {
    survives("before-commit", Some("before_commit:1"));
}

#[test]
fn killed_between_commit_and_offset_commit() {
    survives("after-commit", Some("after_commit:1"));
}

#[test]
fn killed_between_commit_and_send() {
    survives("before-send", Some("before_send:2"));
}

#[test]
fn killed_between_send_and_acknowledgement() {
    let repeats = survives("after-send", Some("after_send:2"));
    assert!(repeats > 0, "what was sent and not acknowledged is sent again, under the same id");
}

#[test]
fn killed_from_outside() {
    survives("outside", None);
}

/// Without a point to crash at, the program is killed while its receivers take their time. Gives the number of repeats.
fn survives(name: &str, crash_at: Option<&str>) -> usize {
    let Some(broker) = broker::shared(name) else { return 1 };
    let mut deployment = Deployment::new(broker, &format!("crash-{name}")).expect("a deployment");

    // The first wave arrives whole, so that "some" of the messages have left.
    let first = wave(0);
    produce(&deployment, &first);
    let mut running = deployment.start(None).expect("watershed starts");
    deployment.settle(&mut running, DEADLINE).expect("the first wave comes to rest");
    deployment.stop(running).expect("it stops");
    assert_eq!(principals(&told(&deployment)), expected(&[&first]), "the first wave");

    let second = wave(1);
    produce(&deployment, &second);
    if crash_at.is_none() {
        for receiver in [&deployment.ai_security, &deployment.iam] {
            receiver.answer(Answer::Late(Duration::from_millis(400), 200));
        }
    }
    let before = deployment.ai_security.len();
    let mut running = deployment.start(crash_at).expect("watershed starts");
    if crash_at.is_none() {
        let more = |requests: &[Request]| requests.len() > before;
        deployment.ai_security.wait_for("a message of the second wave", DEADLINE, more).expect("it comes");
        running.signal("KILL").expect("a signal");
    }
    let code = running.wait(DEADLINE).expect("it ends");
    assert_eq!(code, if crash_at.is_some() { ABORTED } else { KILLED }, "{}", running.tail());
    let all = expected(&[&first, &second]);
    let at_crash = principals(&told(&deployment));
    assert!(at_crash.is_superset(&expected(&[&first])) && !at_crash.is_superset(&all), "some but not all had left");

    let mut running = deployment.start(None).expect("watershed starts again");
    deployment.settle(&mut running, DEADLINE).expect("the rest comes");
    deployment.stop(running).expect("it stops");
    let told = told(&deployment);
    assert_eq!(principals(&told), all, "everything expected arrives, and nothing else");
    nothing_twice(&told);
    for case in first.cases.iter().chain(&second.cases) {
        verdict_is_right(case, &told);
    }
    let taken = |receiver: &Receiver| receiver.requests().iter().filter(|request| request.is_accepted()).count();
    let ids: usize = told.values().map(Vec::len).sum();
    taken(&deployment.ai_security) + taken(&deployment.iam) - ids
}

type Told = BTreeMap<&'static str, Vec<Delivered>>;

fn told(deployment: &Deployment) -> Told {
    let (ai_security, iam) = deployment.delivered().expect("signed and well-formed");
    [("ai-security", ai_security), ("iam", iam)].into()
}

/// Who was paged about whom.
fn principals(told: &Told) -> BTreeSet<(&'static str, String)> {
    let mut pages = BTreeSet::new();
    for (team, messages) in told {
        pages.extend(messages.iter().filter_map(|message| Some((*team, message.notification.principal.clone()?))));
    }
    pages
}

fn expected(scenarios: &[&Scenario]) -> BTreeSet<(&'static str, String)> {
    let mut pages = BTreeSet::new();
    for case in scenarios.iter().flat_map(|scenario| &scenario.cases) {
        let teams: &[&str] = match case.quadrant() {
            Quadrant::Neither => &[],
            Quadrant::Hijacked => &["ai-security"],
            Quadrant::Stolen => &["iam"],
            Quadrant::Both => &["ai-security", "iam"],
        };
        pages.extend(teams.iter().map(|team| (*team, case.who.principal.clone())));
    }
    pages
}

/// One incident a principal, and one id for one thing said about it.
fn nothing_twice(told: &Told) {
    let mut incidents: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (team, messages) in told {
        for (incident, said) in by_incident(messages) {
            let principal = said[0].principal.clone().expect("a principal");
            incidents.entry(principal).or_default().insert(incident.to_owned());
            let opened = said.iter().filter(|message| message.reason == NotifyReason::Opened).count();
            assert!(opened <= 1, "{team} was told {opened} times that {incident} opened");
            let revisions: BTreeSet<u32> = said.iter().map(|message| message.revision).collect();
            assert_eq!(revisions.len(), said.len(), "{team} got one revision of {incident} under two ids");
        }
    }
    for (principal, incidents) in incidents {
        assert_eq!(incidents.len(), 1, "{principal} has several incidents: {incidents:?}");
    }
}

fn verdict_is_right(case: &Case, told: &Told) {
    let Some(verdict) = case.verdict() else { return };
    let about = |message: &&Delivered| message.notification.principal.as_ref() == Some(&case.who.principal);
    let widest = told.values().flatten().filter(about).map(|message| message.notification.verdict).max();
    assert_eq!(widest, Some(verdict), "{} ({:?})", case.who.principal, case.theft);
    assert!(verdict != Verdict::Both || told.values().all(|messages| messages.iter().any(|message| about(&message))));
}
