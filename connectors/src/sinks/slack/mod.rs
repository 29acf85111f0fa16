//! `slack`: Block Kit messages, through an incoming webhook or a bot.
//!
//! A webhook posts a message for everything there is to say. A bot keeps one message for each incident: see `bot.rs`.

mod answer;
mod blocks;
mod body;
mod bot;
mod notice;
mod settings;

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use serde_json::Value;
use watershed_schemas::Notification;

use super::http::Endpoint;
use super::{Attempt, Receipt, SendError, Sink};
use bot::Bot;

pub use settings::SlackSettings;

/// Posts to one channel.
pub(super) enum SlackSink {
    /// Through an incoming webhook.
    Webhook(Endpoint),
    /// As a bot.
    Bot(Box<Bot>),
}

#[async_trait]
impl Sink for SlackSink {
    fn kind(&self) -> &'static str {
        "slack"
    }

    fn remembers(&self) -> bool {
        matches!(self, SlackSink::Bot(_))
    }

    fn preview(&self, notification: &Notification) -> Value {
        body::encode(notification)
    }

    async fn send(&self, notification: &Notification, attempt: &Attempt<'_>) -> Result<Receipt, SendError> {
        match self {
            SlackSink::Webhook(endpoint) => {
                let body = body::encode(notification).to_string();
                answer::of_webhook(&endpoint.ask(body, HeaderMap::new(), attempt).await?)
            }
            SlackSink::Bot(bot) => bot.send(notification, attempt).await,
        }
    }
}
