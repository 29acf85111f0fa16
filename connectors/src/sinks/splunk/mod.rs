//! `splunk`: events for the HTTP Event Collector (HEC).
//!
//! HEC answers with a code of its own beside the status; it decides what is next, because one status stands for
//! mistakes of ours and for conditions that pass.

mod answer;
mod settings;

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use watershed_schemas::Notification;

use super::http::Endpoint;
use super::{Attempt, Format, Receipt, SendError, Sink};

pub use settings::SplunkSettings;

/// Sends events to one collector.
pub(super) struct SplunkSink {
    endpoint: Endpoint,
    token: SecretString,
    index: Option<String>,
    sourcetype: Option<String>,
    host: Option<String>,
    format: Format,
}

#[async_trait]
impl Sink for SplunkSink {
    fn kind(&self) -> &'static str {
        "splunk"
    }

    fn preview(&self, notification: &Notification) -> Value {
        let mut event = json!({
            "time": epoch_seconds(notification),
            "source": "watershed",
            "sourcetype": self.sourcetype.as_deref().unwrap_or(self.format.event_type()),
        });
        for (name, value) in [("index", &self.index), ("host", &self.host)] {
            if let Some(value) = value {
                event[name] = json!(value);
            }
        }
        event["event"] = self.format.body(notification);
        event
    }

    async fn send(&self, notification: &Notification, attempt: &Attempt<'_>) -> Result<Receipt, SendError> {
        let mut headers = HeaderMap::new();
        let mut authorisation = HeaderValue::from_str(&format!("Splunk {}", self.token.expose_secret()))
            .map_err(|_| SendError::gone("the token is no header value"))?;
        authorisation.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorisation);
        let answer = self.endpoint.ask(self.preview(notification).to_string(), headers, attempt).await?;
        answer::classify(&answer)
    }
}

/// Seconds since 1970 with milliseconds, as HEC wants them: when it last happened, not when it was sent.
fn epoch_seconds(notification: &Notification) -> Value {
    let millis = notification.last_event_time.micros().div_euclid(1_000);
    // Whole milliseconds below 2^53 are exact in a double, and so is what is printed of them.
    json!(millis as f64 / 1_000.0)
}
