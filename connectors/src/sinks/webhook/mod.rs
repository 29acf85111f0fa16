//! `webhook`: the notification as JSON, signed as Standard Webhooks says (standardwebhooks.com, version 1).
//!
//! The id is the notification's and constant; timestamp and signature are fresh for every attempt, because receivers
//! refuse old ones. With several secrets a message carries one signature for each, so that keys can be rotated. The
//! signature covers the body as it is sent: the envelope too, where there is one.

mod settings;
mod signature;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use watershed_schemas::Notification;

use super::http::Endpoint;
use super::{Attempt, Envelope, Format, Receipt, SendError, Sink};
use signature::Signer;

pub use settings::WebhookSettings;

/// Posts signed notifications.
pub(super) struct WebhookSink {
    endpoint: Endpoint,
    signer: Signer,
    format: Format,
    envelope: Envelope,
    source: String,
}

#[async_trait]
impl Sink for WebhookSink {
    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn preview(&self, notification: &Notification) -> Value {
        self.envelope.around(notification, self.format, &self.source)
    }

    async fn send(&self, notification: &Notification, attempt: &Attempt<'_>) -> Result<Receipt, SendError> {
        let body = self.preview(notification).to_string();
        let signed = self.signer.sign(&notification.notification_id, attempt.now, &body).map_err(SendError::refused)?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.envelope.content_type()));
        for (name, value) in signed {
            let value = HeaderValue::from_str(&value)
                .map_err(|_| SendError::refused(format!("`{name}` is no header value")))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        self.endpoint.post(body, headers, attempt).await
    }
}
