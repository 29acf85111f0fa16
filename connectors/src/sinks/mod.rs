//! Sinks: where notifications go.
//!
//! A sink makes one attempt and says how it went; the engine's delivery workers decide when to try again. Whatever
//! text of an event a notification holds is hostile: each sink escapes it for its own receiver.
//!
//! Each sink is a module by role: `settings` (what the configuration says), `body` (the message) and the request.

#[cfg(test)]
mod fixtures;
mod http;
mod in_words;
mod jsonl;
mod pagerduty;
mod settings;
mod slack;
mod text;
mod webhook;
mod words;

use std::time::Duration;

use async_trait::async_trait;
use watershed_schemas::{Notification, Timestamp};

pub use http::{HttpClient, HttpSettings, Network, NetworkSettings};
pub use in_words::in_words;
pub use jsonl::{FileSettings, StdoutSettings, append_line};
pub use pagerduty::PagerdutySettings;
pub use settings::{BuildError, Problem, SinkSettings};
pub use slack::SlackSettings;
pub use webhook::WebhookSettings;

/// What a receiver said to a notification it accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// HTTP status, where there is one.
    pub status: Option<u16>,
}

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
    /// The receiver is gone for good (HTTP 410): send to the fallback instead.
    #[error("{reason}")]
    Gone {
        /// What happened.
        reason: String,
    },
}

/// A kind of receiver.
#[async_trait]
pub trait Sink: Send + Sync {
    /// `slack`, `pagerduty`, `webhook`, `file` or `stdout`.
    fn kind(&self) -> &'static str;
    /// The body that [`Sink::send`] would post, as a person may see it: routing keys and tokens are left out, nothing else.
    fn preview(&self, notification: &Notification) -> serde_json::Value;
    /// Makes one attempt. `now` is for signatures: every attempt is signed afresh under the same id.
    async fn send(&self, notification: &Notification, now: Timestamp) -> Result<Receipt, SendError>;
}
