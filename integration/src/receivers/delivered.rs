//! What a receiver was told, verified as a real one would.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use standardwebhooks::Webhook;
use watershed_schemas::Notification;

use super::{Receiver, Request};

/// One notification that a receiver has accepted.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// The message.
    pub notification: Notification,
    /// Its body as it came.
    pub body: String,
}

/// The notifications that the receiver has accepted, repeats of one id once, in order of arrival. Every request is
/// checked, accepted or not: signature, time, and an id that agrees with the body.
///
/// # Errors
/// When a request isn't what a Standard Webhooks receiver would take.
pub fn accepted(receiver: &Receiver, secret: &str) -> Result<Vec<Delivered>> {
    let webhook = Webhook::new(secret).context("the receiver's secret")?;
    let mut seen = BTreeSet::new();
    let mut delivered = Vec::new();
    for request in receiver.requests() {
        let message = verify(&webhook, &request)?;
        if request.is_accepted() && seen.insert(message.notification.notification_id.clone()) {
            delivered.push(message);
        }
    }
    Ok(delivered)
}

fn verify(webhook: &Webhook, request: &Request) -> Result<Delivered> {
    webhook.verify(&request.body, &request.headers).context("verifying a webhook's signature")?;
    let id = request.header("webhook-id").context("a webhook without webhook-id")?;
    ensure!(
        !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'),
        "webhook-id `{id}` is not of [A-Za-z0-9_-]"
    );
    let body = String::from_utf8(request.body.to_vec()).context("a webhook's body")?;
    let notification: Notification = serde_json::from_str(&body).with_context(|| format!("reading {body}"))?;
    ensure!(notification.notification_id == id, "webhook-id {id} carries notification {}", notification.notification_id);
    Ok(Delivered { notification, body })
}

/// The messages by incident.
pub fn by_incident(delivered: &[Delivered]) -> BTreeMap<&str, Vec<&Notification>> {
    let mut incidents: BTreeMap<&str, Vec<&Notification>> = BTreeMap::new();
    for message in delivered {
        incidents.entry(&message.notification.incident_id).or_default().push(&message.notification);
    }
    incidents
}
