//! Receivers that change what they were told: what is remembered of it survives restarts, and nothing is left open.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use serde_json::{Value, json};
use watershed_connectors::sinks::SinkSettings;
use watershed_schemas::IncidentStatus;
use watershed_schemas::NotifyReason::{Opened, Resolved, SeverityRose};

use super::*;

/// What was asked of the service: path and body.
type Asked = Arc<Mutex<Vec<(String, Value)>>>;

/// Answers everything as Slack and PagerDuty do where all is well; gives its address and what it was asked.
async fn service() -> (String, Asked) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let asked = Asked::default();
    let answer = |State(asked): State<Asked>, uri: Uri, body: String| async move {
        let mut asked = asked.lock().expect("not poisoned");
        asked.push((uri.path().to_owned(), serde_json::from_str(&body).expect("JSON")));
        json!({ "ok": true, "ts": format!("{}.0", asked.len()), "status": "success" }).to_string()
    };
    let router = Router::new().fallback(answer).with_state(Arc::clone(&asked));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (base, asked)
}

fn receiver(world: &World, mut settings: Value, secret: (&str, &str)) -> Receiver {
    let path = world.directory.path().join(secret.0);
    std::fs::write(&path, secret.1).expect("written");
    settings[secret.0] = json!({ "file": path });
    settings["network"] = json!({ "allow_private": true });
    let sink: SinkSettings = serde_json::from_value(settings).expect("settings");
    let sink = sink.build(&HttpClient::default()).expect("a sink");
    Receiver { name: "r".to_owned(), sink, sight: Sight::of(&Plane::ALL), settings: ReceiverSettings::default() }
}

fn slack(world: &World, base: &str) -> Receiver {
    receiver(world, json!({ "type": "slack", "channel": "C024BE91L", "api": base }), ("token", "xoxb-1"))
}

fn pagerduty(world: &World, base: &str) -> Receiver {
    receiver(world, json!({ "type": "pagerduty", "url": base }), ("routing_key", "0123456789abcdef0123456789abcdef"))
}

fn message(revision: u32, n: u32, reason: watershed_schemas::NotifyReason) -> Notification {
    let status = if reason == Resolved { IncidentStatus::Resolved } else { IncidentStatus::Open };
    Notification {
        status,
        dedup_key: format!("a:model:{n}"),
        replaces: (n > 1).then(|| format!("a:model:{}", n - 1)),
        ..notification("r", "a", revision, reason)
    }
}

/// Delivers messages by a process of their own.
async fn process(world: &World, receiver: Receiver, messages: Vec<Notification>) {
    let delivery = world.start(vec![receiver]);
    delivery.enqueue(world.committed(messages));
    drained(&delivery).await;
    assert_eq!(delivery.stop(std::time::Duration::from_secs(5)).await, 0);
}

#[tokio::test]
async fn a_restart_does_not_forget_which_message_to_edit() {
    let world = World::new();
    let (base, asked) = service().await;
    process(&world, slack(&world, &base), vec![message(1, 1, Opened)]).await;
    // Its key has changed since, and changes again.
    process(&world, slack(&world, &base), vec![message(2, 2, SeverityRose)]).await;
    process(&world, slack(&world, &base), vec![message(3, 3, SeverityRose), message(4, 4, SeverityRose)]).await;
    assert_eq!(world.store.len(), 1, "one memory, no rows");
    process(&world, slack(&world, &base), vec![message(5, 4, Resolved)]).await;
    assert_eq!(world.store.len(), 0, "what is over is forgotten");
    let asked = asked.lock().expect("not poisoned").clone();
    let shown: Vec<(&str, Option<&str>, Option<&str>)> =
        asked.iter().map(|(path, body)| (path.as_str(), body["ts"].as_str(), body["thread_ts"].as_str())).collect();
    let (post, update) = ("/chat.postMessage", "/chat.update");
    assert_eq!(
        shown,
        [
            (post, None, None),
            (update, Some("1.0"), None),
            (post, None, Some("1.0")),
            (update, Some("1.0"), None),
            (post, None, Some("1.0")),
            (update, Some("1.0"), None),
            (post, None, Some("1.0")),
        ]
    );
}

#[tokio::test]
async fn a_memory_that_could_not_be_stored_costs_a_repeat_and_not_a_message() {
    let world = World::new();
    let (base, asked) = service().await;
    let delivery = world.start(vec![slack(&world, &base)]);
    let rows = world.committed(vec![message(1, 1, Opened)]);
    world.store.break_now();
    delivery.enqueue(rows);
    within(async {
        while delivery.failure().is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(asked.lock().expect("not poisoned").len(), 1);
    assert_eq!(world.store.len(), 1, "the row is still there, and will be sent again");
}

#[tokio::test]
async fn no_alert_stays_open_under_a_key_that_was_coalesced_away() {
    let world = World::new();
    let (base, asked) = service().await;
    process(&world, pagerduty(&world, &base), vec![message(1, 1, Opened)]).await;
    // These three wait together and become one message.
    let waiting = vec![message(2, 2, SeverityRose), message(3, 3, SeverityRose), message(4, 4, SeverityRose)];
    process(&world, pagerduty(&world, &base), waiting).await;
    let mut open = std::collections::BTreeSet::new();
    for (_, event) in asked.lock().expect("not poisoned").iter() {
        let key = event["dedup_key"].as_str().expect("a key").to_owned();
        match event["event_action"].as_str() {
            Some("trigger") => open.insert(key),
            _ => open.remove(&key),
        };
    }
    assert_eq!(open.into_iter().collect::<Vec<_>>(), ["a:model:4"]);
}
