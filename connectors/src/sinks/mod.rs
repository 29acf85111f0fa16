//! Sinks: where notifications go.
//!
//! A sink makes one attempt and says how it went; the engine's delivery workers decide when to try again. Whatever
//! text of an event a notification holds is hostile: each sink escapes it for its own receiver.
//!
//! Each sink is a module by role: `settings` (what the configuration says), `body` (the message) and the request.

mod attempt;
#[cfg(test)]
mod fixtures;
mod format;
mod http;
mod in_words;
mod jsonl;
mod kafka;
pub mod ocsf;
mod pagerduty;
mod settings;
mod slack;
mod splunk;
mod text;
mod webhook;
mod words;

use std::time::Duration;

use async_trait::async_trait;
use watershed_schemas::Notification;

pub use attempt::{Attempt, Heard, Memory, Receipt, Said};
pub use format::{Envelope, Format};
pub use http::{HttpClient, HttpSettings, Network, NetworkSettings};
pub use in_words::in_words;
pub use jsonl::{FileSettings, StdoutSettings, append_line};
pub use kafka::KafkaTopicSettings;
pub use pagerduty::PagerdutySettings;
pub use settings::{BuildError, Problem, SinkSettings};
pub use slack::SlackSettings;
pub use splunk::SplunkSettings;
pub use webhook::WebhookSettings;

/// Why an attempt failed, by what to do next.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Try again, not before `after` where the receiver named a time.
    #[error("{reason}")]
    Retry {
        /// `Retry-After`.
        after: Option<Duration>,
        /// What happened; holds no secret and no body.
        reason: String,
    },
    /// Trying again can't help: the message was refused.
    #[error("{reason}")]
    Refused {
        /// What happened.
        reason: String,
    },
    /// The receiver is gone for good, or lets us in no more: send to the fallback instead.
    #[error("{reason}")]
    Gone {
        /// What happened.
        reason: String,
    },
}

impl SendError {
    fn retry(reason: impl Into<String>) -> Self {
        SendError::Retry { after: None, reason: reason.into() }
    }

    fn refused(reason: impl Into<String>) -> Self {
        SendError::Refused { reason: reason.into() }
    }

    fn gone(reason: impl Into<String>) -> Self {
        SendError::Gone { reason: reason.into() }
    }
}

/// A kind of receiver.
#[async_trait]
pub trait Sink: Send + Sync {
    /// `slack`, `pagerduty`, `webhook`, `splunk`, `kafka`, `file` or `stdout`.
    fn kind(&self) -> &'static str;

    /// Whether it wants back what it asked to remember; only then the engine looks it up.
    fn remembers(&self) -> bool {
        false
    }

    /// The body that [`Sink::send`] would post, as a person may see it: routing keys and tokens are left out, nothing else.
    fn preview(&self, notification: &Notification) -> serde_json::Value;

    /// Makes one attempt. It may take several requests; an attempt that is made again after some of them got through
    /// must end where one alone would have.
    async fn send(&self, notification: &Notification, attempt: &Attempt<'_>) -> Result<Receipt, SendError>;
}
