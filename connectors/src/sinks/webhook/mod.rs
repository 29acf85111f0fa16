//! `webhook`: the notification as JSON, signed as Standard Webhooks says (standardwebhooks.com, version 1).
//!
//! The id is the notification's and constant; timestamp and signature are fresh for every attempt, because receivers
//! refuse old ones. With several secrets a message carries one signature for each, so that keys can be rotated.

mod settings;
mod signature;

use async_trait::async_trait;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use watershed_schemas::{Notification, Timestamp};

use super::http::Endpoint;
use super::{Receipt, SendError, Sink};
use signature::Signer;

pub use settings::WebhookSettings;

/// Posts signed notifications.
pub(super) struct WebhookSink {
    endpoint: Endpoint,
    signer: Signer,
}

#[async_trait]
impl Sink for WebhookSink {
    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn preview(&self, notification: &Notification) -> serde_json::Value {
        serde_json::json!(notification)
    }

    async fn send(&self, notification: &Notification, now: Timestamp) -> Result<Receipt, SendError> {
        let refused = |reason: String| SendError::Refused { reason };
        let body = serde_json::to_string(notification)
            .map_err(|error| refused(format!("the notification can't be written as JSON: {error}")))?;
        let signed = self.signer.sign(&notification.notification_id, now, &body).map_err(refused)?;
        let mut headers = HeaderMap::new();
        for (name, value) in signed {
            let value = HeaderValue::from_str(&value).map_err(|_| refused(format!("`{name}` is no header value")))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        self.endpoint.post(body, headers, now).await
    }
}
