//! Delivery against real HTTP receivers on loopback, without waiting: the clock goes as far as anyone sleeps.

mod behaviour;
mod clock;
mod edited;
mod failures;
mod operator;
mod receiver;
mod store;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use watershed_connectors::sinks::{HttpClient, SinkSettings};
use watershed_schemas::{IncidentRevision, Notification, NotifyReason, Origin, Plane, Severity, Timestamp, Verdict};

use super::{Delivery, DeliverySettings, Receiver, ReceiverSettings, ReceiverSnapshot};
use crate::outbox::OutboxRow;
use crate::redact::Sight;
use clock::TestClock;
use receiver::HttpReceiver;
use store::TestStore;

/// A message; its id names incident, revision and receiver.
pub(crate) fn notification(receiver: &str, incident: &str, revision: u32, reason: NotifyReason) -> Notification {
    let about = IncidentRevision {
        revision,
        origin: Origin::Model,
        severity: Severity::High,
        ..IncidentRevision::opened(incident, "acme", Verdict::ModelAbuse, Timestamp::from_secs(0))
    };
    Notification {
        title: "a title".to_owned(),
        first_move: "a first move".to_owned(),
        ..Notification::about(&about, receiver, "ai-security", &[Plane::Model], reason)
    }
}

/// One delivery with its store, clock and dead letters.
struct World {
    store: Arc<TestStore>,
    clock: Arc<TestClock>,
    directory: tempfile::TempDir,
    fallback: Option<String>,
}

impl World {
    fn new() -> Self {
        // The first test installs it, the others find it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        World {
            store: Arc::default(),
            clock: Arc::default(),
            directory: tempfile::tempdir().expect("a temporary directory"),
            fallback: None,
        }
    }

    /// A signed webhook to a receiver on loopback.
    fn receiver(&self, name: &str, url: &str, settings: ReceiverSettings) -> Receiver {
        let secret = self.directory.path().join("secret");
        std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("written");
        let sink: SinkSettings = serde_json::from_value(serde_json::json!({
            "type": "webhook",
            "url": url,
            "secrets": [{ "file": secret }],
            "network": { "allow_private": true },
        }))
        .expect("settings");
        let sink = sink.build(&HttpClient::default()).expect("a sink");
        Receiver { name: name.to_owned(), sink, sight: Sight::of(&Plane::ALL), settings }
    }

    fn start(&self, receivers: Vec<Receiver>) -> Delivery {
        self.try_start(receivers).expect("delivery starts")
    }

    fn try_start(&self, receivers: Vec<Receiver>) -> Result<Delivery, super::Error> {
        let settings = DeliverySettings {
            fallback: self.fallback.clone(),
            dead_letters: self.directory.path().join("dead.jsonl"),
            outbox_limit: 3,
        };
        let (store, clock) = (self.store.clone(), self.clock.clone());
        Delivery::start(&Handle::current(), store, receivers, settings, clock)
    }

    /// Puts rows into the store, as a commit does, and returns them for [`Delivery::enqueue`].
    fn committed(&self, notifications: Vec<Notification>) -> Vec<OutboxRow> {
        let mut rows = Vec::new();
        for notification in notifications {
            let row = OutboxRow { seq: self.store.next_seq(), notification };
            self.store.put(row.encode().expect("encodes"));
            rows.push(row);
        }
        rows
    }

    /// The ids in the dead letters and why they are there.
    fn dead_letters(&self) -> Vec<(String, String)> {
        let Ok(text) = std::fs::read_to_string(self.directory.path().join("dead.jsonl")) else { return Vec::new() };
        text.lines()
            .map(|line| {
                let letter: super::DeadLetter = serde_json::from_str(line).expect("own output parses");
                (letter.notification["notification_id"].as_str().unwrap_or_default().to_owned(), letter.reason)
            })
            .collect()
    }
}

/// Waits until all is delivered, or fails.
async fn drained(delivery: &Delivery) {
    within(delivery.drained_to(0)).await;
}

/// The future's result, or a failed test.
async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("it happens within the deadline")
}

fn snapshot(delivery: &Delivery, name: &str) -> ReceiverSnapshot {
    delivery.snapshot().into_iter().find(|receiver| receiver.name == name).expect("a receiver of this name")
}
