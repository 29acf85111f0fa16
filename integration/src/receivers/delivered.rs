//! What a receiver was told, verified as a real one would.

use std::collections::{BTreeMap, BTreeSet};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, ensure};
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};
use watershed_schemas::Notification;

use super::{Receiver, Request};

/// What Standard Webhooks allows between signature and arrival.
const TOLERANCE_SECS: i64 = 300;

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

/// The library's own check compares with the present time; a message is judged by the time at which it came.
fn verify(webhook: &Webhook, request: &Request) -> Result<Delivered> {
    let id = request.header(HEADER_WEBHOOK_ID).context("a webhook without webhook-id")?;
    ensure!(
        !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'),
        "webhook-id `{id}` is not of [A-Za-z0-9_-]"
    );
    let signed: i64 =
        request.header(HEADER_WEBHOOK_TIMESTAMP).context("a webhook without webhook-timestamp")?.parse()?;
    let came = i64::try_from(request.at.duration_since(UNIX_EPOCH)?.as_secs())?;
    ensure!((came - signed).abs() <= TOLERANCE_SECS, "webhook {id} was signed at {signed} and came at {came}");
    let expected = webhook.sign(id, signed, &request.body).context("signing")?;
    let signatures = request.header(HEADER_WEBHOOK_SIGNATURE).context("a webhook without webhook-signature")?;
    ensure!(signatures.split(' ').any(|signature| signature == expected), "the signature of webhook {id} is wrong");
    let body = String::from_utf8(request.body.to_vec()).context("a webhook's body")?;
    let notification: Notification = serde_json::from_str(&body).with_context(|| format!("reading {body}"))?;
    ensure!(
        notification.notification_id == id,
        "webhook-id {id} carries notification {}",
        notification.notification_id
    );
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
