//! What is told, to whom and when, as timelines: `at` a time something is said, and by then this is wanted.

mod others;
mod plain;
mod properties;
mod quiet;
mod timing;
mod world;

use std::time::Duration;

use watershed_schemas::{
    IncidentRevision, IncidentStatus, Notification, NotifyReason, Plane, Severity, Timestamp, Verdict,
};

use super::{Matchers, NewSilence, Policy, Receiver, Route, Routed, Router, Routes, Silence};
use crate::correlator::Telling;

/// A Monday at midnight.
const START: i64 = 1_767_571_200;

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_secs(START + seconds)
}

fn receiver(name: &str, team: &str, planes: &[Plane]) -> Receiver {
    Receiver { name: name.to_owned(), team: team.to_owned(), planes: planes.to_vec() }
}

/// `ai` and `iam` own a plane each, `soc` and `boss` may see both, `operator` is told what nobody else takes.
fn receivers() -> Vec<Receiver> {
    vec![
        receiver("ai", "ai-security", &[Plane::Model]),
        receiver("iam", "iam", &[Plane::Access]),
        receiver("soc", "operator", &Plane::ALL),
        receiver("boss", "operator", &Plane::ALL),
        receiver("operator", "operator", &[]),
    ]
}

const AI: usize = 0;
const IAM: usize = 1;
const SOC: usize = 2;
const BOSS: usize = 3;

/// What no route takes goes to the teams, by this policy.
fn routes(policy: Policy) -> Routes {
    Routes { receivers: receivers(), fallback: Some(4), policy, ..Routes::default() }
}

fn route(matchers: &[&str], receivers: &[usize], policy: Policy) -> Route {
    let further = matchers.iter().map(|text| text.parse().expect("a matcher")).collect();
    Route {
        matchers: Matchers { further, ..Matchers::default() },
        receivers: receivers.to_vec(),
        policy,
        ..Route::default()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn telling(incident: &IncidentRevision, plane: Plane, reason: NotifyReason) -> Telling {
    Telling {
        incident: incident.clone(),
        plane,
        reason,
        signals: Vec::new(),
        blast_radius: None,
        first_moves: Vec::new(),
    }
}

/// A revision that is open.
fn revision(id: &str, revision: u32, verdict: Verdict, severity: Severity) -> IncidentRevision {
    let principal = Some(format!("{id}@example.com"));
    IncidentRevision { revision, severity, principal, ..IncidentRevision::opened(id, "acme", verdict, time(0)) }
}

fn ended(of: &IncidentRevision) -> IncidentRevision {
    IncidentRevision { revision: of.revision + 1, status: IncidentStatus::Resolved, ..of.clone() }
}

fn acknowledged(of: &IncidentRevision) -> IncidentRevision {
    IncidentRevision { revision: of.revision + 1, status: IncidentStatus::Acknowledged, ..of.clone() }
}

/// A router and what it has sent so far.
struct Timeline {
    router: Router,
    now: i64,
    sent: Vec<(i64, Notification)>,
    counts: Routed,
    /// How much of what was sent has been wanted.
    wanted: usize,
}

impl Timeline {
    fn new(routes: Routes) -> Self {
        let router = Router::new(routes, &[]);
        Timeline { router, now: 0, sent: Vec::new(), counts: Routed::default(), wanted: 0 }
    }

    /// Lets time go by, a second at a time.
    fn at(&mut self, seconds: i64) -> &mut Self {
        while self.now < seconds {
            self.now += 1;
            let routed = self.router.tick(time(self.now));
            self.take(routed);
        }
        self
    }

    fn take(&mut self, mut routed: Routed) {
        let sent = std::mem::take(&mut routed.notifications);
        self.sent.extend(sent.into_iter().map(|notification| (self.now, notification)));
        self.counts.extend(routed);
    }

    /// The correlator says this of the plane's half of an incident.
    fn tell(&mut self, incident: &IncidentRevision, plane: Plane, reason: NotifyReason) -> &mut Self {
        self.tell_all(&[telling(incident, plane, reason)])
    }

    fn tell_all(&mut self, tellings: &[Telling]) -> &mut Self {
        let routed = self.router.take(tellings, time(self.now));
        self.take(routed);
        self
    }

    /// Nobody is called about what a matcher holds for, until then.
    fn silence(&mut self, matcher: &str, until: i64) -> Silence {
        let asked = NewSilence {
            matchers: vec![matcher.to_owned()],
            author: "ada".to_owned(),
            reason: "a test".to_owned(),
            starts: None,
            ends: time(until),
        };
        self.router.add_silence(asked, time(self.now)).expect("it can be meant")
    }

    /// The program is started again.
    fn restart(&mut self) -> &mut Self {
        let mut commit = crate::store::Commit::default();
        self.router.persist(&mut commit);
        let mut stored: std::collections::BTreeMap<Vec<u8>, Vec<u8>> = std::collections::BTreeMap::new();
        stored.extend(commit.puts);
        let mut router = Router::new(self.router.routes.clone(), &[]);
        router.restore(&stored.into_iter().collect::<Vec<_>>());
        self.router = router;
        self
    }

    /// Since the last time exactly this was sent: when, to whom, why.
    #[track_caller]
    fn want(&mut self, expected: &[(i64, &str, NotifyReason)]) -> &mut Self {
        let sent: Vec<(i64, &str, NotifyReason)> =
            self.sent[self.wanted..].iter().map(|(at, sent)| (*at, sent.receiver.as_str(), sent.reason)).collect();
        assert_eq!(sent, expected);
        self.wanted = self.sent.len();
        self
    }

    fn last(&self) -> &Notification {
        &self.sent.last().expect("something was sent").1
    }
}
