//! PagerDuty's side of the Events API v2: alerts by deduplication key, whose titles and severities never change.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::receiver::{Receiver, Reply, Request};
use super::*;

const KEY: &str = "0123456789abcdef0123456789abcdef";

#[derive(Clone, Debug, PartialEq)]
struct Alert {
    state: &'static str,
    summary: String,
    severity: String,
    log: usize,
}

/// A service.
#[derive(Default)]
struct Service {
    alerts: BTreeMap<String, Alert>,
    /// Requests to answer 500, by number.
    broken: Vec<usize>,
    asked: usize,
    /// Fewest alerts that were open at once after the first was.
    fewest_open: Option<usize>,
}

impl Service {
    fn answer(&mut self, request: &Request) -> Reply {
        self.asked += 1;
        if self.broken.contains(&self.asked) {
            return Reply::of(500, "");
        }
        let event = request.json();
        let invalid = |why: &str| Reply::of(400, json!({ "status": "invalid event", "errors": [why] }).to_string());
        if request.body.len() > 512 * 1024 {
            return invalid("event too large");
        }
        if event["routing_key"] != KEY {
            return invalid("'routing_key' is invalid");
        }
        let Some(key) = event["dedup_key"].as_str().filter(|key| (1..=255).contains(&key.len())) else {
            return invalid("'dedup_key' is invalid");
        };
        match event["event_action"].as_str() {
            Some("trigger") => {
                let summary = event["payload"]["summary"].as_str().unwrap_or_default();
                let severity = event["payload"]["severity"].as_str().unwrap_or_default();
                if !(1..=1024).contains(&summary.chars().count()) || event["payload"]["source"].as_str().is_none() {
                    return invalid("'payload' is invalid");
                }
                if !["critical", "error", "warning", "info"].contains(&severity) {
                    return invalid("'severity' is invalid");
                }
                match self.alerts.get_mut(key).filter(|alert| alert.state != "resolved") {
                    // Only the log grows: nobody is called again, and the title stays.
                    Some(alert) => alert.log += 1,
                    None => {
                        let alert = Alert {
                            state: "triggered",
                            summary: summary.to_owned(),
                            severity: severity.to_owned(),
                            log: 1,
                        };
                        self.alerts.insert(key.to_owned(), alert);
                    }
                }
            }
            // Of a key that has no open alert these are dropped, with the same answer.
            Some(action @ ("acknowledge" | "resolve")) => {
                if let Some(alert) = self.alerts.get_mut(key).filter(|alert| alert.state != "resolved") {
                    alert.state = if action == "resolve" { "resolved" } else { "acknowledged" };
                }
            }
            _ => return invalid("'event_action' is invalid"),
        }
        let open = self.open().len();
        if self.fewest_open.is_some() || open > 0 {
            self.fewest_open = Some(self.fewest_open.unwrap_or(open).min(open));
        }
        Reply::of(202, json!({ "status": "success", "message": "Event processed", "dedup_key": key }).to_string())
    }

    fn open(&self) -> Vec<&str> {
        self.alerts.iter().filter(|(_, alert)| alert.state != "resolved").map(|(key, _)| key.as_str()).collect()
    }
}

struct World {
    service: Arc<Mutex<Service>>,
    sink: Arc<dyn Sink>,
    _directory: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let service = Arc::<Mutex<Service>>::default();
        let answering = Arc::clone(&service);
        let receiver = Receiver::serving(move |request| answering.lock().expect("not poisoned").answer(request)).await;
        let kind = json!({ "type": "pagerduty", "url": receiver.base, "network": { "allow_private": true } });
        let sink = build(&settings(&directory, kind, &[("routing_key", KEY)]));
        World { service, sink, _directory: directory }
    }

    async fn send(&self, notification: &Notification, former: &[&str]) -> bool {
        let former: Vec<String> = former.iter().map(|key| (*key).to_owned()).collect();
        self.sink.send(notification, &Attempt { former: &former, ..Attempt::at(now()) }).await.is_ok()
    }

    fn alerts(&self) -> Vec<(String, Alert)> {
        self.service.lock().expect("not poisoned").alerts.clone().into_iter().collect()
    }

    fn state(&self, key: &str) -> &'static str {
        self.service.lock().expect("not poisoned").alerts.get(key).map_or("absent", |alert| alert.state)
    }
}

fn grown(n: u32, replaces: Option<u32>) -> Notification {
    Notification {
        revision: n,
        reason: NotifyReason::SeverityRose,
        dedup_key: format!("inc_3f2a:model:{n}"),
        replaces: replaces.map(|n| format!("inc_3f2a:model:{n}")),
        ..opened()
    }
}

#[tokio::test]
async fn what_has_grown_is_a_new_alert_and_the_former_is_resolved_after_it_is_open() {
    let world = World::new().await;
    let small = Notification { severity: Severity::Medium, verdict: Verdict::ModelAbuse, ..opened() };
    assert!(world.send(&small, &[]).await);
    // A repeat after a crash changes nothing but the log.
    assert!(world.send(&small, &[]).await);
    assert!(world.send(&grown(2, Some(1)), &[]).await);
    let alerts = world.alerts();
    let shown: Vec<(&str, &str, &str, usize)> =
        alerts.iter().map(|(key, alert)| (key.as_str(), alert.state, alert.severity.as_str(), alert.log)).collect();
    assert_eq!(
        shown,
        [("inc_3f2a:model:1", "resolved", "warning", 2), ("inc_3f2a:model:2", "triggered", "critical", 1)]
    );
    assert_eq!(world.service.lock().expect("not poisoned").fewest_open, Some(1), "somebody was alarmed all the time");
}

#[tokio::test]
async fn an_attempt_that_breaks_between_its_requests_ends_the_same_when_it_is_made_again() {
    let whole = World::new().await;
    assert!(whole.send(&opened(), &[]).await && whole.send(&grown(2, Some(1)), &[]).await);
    for broken in [2, 3] {
        let torn = World::new().await;
        torn.service.lock().expect("not poisoned").broken = vec![broken];
        assert!(torn.send(&opened(), &[]).await);
        assert!(!torn.send(&grown(2, Some(1)), &[]).await, "request {broken} failed");
        assert!(torn.send(&grown(2, Some(1)), &[]).await);
        let states =
            |world: &World| world.alerts().into_iter().map(|(key, alert)| (key, alert.state)).collect::<Vec<_>>();
        assert_eq!(states(&torn), states(&whole));
    }
}

#[tokio::test]
async fn keys_whose_messages_became_one_are_all_resolved() {
    let world = World::new().await;
    assert!(world.send(&opened(), &[]).await);
    // The keys 2 and 3 never went out; the message that remains names only the one before it.
    assert!(world.send(&grown(4, Some(3)), &["inc_3f2a:model:1", "inc_3f2a:model:2", "inc_3f2a:model:3"]).await);
    assert_eq!(world.service.lock().expect("not poisoned").open(), ["inc_3f2a:model:4"]);
}

#[tokio::test]
async fn whoever_takes_it_acknowledges_and_the_end_resolves() {
    let world = World::new().await;
    let key = "inc_3f2a:model:1";
    assert!(world.send(&opened(), &[]).await);
    let taken = Notification { reason: NotifyReason::Acknowledged, status: IncidentStatus::Acknowledged, ..opened() };
    assert!(world.send(&taken, &[]).await);
    assert_eq!(world.state(key), "acknowledged");
    assert!(world.send(&resolved(), &[]).await);
    assert_eq!(world.state(key), "resolved");
    // The other half of the incident is another alert.
    let other = Notification { dedup_key: "inc_3f2a:access:1".to_owned(), team: "iam".to_owned(), ..opened() };
    assert!(world.send(&other, &[]).await);
    assert_eq!((world.state(key), world.state("inc_3f2a:access:1")), ("resolved", "triggered"));
}
