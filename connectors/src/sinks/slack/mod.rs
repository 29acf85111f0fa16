//! `slack`: an incoming webhook, with Block Kit messages.

mod blocks;
mod body;
mod settings;

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use watershed_schemas::{Notification, Timestamp};

use super::http::Endpoint;
use super::{Receipt, SendError, Sink};

pub use settings::SlackSettings;

/// Posts to one channel.
pub(super) struct SlackSink {
    endpoint: Endpoint,
}

#[async_trait]
impl Sink for SlackSink {
    fn kind(&self) -> &'static str {
        "slack"
    }

    fn preview(&self, notification: &Notification) -> serde_json::Value {
        body::encode(notification)
    }

    async fn send(&self, notification: &Notification, now: Timestamp) -> Result<Receipt, SendError> {
        self.endpoint.post(body::encode(notification).to_string(), HeaderMap::new(), now).await
    }
}
