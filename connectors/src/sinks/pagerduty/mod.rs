//! `pagerduty`: the Events API v2. One incident is one alert per team: what opens it and what closes it carry the same
//! deduplication key.

mod body;
mod settings;

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret as _, SecretString};
use watershed_schemas::{Notification, Timestamp};

use super::http::Endpoint;
use super::{Receipt, SendError, Sink};

pub use settings::PagerdutySettings;

/// Sends events to one service.
pub(super) struct PagerdutySink {
    endpoint: Endpoint,
    routing_key: SecretString,
}

#[async_trait]
impl Sink for PagerdutySink {
    fn kind(&self) -> &'static str {
        "pagerduty"
    }

    fn preview(&self, notification: &Notification) -> serde_json::Value {
        body::encode(notification, "…")
    }

    async fn send(&self, notification: &Notification, now: Timestamp) -> Result<Receipt, SendError> {
        let body = body::encode(notification, self.routing_key.expose_secret());
        self.endpoint.post(body.to_string(), HeaderMap::new(), now).await
    }
}
